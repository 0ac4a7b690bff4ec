//! What the tests share.

pub(crate) mod admission;
#[path = "../../kubernetes/support/outcome.rs"]
pub(crate) mod outcome;
pub(crate) mod programs;
pub(crate) mod site;

use std::time::{Duration, Instant};

/// Asks until there is an answer.
#[track_caller]
pub(crate) fn await_some<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(120), "waited two minutes in vain: {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}
