//! The last word of a run, for Kubernetes' termination message.

use std::fs::OpenOptions;
use std::io::Write as _;

use foreign_text::json;
use serde::Serialize;

use crate::config::Environment;

/// Kubernetes keeps so many bytes of a termination message:
/// <https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/>.
const LIMIT: usize = 4096;

/// What a message may take where the table would need more than is left.
const MESSAGE: usize = LIMIT / 2;

/// Writes the verdict where kubelet reads it. Only in a cluster: elsewhere the file is not ours.
pub fn leave<T: Serialize, R: Serialize>(environment: &Environment, verdict: &T, rows: &[R], message: &str) {
    if !environment.is_in_cluster() {
        return;
    }
    let path = environment.text("TERMINATION_MESSAGE_PATH").unwrap_or("/dev/termination-log");
    let text = within_limit(verdict, rows, message);
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

#[derive(Serialize)]
struct Document<'a, T, R> {
    #[serde(flatten)]
    verdict: &'a T,
    #[serde(skip_serializing_if = "<[R]>::is_empty")]
    migrations: &'a [R],
    /// How many rows there were before these.
    #[serde(skip_serializing_if = "is_zero")]
    omitted: usize,
    message: &'a str,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Leaves out the first rows, and the end of the message, until the whole fits.
fn within_limit<T: Serialize, R: Serialize>(verdict: &T, rows: &[R], message: &str) -> String {
    let render = |omitted: usize, keep: usize| {
        let (migrations, message) = (&rows[omitted..], &message[..message.floor_char_boundary(keep)]);
        json(&serde_json::to_string(&Document { verdict, migrations, omitted, message }).unwrap_or_default())
    };
    let (mut omitted, mut keep) = (0, message.len());
    loop {
        let text = render(omitted, keep);
        if text.len() <= LIMIT || (omitted == rows.len() && keep == 0) {
            return text;
        }
        let excess = text.len() - LIMIT;
        let spare = keep.saturating_sub(MESSAGE);
        if spare > 0 {
            keep -= spare.min(excess);
        } else if omitted < rows.len() {
            let mut freed = 0;
            while freed < excess && omitted < rows.len() {
                freed += serde_json::to_string(&rows[omitted]).map_or(0, |row| json(&row).len()) + 1;
                omitted += 1;
            }
        } else {
            keep = keep.saturating_sub(excess);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Code {
        exit_code: u8,
    }

    #[derive(Serialize)]
    struct Row {
        version: usize,
        description: String,
    }

    fn rows(count: usize, description: &str) -> Vec<Row> {
        (1..=count).map(|version| Row { version, description: description.to_owned() }).collect()
    }

    #[test]
    fn fits() {
        let awkward = "ü\"\n\u{1}".repeat(3000);
        for message in ["", "short", &"long ".repeat(500), &awkward] {
            for rows in [rows(0, ""), rows(3, "add a"), rows(1000, "add b"), rows(9, &awkward)] {
                let text = within_limit(&Code { exit_code: 5 }, &rows, message);
                assert!(text.len() <= LIMIT, "{}", text.len());
                let value: serde_json::Value = serde_json::from_str(&text).unwrap();
                assert_eq!(value["exit_code"], 5);
                assert!(message.starts_with(value["message"].as_str().unwrap()));
                let kept = value["migrations"].as_array().map_or(0, Vec::len);
                assert_eq!(kept + value["omitted"].as_u64().map_or(0, |n| n as usize), rows.len());
            }
        }
    }

    /// The last rows are those of the step that failed and of what preceded it.
    #[test]
    fn the_last_rows_and_the_start_of_the_message_stay() {
        let text = within_limit(&Code { exit_code: 5 }, &rows(1000, "add b"), &"why ".repeat(1000));
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let kept = value["migrations"].as_array().unwrap();
        assert_eq!(kept.last().unwrap()["version"], 1000);
        assert!(kept.len() > 30, "{}", kept.len());
        assert!(value["message"].as_str().unwrap().len() > 1900);
        assert!(text.len() > LIMIT - 100, "{} bytes are used", text.len());
    }
}
