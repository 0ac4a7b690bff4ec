//! One `cargo test`: its output passed on as it comes, its results counted, its processes ended with it.

use std::fmt;
use std::io::IsTerminal;
use std::process::{Command, Stdio};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, BufReader};

use super::failures::Failures;
use workspace::github::fence::Fence;
use workspace::process::Signals;
use workspace::ui;

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) ignored: u64,
    pub(super) failures: Failures,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

impl Tally {
    /// The page of a workflow's job. A suite may fail without a test that does: it does not compile, or crashes.
    pub(super) fn page(&self, end: SuiteEnd) -> String {
        let (mark, more) = match (end, self.failed) {
            (SuiteEnd::Passed, _) => ("✅", ""),
            (_, 0) => ("❌", "; cargo failed before every test had run, and its log says why"),
            _ => ("❌", ""),
        };
        format!("## {mark} Tests: {self}{more}\n\n{}", self.failures.page())
    }

    /// Counts a line such as `test result: ok. 5 passed; 0 failed; 1 ignored; …`; every other counts nothing.
    fn count(&mut self, line: &str) {
        let Some((_, result)) = line.split_once("test result: ") else { return };
        let mut words = result.split(' ').peekable();
        while let Some(word) = words.next() {
            let (Ok(number), Some(what)) = (word.parse::<u64>(), words.peek()) else { continue };
            match what.trim_end_matches(';') {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SuiteEnd {
    Passed,
    Failed,
    /// By a signal to us; the exit code that says so.
    Interrupted(u8),
}

/// Runs it in a process group of its own, so that a signal to us ends cargo, the tests and what they have started.
pub(super) async fn run(
    mut command: Command,
    signals: &mut Signals,
    tally: &mut Tally,
) -> anyhow::Result<SuiteEnd> {
    if std::io::stdout().is_terminal() && ui::colours() {
        command.args(["--color", "always"]);
    }
    // Tests print what they test with, hostile text among it.
    let mut fence = Fence::begin()?;
    let mut child = tokio::process::Command::from(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .context("cannot run cargo")?;
    let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let mut lines = BufReader::new(child.stdout.take().context("cargo has no stdout")?).lines();
    let mut interrupted = None;
    loop {
        tokio::select! {
            line = lines.next_line() => match line.context("cannot read what the tests print")? {
                Some(line) => {
                    tally.count(&line);
                    tally.failures.read(&line);
                    fence.pass(&line);
                }
                None => break,
            },
            signal = signals.next() => {
                let deadly = if interrupted.is_some() { Signal::KILL } else { signal };
                interrupted.get_or_insert(128 + signal.as_raw());
                // It is gone if this fails.
                let _ = group.map(|group| kill_process_group(group, deadly));
            }
        }
    }
    let status = child.wait().await.context("cannot wait for cargo")?;
    drop(fence);
    tally.failures.annotate();
    Ok(match interrupted {
        Some(code) => SuiteEnd::Interrupted(u8::try_from(code).unwrap_or(1)),
        None if status.success() => SuiteEnd::Passed,
        None => SuiteEnd::Failed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_counted() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: \u{1b}[31mFAILED\u{1b}(B\u{1b}[m. 7 passed; 2 failed; 0 ignored; 0 measured; 3 filtered out",
        ] {
            tally.count(line);
        }
        assert_eq!((tally.passed, tally.failed, tally.ignored), (12, 2, 1));
        assert_eq!(tally.to_string(), "12 passed, 2 failed");
    }

    #[test]
    fn what_did_not_run_is_no_success() {
        for (failed, end, expected) in [
            (0, SuiteEnd::Passed, "## ✅ Tests: 5 passed, 0 failed\n"),
            (1, SuiteEnd::Failed, "## ❌ Tests: 5 passed, 1 failed\n"),
            (0, SuiteEnd::Failed, "## ❌ Tests: 5 passed, 0 failed; cargo failed before every test had run"),
        ] {
            let page = Tally { passed: 5, failed, ..Tally::default() }.page(end);
            assert!(page.starts_with(expected), "{page}");
        }
    }
}
