//! How each database of a fleet stands, and what that comes to.

use std::fmt::{self, Write as _};

use anstyle::{AnsiColor, Style};
use foreign_text::one_line;
use serde_json::{Value, json};

use super::schedule::{self, Stopped};
use crate::outcome::Outcome;
use verdict::Verdict;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseStatus {
    Waiting,
    Running,
    /// Where it is now, where the job said so.
    Done(Option<String>),
    Failed {
        code: u8,
        why: String,
    },
}

impl DatabaseStatus {
    pub(super) fn of(outcome: &Outcome) -> Self {
        let verdict = outcome.verdict.as_ref();
        match &outcome.failure {
            None => Self::Done(verdict.and_then(Verdict::place)),
            Some(failure) => {
                let said = verdict.map(|verdict| verdict.message.as_str()).filter(|said| !said.is_empty());
                // The first line says what happened; the Job's log has the rest.
                let why = said.unwrap_or(failure).lines().next().unwrap_or_default().to_owned();
                Self::Failed { code: outcome.exit_code, why }
            }
        }
    }

    pub(super) fn result(&self) -> schedule::Result {
        if matches!(self, Self::Failed { .. }) {
            schedule::Result::Failed
        } else {
            schedule::Result::Succeeded
        }
    }
}

impl fmt::Display for DatabaseStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting => write!(f, "waiting"),
            Self::Running => write!(f, "running"),
            Self::Done(Some(place)) => write!(f, "{place}"),
            Self::Done(None) => write!(f, "done"),
            Self::Failed { code, why } => write!(f, "failed ({code}): {}", one_line(why)),
        }
    }
}

/// From the one that needs a person most; what may pass by itself comes last.
const GRAVEST: [u8; 11] = [6, 70, 5, 7, 8, 2, 9, OTHERS, 1, 4, 3];

/// Stands for all codes that are not listed; no failure has it.
const OTHERS: u8 = 0;

/// That of the gravest failure.
pub fn exit_code(all: &[DatabaseStatus]) -> u8 {
    let place = |code: u8| GRAVEST.iter().position(|known| *known == code);
    let rank = |code: &u8| place(*code).or_else(|| place(OTHERS));
    let codes = all.iter().filter_map(|status| match status {
        DatabaseStatus::Failed { code, .. } => Some(*code),
        _ => None,
    });
    codes.min_by_key(rank).unwrap_or(0)
}

/// Why there are some that wait for ever.
pub fn explain(stopped: Stopped) -> String {
    match stopped {
        Stopped::Canary => "a canary failed, so the rest was not started".to_owned(),
        Stopped::Failures(1) => "one failed, so no more were started (--max-failed)".to_owned(),
        Stopped::Failures(failed) => format!("{failed} failed, so no more were started (--max-failed)"),
    }
}

pub fn table(rows: &[(&str, &DatabaseStatus)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, status) in rows {
        let style = match status {
            DatabaseStatus::Waiting | DatabaseStatus::Running => Style::new().dimmed(),
            DatabaseStatus::Done(_) => AnsiColor::Green.on_default(),
            DatabaseStatus::Failed { .. } => AnsiColor::Red.on_default(),
        };
        let _ = writeln!(text, "{name:width$}  {style}{status}{style:#}");
    }
    text
}

/// The same for programs.
pub fn report(rows: &[(&str, &DatabaseStatus, &str)]) -> Value {
    let databases: Vec<_> = rows
        .iter()
        .map(|(name, status, job)| match status {
            DatabaseStatus::Waiting => json!({"name": name, "job": job, "status": "waiting"}),
            DatabaseStatus::Running => json!({"name": name, "job": job, "status": "running"}),
            DatabaseStatus::Done(place) => {
                json!({"name": name, "job": job, "status": "done", "place": place})
            }
            DatabaseStatus::Failed { code, why } => {
                json!({"name": name, "job": job, "status": "failed", "exit_code": code, "message": why})
            }
        })
        .collect();
    let all: Vec<_> = rows.iter().map(|(_, status, _)| (*status).clone()).collect();
    json!({"databases": databases, "exit_code": exit_code(&all)})
}

#[cfg(test)]
mod tests {
    use verdict::ExitCode;

    use super::*;

    fn failed(code: u8) -> DatabaseStatus {
        DatabaseStatus::Failed { code, why: "no".to_owned() }
    }

    #[test]
    fn the_gravest_failure_is_the_exit_code() {
        for (codes, expected) in [
            (&[][..], 0),
            (&[3], 3),
            (&[3, 4], 4),
            (&[4, 5, 3], 5),
            (&[5, 6], 6),
            (&[8, 2, 7], 7),
            (&[137, 4], 137),
            (&[137, 5], 5),
            (&[1, 143], 143),
        ] {
            let mut all: Vec<_> = codes.iter().copied().map(failed).collect();
            all.extend([DatabaseStatus::Waiting, DatabaseStatus::Done(None)]);
            assert_eq!(exit_code(&all), expected, "{codes:?}");
        }
    }

    #[test]
    fn the_table_has_a_line_for_each() {
        let said = |verdict: &str, failure: Option<&str>| {
            let verdict = verdict::parse(verdict);
            let exit_code = verdict.as_ref().and_then(|verdict| verdict.exit_code).map_or(1, ExitCode::code);
            DatabaseStatus::of(&Outcome { exit_code, verdict, failure: failure.map(str::to_owned) })
        };
        let all = [
            ("a", said(r#"{"exit_code": 0, "current": 2, "head": 2}"#, None)),
            (
                "bb",
                said(r#"{"exit_code": 5, "message": "applying 1 (x): no\n  = state: y"}"#, Some("code 5")),
            ),
            ("c", said("", Some("killed"))),
            ("d", said("", None)),
            ("e", DatabaseStatus::Running),
            ("f", DatabaseStatus::Waiting),
        ];
        // What can't be parsed as a verdict has none, and counts as 0 where the Job is complete.
        let rows: Vec<_> = all.iter().map(|(name, status)| (*name, status)).collect();
        assert_eq!(
            anstream::adapter::strip_str(&table(&rows)).to_string(),
            "a   at 2 (head)\nbb  failed (5): applying 1 (x): no\nc   failed (1): killed\nd   done\ne   running\nf   waiting\n"
        );
        let rows: Vec<_> = all.iter().map(|(name, status)| (*name, status, "job")).collect();
        let report = report(&rows);
        assert_eq!(report["exit_code"], 5);
        assert_eq!(
            report["databases"][1],
            json!({"name": "bb", "job": "job", "status": "failed", "exit_code": 5, "message": "applying 1 (x): no"})
        );
        assert_eq!(report["databases"][0]["place"], "at 2 (head)");
    }
}
