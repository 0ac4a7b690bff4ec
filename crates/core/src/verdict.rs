//! The last word of a run, which Kubernetes keeps.

use serde::{Deserialize, Serialize};

use crate::command::Command;
use crate::exit_code::{self, ExitCode};
use crate::revision::Position;
use crate::summary::{Header, Report, SCHEMA_VERSION, StepReport, StepStatus};
use crate::version::Version;
use crate::wording;

/// The few facts that fit into a termination message. Everything may be missing: an older job leaves less.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Verdict {
    /// [`SCHEMA_VERSION`]; 0 of a job that did not say.
    #[serde(skip_serializing_if = "is_unsaid")]
    pub schema_version: u32,
    /// How the run ended, in one word for people: whoever reads the verdict goes by the number.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<ExitCode>,
    /// The same as a number.
    #[serde(with = "exit_code::number", skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<ExitCode>,
    /// Which database, and where it is.
    #[serde(flatten)]
    pub header: Header,
    /// How many steps the plan has.
    pub steps: usize,
    /// How many of them were committed.
    pub done: usize,
    /// The last steps that were reached, as many as fitted: what is left of the table when nobody has the log.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub migrations: Vec<VerdictRow>,
    /// How many rows there were before these.
    #[serde(skip_serializing_if = "is_zero")]
    pub omitted: usize,
    /// Why it ended early.
    pub message: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_unsaid(version: &u32) -> bool {
    *version == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Verdict {
    /// Of a run that ended so.
    pub fn of(report: &Report, end: ExitCode, message: String) -> Self {
        let reached = report.steps().iter().filter(|step| step.status != StepStatus::Planned);
        let row = |step: &StepReport| VerdictRow {
            version: step.version,
            description: step.description.clone(),
            status: step.status,
            milliseconds: step.milliseconds,
        };
        Self {
            schema_version: SCHEMA_VERSION,
            outcome: Some(end),
            exit_code: Some(end),
            header: report.header.clone(),
            steps: report.steps().len(),
            done: report.done(),
            migrations: reached.map(row).collect(),
            omitted: 0,
            message,
        }
    }

    /// `upgrade from base to 2: 2 migrations`
    pub fn heading(&self) -> Option<String> {
        let Header { command, from, to, .. } = &self.header;
        let (command, from, to) = (command.as_ref()?, from.as_ref()?, to.as_ref()?);
        Some(format!("{command} from {from} to {to}: {}", wording::migrations(self.steps)))
    }

    /// Where the database is, as the job says it.
    pub fn place(&self) -> Option<String> {
        Some(match self.header.current? {
            Position::At(version) if Some(version) == self.header.head => format!("at {version} (head)"),
            current => format!("at {current}"),
        })
    }

    /// What a step that was committed has become.
    pub fn verb(&self) -> &'static str {
        if self.header.command == Some(Command::Downgrade) { "reverted" } else { "applied" }
    }
}

/// A step in the verdict's table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictRow {
    /// The migration.
    pub version: Version,
    /// Its description.
    pub description: String,
    /// What became of it.
    pub status: StepStatus,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A verdict with a code that the job does not have, or a word that is none, is no verdict.
    #[test]
    fn what_the_job_does_not_say_is_not_read() {
        assert!(serde_json::from_str::<Verdict>("{}").is_ok_and(|verdict| verdict.exit_code.is_none()));
        for text in [
            r#"{"exit_code": 42}"#,
            r#"{"exit_code": "5"}"#,
            r#"{"current": "999 (head)"}"#,
            r#"{"command": "drop"}"#,
            r#"{"migrations": [{"version": 1, "description": "a", "status": "<b>"}]}"#,
        ] {
            assert!(serde_json::from_str::<Verdict>(text).is_err(), "{text}");
        }
    }
}
