//! What the job left as its last word, and what became of the run: facts, never read from prose.

use serde::{Deserialize, Serialize};

pub use migration_core::verdict::{Verdict, VerdictRow};
pub use migration_core::wording::migrations;
pub use migration_core::{ExitCode, StepStatus};

/// Kubernetes keeps 4096 bytes of a termination message; we add little to it.
const LONGEST: usize = 16 << 10;

/// Nothing, if the message is none of the job's.
pub fn parse(message: &str) -> Option<Verdict> {
    let verdict: Verdict = (message.len() <= LONGEST).then(|| serde_json::from_str(message).ok())??;
    Some(verdict).filter(|verdict| verdict.exit_code.is_some())
}

/// What became of a run in a cluster, for whoever was not there: the file of `--verdict`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    #[serde(default)]
    pub end: RunEnd,
    /// What is known of the reason, beside the verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// How far the run was followed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunEnd {
    /// No Job was made.
    NotStarted,
    /// There is a Job, and nobody saw its end.
    Left,
    /// It could not start, or was deleted.
    Stopped,
    #[default]
    Finished,
}

impl Record {
    /// A run without a verdict.
    pub fn of(end: RunEnd) -> Self {
        Self { end, ..Self::default() }
    }

    /// # Errors
    /// What is no such record, is too long, or holds something that the job does not say.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        anyhow::ensure!(text.len() <= LONGEST, "it is longer than {LONGEST} bytes");
        Ok(serde_json::from_str(text)?)
    }

    pub fn json(&self) -> anyhow::Result<String> {
        Ok(foreign_text::json(&serde_json::to_string_pretty(self)?) + "\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_codes_are_those_of_the_page_and_the_manifest() {
        let codes = ExitCode::ALL.map(ExitCode::code);
        let page = include_str!("../../../docs/exit-codes.md");
        let (_, table) = page.split_once("# Exit codes\n").unwrap();
        let (table, _) = table.split_once("\n## ").unwrap();
        let cells =
            table.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" |")).map(|(cell, _)| cell);
        let told: Vec<u8> =
            cells.flat_map(|cell| cell.split(", ")).filter_map(|code| code.parse().ok()).collect();
        assert_eq!(told, codes);

        let manifest = include_str!("../../../k8s/base/job.yaml");
        let (_, values) = manifest.split_once("values: [").unwrap();
        let (values, _) = values.split_once(']').unwrap();
        let at_once: Vec<u8> = values.split(", ").map(|code| code.parse().unwrap()).collect();
        // Success, and what another pod may get past.
        let others = [0, 3, 4, 130, 143];
        for code in codes {
            assert_ne!(
                at_once.contains(&code),
                others.contains(&code),
                "{code} is in podFailurePolicy or not"
            );
        }
    }

    #[test]
    fn what_is_no_verdict_is_none() {
        for text in [
            "",
            "killed",
            "{}",
            "[]",
            "{\"exit_code\": \"5\"}",
            "{\"exit_code\": 5",
            r#"{"exit_code": 42}"#,
            r#"{"exit_code": 0, "current": "999 (head)"}"#,
            r#"{"exit_code": 0, "head": "999"}"#,
            r#"{"exit_code": 0, "command": "drop"}"#,
            r#"{"exit_code": 0, "migrations": [{"version": 1, "description": "a", "status": "<b>"}]}"#,
            &format!(r#"{{"exit_code": 0, "message": "{}"}}"#, "a".repeat(LONGEST)),
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_not_known_is_no_reason_to_refuse_the_rest() {
        let verdict = parse(r#"{"exit_code": 0, "outcome": "done", "later": [1]}"#);
        assert_eq!(verdict, Some(Verdict { exit_code: Some(ExitCode::Done), ..Verdict::default() }));
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let verdict = r#"{"outcome": "failed", "exit_code": 5, "command": "upgrade", "from": "base", "to": 2, "current": 1,
            "head": 2, "steps": 2, "done": 1, "omitted": 1, "message": "a ##[b]\u202e",
            "migrations": [{"version": 2, "description": "b", "status": "failed"}]}"#;
        let record = Record {
            end: RunEnd::Finished,
            failure: Some("code 5".to_owned()),
            verdict: parse(verdict).unwrap(),
        };
        assert_eq!(Record::parse(&record.json().unwrap()).unwrap(), record);
        // The job's own words are a record too.
        assert_eq!(Record::parse(verdict).unwrap(), Record { failure: None, ..record });
        for end in [RunEnd::NotStarted, RunEnd::Left, RunEnd::Stopped] {
            let record = Record::of(end);
            assert_eq!(Record::parse(&record.json().unwrap()).unwrap(), record);
        }
        assert!(Record::parse("done: 1 migration; the database is at 999 (head)").is_err());
    }
}
