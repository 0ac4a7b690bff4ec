//! How often a step without its locks is tried, and when again.

use std::time::{Duration, Instant, SystemTime};

use crate::postgres::RunOptions;

/// An attempt that worked longer than this before it met a lock is not worth repeating.
const WORTH_REPEATING: Duration = Duration::from_secs(30);

/// Between two attempts the queue behind our lock must get time to drain.
pub(super) const DRAIN: Duration = Duration::from_secs(5);

pub(crate) struct Attempts {
    pub(super) start: Instant,
    latest: Instant,
    pub(super) count: u32,
}

impl Attempts {
    pub(super) fn begin() -> Self {
        let now = Instant::now();
        Self { start: now, latest: now, count: 0 }
    }

    pub(super) fn next(&mut self) {
        self.latest = Instant::now();
        self.count += 1;
    }

    pub(super) fn since_latest(&self) -> Duration {
        self.latest.elapsed()
    }

    pub(super) fn may_repeat_after(&self, pause: Duration, options: &RunOptions) -> bool {
        let budget = options.lock_retry_budget;
        self.count <= options.lock_retries
            && self.latest.elapsed() < WORTH_REPEATING
            && (budget.is_zero() || self.start.elapsed() + pause < budget)
    }
}

/// Up to half as much again, so that two jobs don't meet at the same lock twice.
pub(super) fn jittered(least: Duration) -> Duration {
    let nanoseconds =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.subsec_nanos());
    least + least.mul_f64(f64::from(nanoseconds) / 2e9)
}

#[cfg(test)]
mod tests {
    use super::*;
    use migration_core::Transaction;

    #[test]
    fn what_worked_for_long_or_too_often_is_not_repeated() {
        let seconds = Duration::from_secs;
        let options = |lock_retries, lock_retry_budget| RunOptions {
            transaction: Transaction::Each,
            connect_timeout: Duration::ZERO,
            run_lock_timeout: Duration::ZERO,
            lock_timeout: seconds(2),
            lock_retries,
            lock_retry_budget,
            statement_timeout: Duration::ZERO,
            max_blocking: Duration::ZERO,
        };
        for (began, latest, count, options, may) in [
            (1, 1, 1, options(10, seconds(600)), true),
            (29, 29, 1, options(10, seconds(600)), true),
            (31, 31, 1, options(10, seconds(600)), false),
            (310, 3, 10, options(10, seconds(600)), true),
            (310, 3, 11, options(10, seconds(600)), false),
            (3, 3, 1, options(0, seconds(600)), false),
            (596, 3, 9, options(10, seconds(600)), false),
            (596, 3, 9, options(10, Duration::ZERO), true),
        ] {
            let ago = |time| Instant::now().checked_sub(seconds(time)).unwrap();
            let attempts = Attempts { start: ago(began), latest: ago(latest), count };
            assert_eq!(attempts.may_repeat_after(DRAIN, &options), may, "{began} {latest} {count}");
        }
    }

    #[test]
    fn jitter_is_bounded() {
        let pause = jittered(DRAIN);
        assert!(pause >= DRAIN && pause <= DRAIN.mul_f64(1.5), "{pause:?}");
    }
}
