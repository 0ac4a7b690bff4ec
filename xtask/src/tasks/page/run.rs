//! What became of the run, as the page tells it: from the record that the deploying job kept, and from nothing it printed.

use std::fmt::Write as _;

use foreign_text::markdown;

use verdict::{ExitCode, Record, RunEnd, StepStatus, Verdict, VerdictRow, migrations};
use workspace::github::cell;

/// Of a log no more is shown than what an end needs: the artifact has the whole.
const LINES: usize = 40;
const CHARACTERS: usize = 4000;

/// Whether the job left a last word.
pub(super) fn has_spoken(record: &Record) -> bool {
    record.verdict.exit_code.is_some()
}

/// Whether the job ended well.
pub(super) fn is_done(record: &Record) -> bool {
    record.end == RunEnd::Finished && record.verdict.exit_code == Some(ExitCode::Done)
}

/// Where the database is; nothing while the Job may still run.
pub(super) fn place(record: &Record) -> Option<String> {
    let Verdict { exit_code, steps, done, .. } = &record.verdict;
    let place = record.verdict.place().filter(|_| record.end == RunEnd::Finished)?;
    Some(match exit_code {
        Some(ExitCode::Done) => place,
        _ => format!("{place}; {done} of {} done", migrations(*steps)),
    })
}

/// The steps, and the end.
pub(super) fn section(record: &Record) -> String {
    let verdict = &record.verdict;
    let Verdict { steps, migrations: rows, omitted, message, .. } = verdict;
    let heading = match verdict.heading() {
        _ if is_done(record) && *steps == 0 => "nothing to do".to_owned(),
        heading => heading.unwrap_or_else(|| "the job".to_owned()),
    };
    let mut text = format!("\n## Run: {}\n\n", cell(&heading));
    if !rows.is_empty() {
        text.push_str("| | version | migration | took |\n|---|---|---|--:|\n");
    }
    if *omitted > 0 {
        let _ = writeln!(text, "| … | | {omitted} more before | |");
    }
    for VerdictRow { version, description, status, milliseconds } in rows {
        let what = match status {
            StepStatus::Done => format!("✅ {}", verdict.verb()),
            StepStatus::RolledBack => "↩️ rolled back".to_owned(),
            StepStatus::Failed => "❌ failed".to_owned(),
            StepStatus::Uncommitted => "❌ not committed".to_owned(),
            StepStatus::Planned => "– not reached".to_owned(),
        };
        let took = milliseconds.map(|time| format!("{time} ms")).unwrap_or_default();
        let _ = writeln!(text, "| {what} | `{version}` | {} | {took} |", cell(description));
    }
    if let Some(place) = verdict.place().filter(|_| is_done(record)) {
        let time: u64 = rows.iter().filter_map(|row| row.milliseconds).sum();
        let _ = match steps {
            0 => writeln!(text, "\nnothing to do: the database is {place}"),
            _ => writeln!(text, "\ndone: {} in {time} ms; the database is {place}", migrations(verdict.done)),
        };
    }
    if !message.is_empty() {
        let _ = write!(text, "\nThe job said:\n\n{}", markdown::block(message));
    } else if let Some(failure) = &record.failure {
        let _ = writeln!(text, "\n{}", cell(failure));
    }
    text
}

/// The end of what was printed, for a run that left no last word.
pub(super) fn log(printed: &str) -> String {
    let lines: Vec<_> = printed.lines().collect();
    let last = lines[lines.len().saturating_sub(LINES)..].join("\n");
    let start = last.char_indices().rev().nth(CHARACTERS - 1).map_or(0, |(at, _)| at);
    format!("\n## Log, its end\n\n{}", markdown::block(&last[start..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn failed(message: &str, description: &str) -> Record {
        let verdict = serde_json::json!({"exit_code": 5, "command": "upgrade", "from": "base", "to": 2, "current": 1,
            "head": 2, "steps": 2, "done": 1, "message": message, "migrations": [
            {"version": 1, "description": "a", "status": "done", "milliseconds": 5},
            {"version": 2, "description": description, "status": "failed"}]});
        Record::parse(&verdict.to_string()).unwrap()
    }

    #[test]
    fn a_failure_is_told_from_the_verdict() {
        let record = failed("applying 2 (b): no\n  = state: it was rolled back", "b");
        assert_eq!(place(&record).as_deref(), Some("at 1; 1 of 2 migrations done"));
        assert_eq!(
            section(&record),
            "\n## Run: upgrade from base to 2: 2 migrations\n\n| | version | migration | took |\n|---|---|---|--:|\n\
             | ✅ applied | `1` | a | 5 ms |\n| ❌ failed | `2` | b |  |\n\
             \nThe job said:\n\n````text\napplying 2 (b): no\n  = state: it was rolled back\n````\n"
        );
    }

    /// A line of four backticks left the fence, and what came behind it was the page's own.
    #[test]
    fn nothing_in_it_is_markdown_of_ours() {
        let text =
            section(&failed("no\n````\n# ✅ v1 is released\n\r\x1b[2J", "<b>|`x` [a](https://b) @all"));
        assert!(text.contains("`````text\nno\n````\n# ✅ v1 is released\n\\r\\u{1b}[2J\n`````\n"), "{text}");
        assert!(text.contains(r"&lt;b>\|\`x\` \[a\](https:<!-- -->//b) @<!-- -->all |"), "{text}");
    }

    #[test]
    fn a_log_is_cut_to_its_end() {
        let printed: String = (0..99).map(|line| format!("{line} ``````\n")).collect();
        let text = log(&printed);
        assert!(text.starts_with("\n## Log, its end\n\n```````text\n59 ``````\n"), "{text}");
        assert!(text.ends_with("98 ``````\n```````\n"), "{text}");
        assert!(log(&"ü".repeat(99_999)).chars().count() < CHARACTERS + 60);
    }
}
