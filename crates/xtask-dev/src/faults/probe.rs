//! Probes how long the visitors of a site wait: one after the other asks the same and notes how long it took. One who asks for nothing that anybody
//! changes tells how long this machine keeps everybody waiting.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::session::Session;

/// What touches no table of the site.
pub(super) const BYSTANDER: &str = "SELECT amname FROM pg_am WHERE amname = 'heap'";

/// Between two visits.
const PAUSE: Duration = Duration::from_millis(20);

/// In less time nobody is waiting.
const QUICK: Duration = Duration::from_millis(10);

/// One question, and how long it took until it was answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Probe {
    start: Instant,
    took: Duration,
}

/// Asks again and again until it is over. That the pause takes longer than it should counts as well.
pub(super) fn repeat(session: &mut Session, question: &str, over: &AtomicBool) -> anyhow::Result<Vec<Probe>> {
    let mut visits = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let start = Instant::now() + PAUSE;
        std::thread::sleep(PAUSE);
        session.ask(question)?;
        visits.push(Probe { start, took: start.elapsed() });
    }
    Ok(visits)
}

/// The longest of these waits, without what others waited for nothing meanwhile.
pub(super) fn longest(visits: &[Probe], bystanders: &[Probe]) -> Duration {
    let own = |visit: &Probe| visit.took.saturating_sub(stalled(bystanders, visit.start, visit.took));
    visits.iter().map(own).max().unwrap_or_default()
}

/// For how long of a time this machine kept everybody waiting.
pub(super) fn stalled(bystanders: &[Probe], start: Instant, time: Duration) -> Duration {
    let end = start + time;
    let within = |visit: &Probe| {
        let (from, to) = (visit.start.max(start), (visit.start + visit.took).min(end));
        to.saturating_duration_since(from)
    };
    bystanders.iter().filter(|visit| visit.took > QUICK).map(within).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_everybody_waits_for_does_not_count() {
        let begin = Instant::now();
        let visit = |(start, took)| Probe {
            start: begin + Duration::from_millis(start),
            took: Duration::from_millis(took),
        };
        let quiet: &[(u64, u64)] = &[(0, 1), (25, 9), (60, 10)];
        for (visits, bystanders, expected) in [
            (&[(0, 5), (30, 2000), (2050, 3)][..], quiet, 2000),
            (&[(0, 2000)], &[(0, 1), (500, 700), (1300, 11)], 1289),
            // As far as it fell together.
            (&[(100, 1000)], &[(0, 300), (1050, 500)], 750),
            (&[(100, 50), (900, 40)], &[(50, 200)], 40),
            (&[], &[(0, 300)], 0),
        ] {
            let of = |all: &[(u64, u64)]| all.iter().copied().map(visit).collect::<Vec<_>>();
            assert_eq!(longest(&of(visits), &of(bystanders)), Duration::from_millis(expected), "{visits:?}");
        }
    }
}
