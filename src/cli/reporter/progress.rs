//! What is told of a migration that takes long: on a terminal a line that changes, else a line in the log now and then.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use foreign_text::one_line;
use migration_core::log_record::{STEP, WAITS};
use migration_core::wording;
use terminal_size::{Width, terminal_size_of};

use crate::cli::config::LogFormat;
use crate::postgres::Observation;
use crate::postgres::other_session::listed;
use crate::postgres::watcher::Progress as Seen;

/// What takes less is told when it is done.
const LONG: Duration = Duration::from_secs(1);

/// How often the log gets a line that says the same as before.
const SAY_EVERY: Duration = Duration::from_secs(30);

/// How often the line of a terminal changes.
const SHOW_EVERY: Duration = Duration::from_millis(200);

pub(super) struct Progress {
    format: LogFormat,
    line: LiveLine,
    migration: Option<Migration>,
}

/// The migration that is under way.
struct Migration {
    name: String,
    start: Instant,
    statement: Option<(usize, usize)>,
    /// What was last seen of its statement.
    seen: String,
    /// What was told last, without its numbers, and when.
    told: Option<(String, Duration)>,
}

impl Progress {
    pub(super) fn new(format: LogFormat) -> Self {
        let on = format == LogFormat::Text && io::stderr().is_terminal();
        Self { format, line: LiveLine { on, shown: false }, migration: None }
    }

    pub(super) fn begin(&mut self, name: &str, number: usize, of: usize) {
        self.line.clear();
        match self.format {
            LogFormat::Text => tracing::debug!("{name}"),
            LogFormat::Json => tracing::info!(progress = STEP, "{name}, {number} of {of}"),
        }
        let (name, start) = (name.to_owned(), Instant::now());
        self.migration = Some(Migration { name, start, statement: None, seen: String::new(), told: None });
    }

    pub(super) fn statement(&mut self, number: usize, of: usize) {
        let Some(migration) = &mut self.migration else { return };
        migration.statement = Some((number, of));
        migration.seen.clear();
        let kind = migration.told.as_ref().map(|(kind, _)| kind.clone()).unwrap_or_default();
        self.tell(kind);
    }

    pub(super) fn see(&mut self, seen: Option<&Observation>) {
        let Some(migration) = &mut self.migration else { return };
        if let Some(seen) = seen {
            migration.seen = describe(seen);
        }
        let kind = seen.map(kind).unwrap_or_default();
        self.tell(kind);
    }

    /// The line makes room for what is printed between two statements.
    pub(super) fn pause(&mut self) {
        self.line.clear();
    }

    fn tell(&mut self, kind: String) {
        let Some(migration) = &mut self.migration else { return };
        let elapsed = migration.start.elapsed();
        if migration.is_due(&kind, elapsed, if self.line.on { SHOW_EVERY } else { SAY_EVERY }) {
            let text = migration.describe(elapsed);
            migration.told = Some((kind, elapsed));
            if !self.line.show(&text) {
                tracing::info!(progress = WAITS, "{text}");
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.line.clear();
    }
}

impl Migration {
    /// Whether there is something new to tell after so long, or the last time was long enough ago.
    fn is_due(&self, kind: &str, elapsed: Duration, every: Duration) -> bool {
        let again = |(before, at): &(String, Duration)| before != kind || elapsed >= *at + every;
        elapsed >= LONG && self.told.as_ref().is_none_or(again)
    }

    fn describe(&self, elapsed: Duration) -> String {
        let statement = self.statement.filter(|(_, of)| *of > 1);
        let statement = statement.map(|(number, of)| format!(", statement {number} of {of}"));
        let seen = if self.seen.is_empty() { String::new() } else { format!("; {}", self.seen) };
        let elapsed = wording::whole_seconds(elapsed);
        format!("{}{}: {elapsed}{seen}", self.name, statement.unwrap_or_default())
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
            // A line that wraps could not be taken away again.
            let width = terminal_size_of(io::stderr()).map_or(80, |(Width(columns), _)| usize::from(columns));
            let text: String = one_line(text).chars().take(width.saturating_sub(1)).collect();
            let _ = write!(io::stderr(), "\r\x1b[2K{text}");
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

/// What is worth telling of it; nothing, if it simply runs.
fn describe(seen: &Observation) -> String {
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
    if let Some(Seen { phase, percent }) = &seen.progress {
        parts.push(percent.map_or_else(|| phase.clone(), |percent| format!("{phase}, {percent:.0} %")));
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::OtherSession;

    #[test]
    fn says_what_is_seen() {
        let blocker =
            OtherSession { pid: 7, role: None, application: None, state: None, since: None, query: None };
        let progress = |percent| Some(Seen { phase: "building index".to_owned(), percent });
        for (seen, expected) in [
            (Observation::default(), ""),
            (Observation { blockers: vec![blocker], ..Observation::default() }, "waiting for pid 7"),
            (
                Observation {
                    blocked: 3,
                    blocked_for: Duration::from_millis(4200),
                    progress: progress(Some(41.7)),
                    ..Observation::default()
                },
                "3 sessions wait for this run, the longest for 4 s; building index, 42 %",
            ),
            (Observation { progress: progress(None), ..Observation::default() }, "building index"),
        ] {
            assert_eq!(describe(&seen), expected);
        }
    }

    /// After a second, whenever something changes, and now and then.
    #[test]
    fn a_log_gets_a_line_now_and_then() {
        let mut migration = Migration {
            name: "applying 2 (b)".to_owned(),
            start: Instant::now(),
            statement: Some((3, 7)),
            seen: String::new(),
            told: None,
        };
        let mut told = Vec::new();
        for seconds in 0..100 {
            let kind = if seconds < 50 { "runs" } else { "waits" };
            migration.seen = if seconds < 50 { "" } else { "waiting for pid 7" }.to_owned();
            let elapsed = Duration::from_secs(seconds);
            if migration.is_due(kind, elapsed, SAY_EVERY) {
                told.push(migration.describe(elapsed));
                migration.told = Some((kind.to_owned(), elapsed));
            }
        }
        assert_eq!(
            told,
            [
                "applying 2 (b), statement 3 of 7: 1 s",
                "applying 2 (b), statement 3 of 7: 31 s",
                "applying 2 (b), statement 3 of 7: 50 s; waiting for pid 7",
                "applying 2 (b), statement 3 of 7: 1 min 20 s; waiting for pid 7",
            ]
        );
    }
}
