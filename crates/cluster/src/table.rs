//! The verdict as the table the job itself prints, for whoever did not get its log.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use foreign_text::{lines, one_line};

use verdict::{ExitCode, StepStatus, Verdict, VerdictRow, migrations};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const FAINT: Style = Style::new().dimmed();
const STRONG: Style = Style::new().bold();

/// Heading, rows, and how the database stands.
pub fn table(verdict: &Verdict) -> String {
    let mut text = String::new();
    if let (Some(command), Some(heading)) = (verdict.header.command, verdict.heading()) {
        let rest = heading.strip_prefix(&command.to_string()).unwrap_or(&heading);
        let _ = writeln!(text, "{STRONG}{command}{STRONG:#}{rest}");
    }
    if verdict.omitted > 0 {
        let _ = writeln!(text, "  {FAINT}… and {} before{FAINT:#}", verdict.omitted);
    }
    let width = |row: &VerdictRow| one_line(&row.description).chars().count();
    let width = verdict.migrations.iter().map(width).max().unwrap_or(0);
    for VerdictRow { version, description, status, milliseconds } in &verdict.migrations {
        let description = one_line(description);
        let (style, word) = match status {
            StepStatus::Done => (GOOD, verdict.verb()),
            StepStatus::RolledBack => (BAD, "rolled back"),
            StepStatus::Failed => (BAD, "failed"),
            StepStatus::Uncommitted => (BAD, "uncommitted"),
            StepStatus::Planned => (BAD, "planned"),
        };
        let _ = match milliseconds {
            Some(time) => writeln!(
                text,
                "  {style}{word}{style:#}  {version}  {description:width$}  {FAINT}{time:>6} ms{FAINT:#}"
            ),
            None => writeln!(text, "  {style}{word}{style:#}  {version}  {description}"),
        };
    }
    if let Some(place) = verdict.place() {
        let _ = match (verdict.exit_code, verdict.steps) {
            (Some(ExitCode::Done), 0) => {
                writeln!(text, "nothing to do: the database is {STRONG}{place}{STRONG:#}")
            }
            (Some(ExitCode::Done), _) => {
                let count = migrations(verdict.done);
                writeln!(text, "{GOOD}done{GOOD:#}: {count}; the database is {STRONG}{place}{STRONG:#}")
            }
            _ => writeln!(
                text,
                "{} of {} done; the database is {STRONG}{place}{STRONG:#}",
                verdict.done,
                migrations(verdict.steps)
            ),
        };
    }
    if !verdict.message.is_empty() {
        let _ = writeln!(text, "{BAD}error{BAD:#}: {}", lines(&verdict.message));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(verdict: &str) -> String {
        anstream::adapter::strip_str(&table(&verdict::parse(verdict).unwrap())).to_string()
    }

    #[test]
    fn the_table_is_the_jobs() {
        for (verdict, expected) in [
            (
                r#"{"outcome": "done", "exit_code": 0, "command": "upgrade", "from": "base", "to": 2, "current": 2,
                    "head": 2, "steps": 2, "done": 2, "message": "", "migrations": [
                    {"version": 1, "description": "create a", "status": "done", "milliseconds": 12},
                    {"version": 2, "description": "b", "status": "done", "milliseconds": 3}]}"#,
                "upgrade from base to 2: 2 migrations\n  applied  1  create a      12 ms\n  applied  2  b              3 ms\n\
                 done: 2 migrations; the database is at 2 (head)\n",
            ),
            (
                r#"{"outcome": "done", "exit_code": 0, "command": "upgrade", "from": 2, "to": 2, "current": 2, "head": 3,
                    "steps": 0, "done": 0, "message": ""}"#,
                "upgrade from 2 to 2: 0 migrations\nnothing to do: the database is at 2\n",
            ),
            (
                r#"{"outcome": "failed", "exit_code": 5, "command": "downgrade", "from": 9, "to": "base", "current": 8,
                    "steps": 9, "done": 1, "omitted": 1, "message": "reverting 8 (b): no", "migrations": [
                    {"version": 8, "description": "b", "status": "failed"}]}"#,
                "downgrade from 9 to base: 9 migrations\n  … and 1 before\n  failed  8  b\n\
                 1 of 9 migrations done; the database is at 8\nerror: reverting 8 (b): no\n",
            ),
            (r#"{"exit_code": 2, "message": "wrong"}"#, "error: wrong\n"),
        ] {
            assert_eq!(plain(verdict), expected);
        }
    }
}
