//! The last word of a run, for Kubernetes' termination message.

use std::fs::OpenOptions;
use std::io::Write as _;

use foreign_text::json;
use migration_core::verdict::Verdict;
use serde::Serialize;

use crate::cli::Environment;

/// Kubernetes keeps so many bytes of a termination message:
/// <https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/>.
const LIMIT: usize = 4096;

/// What a message may take where the table would need more than is left.
const MESSAGE: usize = LIMIT / 2;

/// Writes the verdict where kubelet reads it. Only in a cluster: elsewhere the file is not ours.
pub(crate) fn leave(environment: &Environment, verdict: Verdict) {
    if !environment.is_in_cluster() {
        return;
    }
    let path = environment.text("TERMINATION_MESSAGE_PATH").unwrap_or("/dev/termination-log");
    let text = within_limit(verdict);
    // The file is kubelet's: it is there already, or there is nobody to read it.
    let written = OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    if let Err(error) = written {
        tracing::debug!("no verdict left at {path}: {error}");
    }
}

/// Leaves out the first rows, and the middle of the message, until the whole fits: what happened is at its start, and
/// the state and the next step are at its end.
fn within_limit(mut verdict: Verdict) -> String {
    loop {
        let text = rendered(&verdict);
        let (rows, message) = (verdict.migrations.len(), verdict.message.len());
        if text.len() <= LIMIT || (rows == 0 && message == 0) {
            return text;
        }
        let excess = text.len() - LIMIT;
        let spare = message.saturating_sub(MESSAGE);
        if spare > 0 || rows == 0 {
            let least = if spare > 0 { spare } else { message };
            let keep = message - least.min(excess);
            verdict.message = without_the_middle(&verdict.message, keep);
        } else {
            let mut freed = 0;
            let rows = verdict.migrations.iter().take_while(|row| {
                let is_needed = freed < excess;
                freed += rendered(row).len() + 1;
                is_needed
            });
            let left_out = rows.count();
            verdict.migrations.drain(..left_out);
            verdict.omitted += left_out;
        }
    }
}

fn without_the_middle(text: &str, keep: usize) -> String {
    const GAP: &str = "…";
    let Some(keep) = keep.checked_sub(GAP.len()) else { return String::new() };
    let start = text.floor_char_boundary(keep / 2);
    let end = text.ceil_char_boundary(text.len() - keep / 2);
    format!("{}{GAP}{}", &text[..start], &text[end..])
}

fn rendered(value: &impl Serialize) -> String {
    json(&serde_json::to_string(value).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use migration_core::verdict::VerdictRow;
    use migration_core::{ExitCode, Report, StepStatus, Version};

    use super::*;

    fn rows(count: i64, description: &str) -> Vec<VerdictRow> {
        let row = |version| VerdictRow {
            version: Version(version),
            description: description.to_owned(),
            status: StepStatus::Done,
            milliseconds: None,
        };
        (1..=count).map(row).collect()
    }

    fn verdict(migrations: Vec<VerdictRow>, message: &str) -> Verdict {
        Verdict { migrations, ..Verdict::of(&Report::default(), ExitCode::Failed, message.to_owned()) }
    }

    #[test]
    fn fits() {
        let awkward = "ü\"\n\u{1}".repeat(3000);
        for message in ["", "short", &"long ".repeat(500), &awkward] {
            for rows in [rows(0, ""), rows(3, "add a"), rows(1000, "add b"), rows(9, &awkward)] {
                let text = within_limit(verdict(rows.clone(), message));
                assert!(text.len() <= LIMIT, "{}", text.len());
                let value: serde_json::Value = serde_json::from_str(&text).unwrap();
                assert_eq!(value["exit_code"], 5);
                let told = value["message"].as_str().unwrap();
                let (start, end) = told.split_once('…').unwrap_or((told, ""));
                assert!(message.starts_with(start) && message.ends_with(end));
                assert!(message.is_empty() || !start.is_empty());
                let kept = value["migrations"].as_array().map_or(0, Vec::len);
                assert_eq!(kept + value["omitted"].as_u64().map_or(0, |n| n as usize), rows.len());
            }
        }
    }

    /// The last rows are those of the step that failed and of what preceded it.
    #[test]
    fn the_last_rows_and_both_ends_of_the_message_stay() {
        let message = format!("{}\n = state: as before\n = next: run again", "why ".repeat(1000));
        let text = within_limit(verdict(rows(1000, "add b"), &message));
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let kept = value["migrations"].as_array().unwrap();
        assert_eq!(kept.last().unwrap()["version"], 1000);
        assert!(kept.len() > 30, "{}", kept.len());
        let message = value["message"].as_str().unwrap();
        assert!(message.len() > 1900 && message.starts_with("why why"));
        assert!(message.ends_with("\n = state: as before\n = next: run again"));
        assert!(text.len() > LIMIT - 100, "{} bytes are used", text.len());
    }
}
