//! What is told of a statement that takes long: on a terminal a line that changes, else a line in the log now and then.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use foreign_text::one_line;
use migration_core::wording;

use crate::cli::config::LogFormat;
use crate::postgres::Observation;
use crate::postgres::other_session::listed;
use crate::postgres::watcher::Progress;

/// How often the log gets a line that says the same as before.
const SAY_EVERY: Duration = Duration::from_secs(10);

pub(super) struct LongStatement {
    line: LiveLine,
    said: Option<(String, Instant)>,
}

impl LongStatement {
    pub(super) fn new(format: LogFormat) -> Self {
        let on = format == LogFormat::Text && io::stderr().is_terminal();
        Self { line: LiveLine { on, shown: false }, said: None }
    }

    pub(super) fn see(&mut self, seen: &Observation, elapsed: Duration) {
        let Some(text) = describe(seen) else { return };
        if self.line.show(&format!("{}: {text}", wording::whole_seconds(elapsed))) {
            return;
        }
        let kind = kind(seen);
        if self.said.as_ref().is_none_or(|(before, at)| *before != kind || at.elapsed() >= SAY_EVERY) {
            tracing::info!("{text}");
            self.said = Some((kind, Instant::now()));
        }
    }

    pub(super) fn end(&mut self) {
        self.line.clear();
        self.said = None;
    }
}

impl Drop for LongStatement {
    fn drop(&mut self) {
        self.line.clear();
    }
}

/// A line that is written over and over on a terminal.
#[derive(Debug)]
struct LiveLine {
    on: bool,
    shown: bool,
}

impl LiveLine {
    fn show(&mut self, text: &str) -> bool {
        if self.on {
            let _ = write!(io::stderr(), "\r\x1b[2K{}", one_line(text));
            let _ = io::stderr().flush();
            self.shown = true;
        }
        self.on
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _ = write!(io::stderr(), "\r\x1b[2K");
        }
    }
}

/// What is seen, without the numbers that change all the time.
fn kind(seen: &Observation) -> String {
    let pids: Vec<_> = seen.blockers.iter().map(|other| other.pid).collect();
    let phase = seen.progress.as_ref().map(|progress| progress.phase.as_str()).unwrap_or_default();
    format!("{pids:?} {} {phase}", seen.blocked > 0)
}

/// One sentence, or nothing where there is nothing to tell.
fn describe(seen: &Observation) -> Option<String> {
    let mut parts = Vec::new();
    if !seen.blockers.is_empty() {
        parts.push(format!("waiting for {}", listed(&seen.blockers)));
    }
    if seen.blocked > 0 {
        parts.push(format!(
            "{} for this run, the longest for {}",
            wording::counted(usize::try_from(seen.blocked).unwrap_or(1), "session waits", "sessions wait"),
            wording::whole_seconds(seen.blocked_for)
        ));
    }
    if let Some(Progress { phase, percent }) = &seen.progress {
        parts.push(percent.map_or_else(|| phase.clone(), |percent| format!("{phase}, {percent:.0} %")));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::OtherSession;

    #[test]
    fn says_what_is_seen() {
        let blocker =
            OtherSession { pid: 7, role: None, application: None, state: None, since: None, query: None };
        let progress = |percent| Some(Progress { phase: "building index".to_owned(), percent });
        for (seen, expected) in [
            (Observation::default(), None),
            (Observation { blockers: vec![blocker], ..Observation::default() }, Some("waiting for pid 7")),
            (
                Observation {
                    blocked: 3,
                    blocked_for: Duration::from_millis(4200),
                    progress: progress(Some(41.7)),
                    ..Observation::default()
                },
                Some("3 sessions wait for this run, the longest for 4 s; building index, 42 %"),
            ),
            (Observation { progress: progress(None), ..Observation::default() }, Some("building index")),
        ] {
            assert_eq!(describe(&seen).as_deref(), expected);
        }
    }
}
