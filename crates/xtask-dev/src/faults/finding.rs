//! What an injection came to.

use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct TrialResult {
    /// Whether the run got as far as the moment.
    pub(super) reached: bool,
    pub(super) runs: usize,
    pub(super) violations: Vec<String>,
    /// How long somebody waited, where somebody looked.
    pub(super) longest_wait: Duration,
}
