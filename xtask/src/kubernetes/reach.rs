//! How long an API server that was lost is waited for. A cut is mended by itself; what is forbidden stays so.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::cluster::Cluster;
use super::watches::Cut;

/// How long it may be out of reach.
const OUT_OF_REACH: Duration = Duration::from_secs(10 * 60);

#[derive(Debug, Default)]
pub(super) struct Reach {
    lost: Option<Instant>,
    /// Watches of which it was said that they are cut, since it was lost.
    cut: BTreeSet<&'static str>,
    /// Watches that can be done without, and are.
    forbidden: BTreeSet<&'static str>,
}

impl Reach {
    /// It has said something.
    pub(super) fn restored(&mut self) {
        self.lost = None;
        self.cut.clear();
    }

    /// What to tell, the first time.
    ///
    /// # Errors
    /// When there is no following any more.
    pub(super) fn cut(&mut self, cluster: &Cluster, cut: Cut) -> anyhow::Result<Option<String>> {
        let Cut { what, error } = cut;
        let forbidden = matches!(&error, kube::Error::Api(status) if [401, 403].contains(&status.code));
        let optional = what.ends_with("events");
        let said = cluster.explain(error, what);
        let (is_new, then) = if forbidden && optional {
            (self.forbidden.insert(what), "following goes on without")
        } else {
            let since = *self.lost.get_or_insert_with(Instant::now);
            if forbidden || since.elapsed() > OUT_OF_REACH {
                return Err(said);
            }
            (self.cut.insert(what), "trying again")
        };
        Ok(is_new.then(|| format!("{said:#}; {then}")))
    }
}
