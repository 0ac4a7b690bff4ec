//! How long a watch that was lost is waited for. A cut is mended by itself; what is forbidden stays so.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::cluster::Cluster;
use super::watches::{Cut, EVENTS};

/// How long it may be out of reach.
const OUT_OF_REACH: Duration = Duration::from_secs(10 * 60);

/// Attempts that fail come more often, after up to 30 s to connect and 60 s of pause. Between others the watch stood, and
/// had nothing to say.
const APART: Duration = Duration::from_secs(100);

/// Since when a watch fails, and when it did so last.
#[derive(Debug)]
struct Lost {
    since: Instant,
    last: Instant,
}

#[derive(Debug, Default)]
pub(super) struct Outages {
    /// By watch: that others are kept says nothing about it.
    lost: BTreeMap<&'static str, Lost>,
    /// Watches that can be done without, and are.
    forbidden: BTreeSet<&'static str>,
}

impl Outages {
    /// This watch has said something.
    pub(super) fn restored(&mut self, what: &'static str) {
        self.lost.remove(what);
    }

    /// What to tell, the first time.
    ///
    /// # Errors
    /// When there is no following any more.
    pub(super) fn cut(&mut self, cluster: &Cluster, cut: Cut) -> anyhow::Result<Option<String>> {
        let Cut { what, error } = cut;
        let forbidden = matches!(&error, kube::Error::Api(status) if [401, 403].contains(&status.code));
        let optional = what == EVENTS;
        let said = cluster.explain(error, what);
        let (is_new, then) = if forbidden && optional {
            (self.forbidden.insert(what), "following goes on without")
        } else {
            let is_new = !self.lost.contains_key(what);
            let lost_for = self.lost_for(what, Instant::now());
            if !optional && (forbidden || lost_for > OUT_OF_REACH) {
                return Err(said);
            }
            (is_new, "trying again")
        };
        Ok(is_new.then(|| format!("{said:#}; {then}")))
    }

    /// How long this watch has been failing that fails now.
    fn lost_for(&mut self, what: &'static str, now: Instant) -> Duration {
        let lost = self.lost.entry(what).or_insert(Lost { since: now, last: now });
        if now - lost.last > APART {
            lost.since = now;
        }
        lost.last = now;
        now - lost.since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A watch of jobs that kept failing was never given up where events were many; and one that is cut now and then,
    /// with nothing to say between, is not lost.
    #[test]
    fn each_watch_is_lost_for_itself() {
        let start = Instant::now();
        let mut outages = Outages::default();
        for (seconds, what, expected) in [
            (0, "jobs", 0),
            (60, "jobs", 60),
            (90, "pods", 0),
            (150, "jobs", 150),
            (151, "pods, restored", 0),
            (180, "pods", 0),
            (240, "jobs", 240),
            (600, "jobs", 0),
            (690, "jobs", 90),
            (700, "jobs, restored", 0),
            (710, "jobs", 0),
        ] {
            match what.split_once(", ") {
                Some((what, _)) => outages.restored(what),
                None => {
                    let lost_for = outages.lost_for(what, start + Duration::from_secs(seconds));
                    assert_eq!(lost_for.as_secs(), expected, "{what} after {seconds} s");
                }
            }
        }
    }
}
