//! A line of a pod's log: kubelet has merged the job's report and its log, and here they part again.

use migration_core::log_record::{PROGRESS, RENDERED, STEP};
use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LogLine {
    /// The report: the job's stdout, ours too.
    Report(String),
    /// The log: the job's stderr, as people read it.
    Log { level: String, text: String },
    /// A migration begins: how far the run is. The report tells of it when it is done.
    Step(String),
    /// A part of the log that also says how far the run is.
    Waiting { level: String, text: String },
}

const LEVELS: [&str; 5] = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];

impl LogLine {
    pub(super) fn parse(text: &str) -> Self {
        if text.starts_with('{')
            && let Ok(Value::Object(fields)) = serde_json::from_str(text)
            && let [Some(level), Some(message)] =
                ["level", "message"].map(|key| fields.get(key).and_then(Value::as_str))
        {
            let text = |key| fields.get(key).and_then(Value::as_str);
            let level = level.to_owned();
            return match text(PROGRESS) {
                Some(STEP) => Self::Step(message.to_owned()),
                Some(_) => Self::Waiting { level, text: message.to_owned() },
                None => Self::Log { level, text: text(RENDERED).unwrap_or(message).to_owned() },
            };
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

impl LogLine {
    /// For the line of status.
    pub(super) fn status(&self) -> Option<&str> {
        match self {
            Self::Step(text) | Self::Waiting { text, .. } => Some(text),
            Self::Report(_) | Self::Log { .. } => None,
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
            (
                r#"{"level":"INFO","message":"waiting for a","progress":"waits"}"#,
                LogLine::Waiting { level: "INFO".to_owned(), text: "waiting for a".to_owned() },
            ),
            (
                r#"{"level":"INFO","message":"applying 2 (b), 2 of 3","progress":"step"}"#,
                LogLine::Step("applying 2 (b), 2 of 3".to_owned()),
            ),
            (
                r#"{"level":"ERROR","message":"applying 2 (b): no","rendered":"applying 2 (b): no\n --> b.sql"}"#,
                log("ERROR", "applying 2 (b): no\n --> b.sql"),
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
}
