//! What a run says of itself to machines: the document on stdout. Plain data that is read as it is written.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::command::Command;
use crate::excerpt::Excerpt;
use crate::exit_code::{self, ExitCode};
use crate::revision::Position;
use crate::state::{Entry, Status};
use crate::version::{Direction, Version};

/// Counted up when a field changes its meaning or goes; one more field is no such change.
pub const SCHEMA_VERSION: u32 = 1;

/// Which database, and where it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// What was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Command>,
    /// The database's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Where its history is kept.
    #[serde(flatten)]
    pub bookkeeping: Option<Bookkeeping>,
    /// Where the database was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Position>,
    /// Where it was to go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Position>,
    /// Where it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<Position>,
    /// The newest migration there is a script for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<Version>,
}

/// Everything there is to say about a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Which database, and where it is.
    #[serde(flatten)]
    pub header: Header,
    /// The plan, and what became of each step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<StepReport>>,
    /// `current`: what is not simply applied; `history`: everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub migrations: Option<Vec<MigrationReport>>,
    /// `stamp` and `resolve`: what was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded: Option<Vec<String>>,
    /// What is odd, but did not stop the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// How long the run took, from its start to its end.
    #[serde(skip)]
    pub took: Duration,
}

impl Report {
    /// The steps, of which there may be none.
    pub fn steps(&self) -> &[StepReport] {
        self.steps.as_deref().unwrap_or_default()
    }

    /// How many steps were committed.
    pub fn done(&self) -> usize {
        self.steps().iter().filter(|step| step.status == StepStatus::Done).count()
    }

    /// Where the database is, for a sentence.
    pub fn place(&self) -> String {
        let Header { current, head, .. } = self.header;
        current.unwrap_or(Position::Base).place(head)
    }
}

/// The document on stdout: how the run ended, and the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// [`SCHEMA_VERSION`]; 0 of a job that did not say.
    #[serde(default)]
    pub schema_version: u32,
    /// How it ended, in one word.
    pub outcome: ExitCode,
    /// The same as a number.
    #[serde(with = "exit_code::number")]
    pub exit_code: Option<ExitCode>,
    /// What was done until then.
    #[serde(flatten)]
    pub report: Report,
    /// Why it ended early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorReport>,
}

impl Document {
    /// Of a run that ended so.
    pub fn of(report: Report, end: ExitCode, error: Option<ErrorReport>) -> Self {
        Self { schema_version: SCHEMA_VERSION, outcome: end, exit_code: Some(end), report, error }
    }
}

/// One step of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReport {
    /// The migration.
    pub version: Version,
    /// Its description.
    pub description: String,
    /// Which way.
    pub direction: Direction,
    /// Whether it has a transaction.
    pub transactional: bool,
    /// The statement it goes on with, from 1, where an earlier run began it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resumes_at: Option<usize>,
    /// What became of it.
    pub status: StepStatus,
    /// How long it took, with the attempts that met a lock and the pauses after them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<u64>,
    /// How long these were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited_milliseconds: Option<u64>,
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// Not reached.
    Planned,
    /// Ran, in a transaction that is still open.
    Uncommitted,
    /// Committed.
    Done,
    /// Ran, and was undone because a later step of its transaction failed, or because the server lost it.
    RolledBack,
    /// Stopped the run.
    Failed,
}

/// One migration in `history` and `current`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrationReport {
    /// Its number.
    pub version: Version,
    /// The rest of its name.
    pub description: String,
    /// How file and row go together.
    pub status: Status,
    /// When it was applied, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied_at: Option<String>,
    /// How long that took, where it was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<u64>,
    /// Whether this is where the database is.
    pub is_current: bool,
    /// Whether this is the newest with a script.
    pub is_head: bool,
}

impl MigrationReport {
    /// Of one version.
    pub fn of(entry: &Entry<'_>, current: Position, head: Option<Version>) -> Self {
        let milliseconds = |nanoseconds: i64| u64::try_from(nanoseconds).ok().map(|time| time / 1_000_000);
        Self {
            version: entry.version,
            description: entry.description().to_owned(),
            status: entry.status,
            applied_at: entry.applied.map(|applied| applied.installed_on.clone()),
            milliseconds: entry.applied.and_then(|applied| milliseconds(applied.execution_time)),
            is_current: current == Position::At(entry.version),
            is_head: head == Some(entry.version),
        }
    }
}

/// Why a run ended early; of a step that failed, where and what the server said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorReport {
    /// What happened, in one sentence.
    pub message: String,
    /// The migration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// Its script.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Where in it.
    #[serde(skip_serializing_if = "Option::is_none", flatten)]
    pub excerpt: Option<Excerpt>,
    /// The server's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sqlstate: Option<String>,
    /// The server's detail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The server's context: the functions and queries that it was in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The query that a function of the server was running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub internal_query: Option<String>,
    /// Whether detail, context, the internal query, or a value in the message is left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub detail_hidden: bool,
    /// The server's hint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// How the database is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The bookkeeping table, or that there is none where the role looks. A database whose table lies elsewhere looks
/// like an empty one otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Bookkeeping {
    /// None was found, and this run creates it, or would. First, since it is read as what has the most fields.
    Planned {
        /// The table, with its schema, quoted for SQL.
        bookkeeping: String,
        /// Where it was looked for.
        search_path: String,
    },
    /// It is there.
    Found {
        /// The table, with its schema, quoted for SQL.
        bookkeeping: String,
    },
    /// None was found.
    Missing {
        /// Always `null`.
        bookkeeping: (),
        /// Where it was looked for.
        search_path: String,
        /// What to do if there should be one; only where there is one that it may be.
        #[serde(skip_serializing_if = "Option::is_none")]
        next: Option<String>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Verdict;

    fn report(bookkeeping: Bookkeeping) -> Report {
        let header = Header {
            command: Some(Command::Upgrade),
            database: Some("website".to_owned()),
            bookkeeping: Some(bookkeeping),
            from: Some(Position::Base),
            to: Some(Position::At(Version(2))),
            current: Some(Position::At(Version(1))),
            head: Some(Version(2)),
        };
        Report {
            header,
            steps: Some(vec![StepReport {
                version: Version(2),
                description: "b".to_owned(),
                direction: Direction::Up,
                transactional: true,
                resumes_at: None,
                status: StepStatus::Failed,
                milliseconds: Some(3),
                waited_milliseconds: None,
            }]),
            ..Report::default()
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let path = "\"$user\", public".to_owned();
        let bookkeeping = "\"s\".\"_sqlx_migrations\"".to_owned();
        for bookkeeping in [
            Bookkeeping::Found { bookkeeping: bookkeeping.clone() },
            Bookkeeping::Planned { bookkeeping, search_path: path.clone() },
            Bookkeeping::Missing {
                bookkeeping: (),
                search_path: path.clone(),
                next: Some("look".to_owned()),
            },
            Bookkeeping::Missing { bookkeeping: (), search_path: path, next: None },
        ] {
            let report = report(bookkeeping);
            let excerpt = Excerpt::at("a\nb", 2, false);
            let error = ErrorReport { excerpt: Some(excerpt), detail_hidden: true, ..ErrorReport::default() };
            for error in [None, Some(ErrorReport::default()), Some(error)] {
                let document = Document::of(report.clone(), ExitCode::Failed, error);
                let json = serde_json::to_string(&document).unwrap();
                let mut read: Document = serde_json::from_str(&json).unwrap();
                // How far in a line the caret is does not travel.
                if let (Some(read), Some(written)) = (&mut read.error, &document.error) {
                    read.excerpt.clone_from(&written.excerpt);
                }
                assert_eq!(read, document, "{json}");
            }
            let verdict = Verdict::of(&report, ExitCode::Failed, "why".to_owned());
            let json = serde_json::to_string(&verdict).unwrap();
            // The word is for people; the number is what is read.
            let read: Verdict = serde_json::from_str(&json).unwrap();
            assert_eq!(read, Verdict { outcome: None, ..verdict }, "{json}");
        }
    }

    #[test]
    fn a_missing_table_is_null() {
        let none = Bookkeeping::Missing { bookkeeping: (), search_path: "a".to_owned(), next: None };
        let json = serde_json::json!({"bookkeeping": null, "search_path": "a"});
        assert_eq!(serde_json::to_value(none).unwrap(), json);
    }
}
