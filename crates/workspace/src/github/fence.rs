//! Around what others print in a workflow: as long as a fence stands, GitHub's runner takes no command from the log.

use std::fmt::Write as _;
use std::io::{Read as _, Write};

use anyhow::Context;
use foreign_text::runner;

use super::is_running;
use crate::ui;

/// Taken away when it is dropped: at the end, after an error, a signal or a panic.
///
/// It stands on stderr, and the runner reads stdout from another pipe, in whatever order. So what others print goes to
/// stderr too, after the fence's beginning and before its end: with [`Fence::pass`] where it came on a pipe. On stdout is
/// what we or the job have escaped, which holds no command wherever it is read.
pub struct Fence<W: Write = std::io::Stderr> {
    out: W,
    /// Nobody who is fenced in knows it. None where no runner reads.
    token: Option<String>,
}

impl Fence {
    /// Where a workflow runs this. On stderr: stdout is the result.
    pub fn begin() -> anyhow::Result<Self> {
        Self::around(std::io::stderr(), is_running())
    }
}

impl<W: Write> Fence<W> {
    fn around(mut out: W, is_read: bool) -> anyhow::Result<Self> {
        let token = is_read.then(token).transpose()?;
        if let Some(token) = &token {
            writeln!(out, "{}", runner::stop(token)).context("cannot write to stderr")?;
        }
        Ok(Self { out, token })
    }

    /// A line of another program, as it came: within the fence, or on stdout where no runner reads.
    pub fn pass(&mut self, line: &str) {
        match &self.token {
            // A reader that has gone away is not an error.
            Some(_) => drop(writeln!(self.out, "{line}")),
            None => ui::exact(line),
        }
    }
}

impl<W: Write> Drop for Fence<W> {
    fn drop(&mut self) {
        if let Some(token) = &self.token {
            // In a line of its own, whatever the last one was.
            let _ = writeln!(self.out, "\n{}", runner::resume(token));
        }
    }
}

fn token() -> anyhow::Result<String> {
    let mut bytes = [0; 24];
    let source = std::fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes));
    source.context("there are no random numbers to be had from /dev/urandom")?;
    Ok(bytes.iter().fold(String::new(), |mut token, byte| {
        // A String takes everything.
        let _ = write!(token, "{byte:02x}");
        token
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `work` does inside of a fence, as the runner reads it.
    fn fenced(is_read: bool, work: impl FnOnce()) -> String {
        let mut written = Vec::new();
        let fence = Fence::around(&mut written, is_read).unwrap();
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _fence = fence;
            work();
        }));
        drop(ended);
        String::from_utf8(written).unwrap()
    }

    /// It stood on stderr, and what tests print was on stdout: the runner could read that before the fence, or after it.
    #[test]
    fn what_passes_is_on_the_stream_of_the_fence() {
        let mut written = Vec::new();
        let mut fence = Fence::around(&mut written, true).unwrap();
        fence.pass("::add-mask::a");
        fence.pass("##[error]b");
        drop(fence);
        let written = String::from_utf8(written).unwrap();
        let token = written.lines().next().unwrap().strip_prefix("::stop-commands::").unwrap();
        assert_eq!(written, format!("::stop-commands::{token}\n::add-mask::a\n##[error]b\n\n::{token}::\n"));
    }

    #[test]
    fn a_fence_is_taken_away_after_a_panic_too() {
        let mut tokens = Vec::new();
        for work in [(|| {}) as fn(), || panic!("on purpose")] {
            let written = fenced(true, work);
            let token = written.lines().next().unwrap().strip_prefix("::stop-commands::").unwrap().to_owned();
            assert_eq!(written, format!("::stop-commands::{token}\n\n::{token}::\n"));
            assert_eq!(token.len(), 48);
            tokens.push(token);
        }
        assert_ne!(tokens[0], tokens[1]);
        assert_eq!(fenced(false, || {}), "");
    }
}
