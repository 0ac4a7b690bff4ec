//! What the job left as its last word, and what became of the run: facts, never read from prose.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// Kubernetes keeps 4096 bytes of a termination message; we add little to it.
const LONGEST: usize = 16 << 10;

/// How the job may end: docs/exit-codes.md; a test holds it to the job's own list.
const EXIT_CODES: [u8; 13] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 70, 130, 143];

/// The JSON of the job's termination message. Everything may be missing: a job that is killed leaves nothing, an older
/// image leaves less. What is there is of the kind it should be, or the whole is no verdict.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Verdict {
    #[serde(deserialize_with = "exit_code", skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Command>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Position>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Position>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<Position>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<i64>,
    pub steps: usize,
    pub done: usize,
    /// The last rows of the table, as many as fitted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub migrations: Vec<Row>,
    #[serde(skip_serializing_if = "is_zero")]
    pub omitted: usize,
    pub message: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// What the job was asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Command {
    Upgrade,
    Downgrade,
    Current,
    History,
    Stamp,
    Resolve,
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Upgrade => "upgrade",
            Self::Downgrade => "downgrade",
            Self::Current => "current",
            Self::History => "history",
            Self::Stamp => "stamp",
            Self::Resolve => "resolve",
        })
    }
}

/// `base`, or a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Position {
    At(i64),
    Named(Base),
}

/// The one place that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Base {
    Base,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(version) => write!(f, "{version}"),
            Self::Named(Base::Base) => f.write_str("base"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    pub version: i64,
    pub description: String,
    pub status: MigrationStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MigrationStatus {
    Planned,
    Uncommitted,
    Done,
    RolledBack,
    Failed,
}

fn exit_code<'de, D: Deserializer<'de>>(given: D) -> Result<Option<u8>, D::Error> {
    let code = Option::<u8>::deserialize(given)?;
    match code {
        Some(code) if !EXIT_CODES.contains(&code) => {
            Err(serde::de::Error::custom(format!("{code} is no exit code of the job")))
        }
        code => Ok(code),
    }
}

impl Verdict {
    /// Nothing, if the message is none of the job's.
    pub fn parse(message: &str) -> Option<Self> {
        let verdict: Self = (message.len() <= LONGEST).then(|| serde_json::from_str(message).ok())??;
        Some(verdict).filter(|verdict| verdict.exit_code.is_some())
    }

    /// `upgrade from base to 2: 2 migrations`
    pub fn heading(&self) -> Option<String> {
        let (command, from, to) = (self.command?, self.from?, self.to?);
        Some(format!("{command} from {from} to {to}: {}", migrations(self.steps)))
    }

    /// Where the database is, as the job says it.
    pub fn place(&self) -> Option<String> {
        Some(match self.current? {
            Position::At(version) if Some(version) == self.head => format!("at {version} (head)"),
            current => format!("at {current}"),
        })
    }

    /// What a step that was committed has become.
    pub fn verb(&self) -> &'static str {
        if self.command == Some(Command::Downgrade) { "taken back" } else { "applied" }
    }
}

/// `1 migration`, `2 migrations`
pub fn migrations(count: usize) -> String {
    format!("{count} {}", if count == 1 { "migration" } else { "migrations" })
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

    /// A verdict with a code that was new in the job was no verdict here.
    #[test]
    fn the_exit_codes_are_those_of_the_job_its_page_and_its_manifest() {
        let source = include_str!("../../core/src/exit_code.rs");
        let (_, source) = source.split_once("pub enum ExitCode {").unwrap();
        let (source, _) = source.split_once("\n}").unwrap();
        let codes: Vec<u8> = source
            .lines()
            .filter_map(|line| line.trim().strip_suffix(',')?.split_once(" = ")?.1.parse().ok())
            .collect();
        assert_eq!(codes, EXIT_CODES);

        let page = include_str!("../../../docs/exit-codes.md");
        let (_, table) = page.split_once("# Exit codes\n").unwrap();
        let (table, _) = table.split_once("\n## ").unwrap();
        let cells =
            table.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" |")).map(|(cell, _)| cell);
        let told: Vec<u8> =
            cells.flat_map(|cell| cell.split(", ")).filter_map(|code| code.parse().ok()).collect();
        assert_eq!(told, EXIT_CODES);

        let manifest = include_str!("../../../k8s/base/job.yaml");
        let (_, values) = manifest.split_once("values: [").unwrap();
        let (values, _) = values.split_once(']').unwrap();
        let at_once: Vec<u8> = values.split(", ").map(|code| code.parse().unwrap()).collect();
        // Success, and what another pod may get past.
        let others = [0, 3, 4, 130, 143];
        for code in EXIT_CODES {
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
            assert_eq!(Verdict::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_not_known_is_no_reason_to_refuse_the_rest() {
        let verdict = Verdict::parse(r#"{"exit_code": 0, "outcome": "done", "later": [1]}"#);
        assert_eq!(verdict, Some(Verdict { exit_code: Some(0), ..Verdict::default() }));
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let verdict = r#"{"outcome": "failed", "exit_code": 5, "command": "upgrade", "from": "base", "to": 2, "current": 1,
            "head": 2, "steps": 2, "done": 1, "omitted": 1, "message": "a ##[b]\u202e",
            "migrations": [{"version": 2, "description": "b", "status": "failed"}]}"#;
        let record = Record {
            end: RunEnd::Finished,
            failure: Some("code 5".to_owned()),
            verdict: Verdict::parse(verdict).unwrap(),
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
