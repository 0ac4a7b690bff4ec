//! A line of a pod's log: kubelet has merged the job's report and its log, and here they part again.

use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LogLine {
    /// The report: the job's stdout, ours too.
    Report(String),
    /// The log: the job's stderr, as people read it.
    Log { level: String, text: String },
}

const LEVELS: [&str; 5] = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];

impl LogLine {
    pub(super) fn parse(text: &str) -> Self {
        if text.starts_with('{')
            && let Ok(Value::Object(fields)) = serde_json::from_str(text)
            && let [Some(level), Some(message)] =
                ["level", "message"].map(|key| fields.get(key).and_then(Value::as_str))
        {
            return Self::Log { level: level.to_owned(), text: message.to_owned() };
        }
        let word = text.trim_start();
        let level =
            LEVELS.iter().find(|level| word.strip_prefix(**level).is_some_and(|rest| rest.starts_with(' ')));
        match level {
            Some(level) => {
                Self::Log { level: (*level).to_owned(), text: word[level.len()..].trim_start().to_owned() }
            }
            None => Self::Report(text.to_owned()),
        }
    }
}

/// What the lines so far tell of the job's progress.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Progress {
    verb: &'static str,
    total: Option<usize>,
    done: usize,
    waiting: Option<String>,
}

impl Progress {
    pub(super) fn take(&mut self, line: &LogLine) {
        match line {
            LogLine::Log { text, .. } => {
                let waits = text.starts_with("waiting for ") && !text.starts_with("waiting for pid");
                self.waiting = waits.then(|| text.clone());
            }
            LogLine::Report(text) => {
                let words: Vec<_> = text.split_whitespace().collect();
                match words.as_slice() {
                    [
                        command @ ("upgrade" | "downgrade"),
                        "from",
                        _,
                        "to",
                        _,
                        count,
                        "migration" | "migrations",
                    ] => {
                        let verb = if *command == "upgrade" { "applying" } else { "taking back" };
                        *self = Self { verb, total: count.parse().ok(), ..Self::default() };
                    }
                    ["applied", ..] | ["taken", "back", ..] => {
                        self.done += 1;
                        self.waiting = None;
                    }
                    _ => {}
                }
            }
        }
    }

    /// For the line of status.
    pub(super) fn describe(&self) -> Option<String> {
        match (&self.waiting, self.total) {
            (Some(waiting), _) => Some(waiting.clone()),
            (None, Some(total)) if self.done < total => {
                Some(format!("{} {} of {total}", self.verb, self.done + 1))
            }
            (None, Some(total)) if total > 0 => Some(format!("{total} of {total} done")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_and_log_part() {
        let log = |level: &str, text: &str| LogLine::Log { level: level.to_owned(), text: text.to_owned() };
        let report = |text: &str| LogLine::Report(text.to_owned());
        for (text, line) in [
            (
                r#"{"timestamp":"2026-11-23T12:00:00Z","level":"INFO","message":"waiting for a","target":"x"}"#,
                log("INFO", "waiting for a"),
            ),
            (" WARN the server is old", log("WARN", "the server is old")),
            ("INFOrmation", report("INFOrmation")),
            ("{", report("{")),
            (r#"{"outcome":"done"}"#, report(r#"{"outcome":"done"}"#)),
            ("  applied  1  a  3 ms", report("  applied  1  a  3 ms")),
            ("", report("")),
        ] {
            assert_eq!(LogLine::parse(text), line);
        }
    }

    #[test]
    fn the_log_tells_how_far_it_is() {
        let mut progress = Progress::default();
        for (line, status) in [
            (" INFO waiting for the server at db:5432", Some("waiting for the server at db:5432")),
            (
                " INFO waiting for the run lock, which is held by pid 7",
                Some("waiting for the run lock, which is held by pid 7"),
            ),
            ("upgrade from base to 3: 3 migrations", Some("applying 1 of 3")),
            ("  applied  1  a       3 ms", Some("applying 2 of 3")),
            (" INFO waiting for pid 9, role postgres", Some("applying 2 of 3")),
            ("  applied  2  b       3 ms", Some("applying 3 of 3")),
            ("  applied  3  c       3 ms", Some("3 of 3 done")),
            ("done: 3 migrations in 9 ms; the database is at 3 (head)", Some("3 of 3 done")),
            ("downgrade from 3 to 2: 1 migration", Some("taking back 1 of 1")),
            ("upgrade from 3 to 3: 0 migrations", None),
        ] {
            progress.take(&LogLine::parse(line));
            assert_eq!(progress.describe().as_deref(), status, "{line}");
        }
    }
}
