//! Everything that ends a run early, and the exit code of each.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use foreign_text::{lines, one_line};

use crate::database::DatabaseError;
use crate::failure::Failure;
use crate::interrupt::Signal;
use crate::migration::Version;
use crate::plan::PlanError;
use crate::wording::{self, counted, duration};

/// How the process ends; stable, because Kubernetes' `podFailurePolicy` reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// Done, or nothing to do.
    Done = 0,
    /// The result did not reach stdout.
    Unwritten = 1,
    /// Usage, configuration, revision, unusable scripts.
    Usage = 2,
    /// The server can't be reached, or the outcome of a commit could not be learnt.
    Unreachable = 3,
    /// The run lock or a table lock was not granted in time.
    Locked = 4,
    /// A migration failed and was rolled back.
    Failed = 5,
    /// A no-transaction script stands halfway.
    Halfway = 6,
    /// History and database disagree.
    Disagreement = 7,
    /// The server refused.
    Refused = 8,
    /// `current --check`: migrations are pending.
    Pending = 9,
    /// A defect in this program.
    Defect = 70,
    /// SIGINT.
    Interrupted = 130,
    /// SIGTERM.
    Terminated = 143,
}

impl ExitCode {
    /// The one word for it in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Unwritten => "unwritten",
            Self::Usage => "usage",
            Self::Unreachable => "unreachable",
            Self::Locked => "locked",
            Self::Failed => "failed",
            Self::Halfway => "halfway",
            Self::Disagreement => "disagreement",
            Self::Refused => "refused",
            Self::Pending => "pending",
            Self::Defect => "defect",
            Self::Interrupted => "interrupted",
            Self::Terminated => "terminated",
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

/// A setting that is missing or wrong. Holds no value that may be secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The variable or option.
    pub name: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

/// A script that can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptProblem {
    /// The file or directory.
    pub path: PathBuf,
    /// The line, where the problem has one.
    pub line: Option<usize>,
    /// What is wrong and what to do.
    pub problem: String,
}

impl ScriptProblem {
    /// A problem of a whole file.
    pub fn file(path: &Path, problem: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: None, problem: problem.into() }
    }
}

impl fmt::Display for ScriptProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&wording::path(&self.path))?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, " {}", one_line(&self.problem))
    }
}

/// History and database disagree, so that no run is safe.
#[derive(Debug, thiserror::Error)]
pub enum Disagreement {
    /// A no-transaction script stopped in the middle.
    #[error(
        "the no-transaction script of {label} stands halfway, and can't go on by itself: {}{}; \
         look at the database, bring it to one side, then run \
         `resolve {version} --done` if all of the script is in effect, or \
         `resolve {version} --retry` if none of it is",
        one_line(why), because.as_ref().map(|error| format!(", and then: {error}")).unwrap_or_default()
    )]
    Halfway {
        /// The migration.
        version: Version,
        /// `version (description)`
        label: String,
        /// Why a person has to look.
        why: String,
        /// What went wrong then, if that was an error.
        because: Option<Box<Error>>,
    },
    /// Files changed after they were applied.
    #[error(
        "applied migrations were edited:{}\n  put the files back as they were; or, if the database is as \
         the files say, record them anew with `stamp current`", list(.0)
    )]
    Drifted(Vec<String>),
    /// Rows without a file.
    #[error(
        "applied, but without a script here: {}; run the image that has the scripts, or bring them back", .0.join(", ")
    )]
    Unknown(Vec<String>),
    /// Files below the current revision that were never applied.
    #[error(
        "pending below the database's revision: {}; give them versions above it, or apply them as they are \
         with --allow-out-of-order", .0.join(", ")
    )]
    OutOfOrder(Vec<String>),
    /// Alembic's bookkeeping, and none of ours.
    #[error(
        "the database was migrated by Alembic (table {}, revision {}) and has no {ours}; \
         write its schema as the first migration, then run `stamp` with that migration's version",
        one_line(table), one_line(revision), ours = crate::database::BOOKKEEPING
    )]
    Alembic {
        /// The table, with its schema.
        table: String,
        /// What it says.
        revision: String,
    },
}

fn list(items: &[String]) -> String {
    items.iter().map(|item| format!("\n  {}", one_line(item))).collect()
}

/// What a signal leaves of the step that was under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aftermath {
    /// Nothing, or a script that the next run goes on with.
    Nothing,
    /// A commit was under way, and the server did not say what became of it.
    Unknown,
    /// A script that stands halfway and can't go on by itself.
    Halfway,
}

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Words on the command line that clap can't make sense of.
    #[error("{}", one_line(.0))]
    Usage(String),
    /// Settings are missing or wrong; all of them.
    #[error("{} wrong:{}", counted(.0.len(), "setting is", "settings are"), mistakes(.0))]
    Configuration(Vec<Mistake>),
    /// Scripts that can't be used; all of them.
    #[error("{} unusable:{}", counted(files(.0), "script is", "scripts are"),
        list(&.0.iter().map(ToString::to_string).collect::<Vec<_>>()))]
    Scripts(Vec<ScriptProblem>),
    /// No plan for this revision.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// stdout takes no more.
    #[error("the result could not be written: {0}; nothing was changed")]
    Unwritten(io::Error),
    /// A range whose end lies below its start.
    #[error("{0} lies above {1}, and a range goes up; say {1}:{0}", one_line(from), one_line(to))]
    Range {
        /// Its start, as typed.
        from: String,
        /// Its end, as typed.
        to: String,
    },
    /// The server did not answer in time.
    #[error("no connection to the server within {}: {}; nothing was changed", duration(*.after), one_line(reason))]
    Unreachable {
        /// CONNECT_TIMEOUT.
        after: Duration,
        /// What happened last.
        reason: String,
    },
    /// The run lock is held by somebody else.
    #[error("the run lock was not granted within {}: it is held by {holder}; {state}; run again later", duration(*.after))]
    RunLock {
        /// RUN_LOCK_TIMEOUT.
        after: Duration,
        /// The session that holds it.
        holder: String,
        /// How the database stands.
        state: String,
    },
    /// A step of the plan failed.
    #[error(transparent)]
    Step(Box<Failure>),
    /// The connection went, or a query of ours failed.
    #[error("{doing}: {}{state}", source.in_full())]
    Database {
        /// What was being done.
        doing: &'static str,
        /// What the server or the connection said.
        source: DatabaseError,
        /// How the database stands, where the run had begun to change it.
        state: String,
    },
    /// The server refuses what the job needs.
    #[error("{}", one_line(.0))]
    Refused(String),
    /// `resolve` has nothing to resolve.
    #[error("{}", one_line(.0))]
    NothingToResolve(String),
    /// `current --check`.
    #[error("{} pending: {}", counted(.0.len(), "migration is", "migrations are"), shortened(.0))]
    Pending(Vec<String>),
    /// A signal ended the run between two steps.
    #[error("{signal}; {state}")]
    Interrupted {
        /// Which one.
        signal: Signal,
        /// How the database stands.
        state: String,
        /// What is left of the step that was under way.
        left: Aftermath,
    },
    /// This program is wrong.
    #[error("a defect in this program: {}; please report it", lines(.0))]
    Defect(String),
}

impl Error {
    /// A signal that found nothing halfway.
    pub fn interrupted(signal: Signal, state: impl Into<String>) -> Self {
        Self::Interrupted { signal, state: state.into(), left: Aftermath::Nothing }
    }

    /// A query of ours that failed before anything was changed.
    pub fn database(doing: &'static str, source: DatabaseError) -> Self {
        Self::Database { doing, source, state: String::new() }
    }

    /// Leaves out what the server's words may hold of rows.
    pub fn hide_row_values(&mut self) {
        match self {
            Self::Step(failure) => failure.error.hide_row_values(),
            Self::Database { source, .. } => source.hide_row_values(),
            Self::Plan(PlanError::Disagreement(Disagreement::Halfway { because: Some(error), .. })) => {
                error.hide_row_values();
            }
            _ => {}
        }
    }

    /// Inside a sentence about something else, which has no place for the values of rows.
    pub fn in_passing(mut self) -> String {
        self.hide_row_values();
        match self {
            Self::Database { doing, source, state } => format!("{doing}: {source}{state}"),
            other => other.to_string(),
        }
    }

    /// The documented code.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) | Self::Configuration(_) | Self::Scripts(_) | Self::NothingToResolve(_) => {
                ExitCode::Usage
            }
            Self::Unwritten(_) => ExitCode::Unwritten,
            Self::Range { .. } | Self::Plan(PlanError::Revision(_) | PlanError::WrongWay { .. }) => {
                ExitCode::Usage
            }
            Self::Plan(PlanError::Disagreement(Disagreement::Halfway { .. })) => ExitCode::Halfway,
            Self::Plan(PlanError::Disagreement(_)) => ExitCode::Disagreement,
            Self::Unreachable { .. } => ExitCode::Unreachable,
            Self::RunLock { .. } => ExitCode::Locked,
            Self::Step(failure) => failure.exit_code(),
            Self::Database { source, .. } => source.exit_code(),
            Self::Refused(_) => ExitCode::Refused,
            Self::Pending(_) => ExitCode::Pending,
            Self::Interrupted { left: Aftermath::Halfway, .. } => ExitCode::Halfway,
            Self::Interrupted { left: Aftermath::Unknown, .. } => ExitCode::Unreachable,
            Self::Interrupted { left: Aftermath::Nothing, signal, .. } => signal.exit_code(),
            Self::Defect(_) => ExitCode::Defect,
        }
    }
}

impl From<Disagreement> for Error {
    fn from(disagreement: Disagreement) -> Self {
        Self::Plan(disagreement.into())
    }
}

/// How many there are problems in.
fn files(problems: &[ScriptProblem]) -> usize {
    problems.iter().map(|problem| &problem.path).collect::<BTreeSet<_>>().len()
}

fn mistakes(mistakes: &[Mistake]) -> String {
    let line = |mistake: &Mistake| format!("\n  {}: {}", one_line(&mistake.name), one_line(&mistake.problem));
    mistakes.iter().map(line).collect()
}

/// The first few, and how many more.
fn shortened(items: &[String]) -> String {
    const SHOWN: usize = 5;
    let more = items.len().saturating_sub(SHOWN);
    let shown = items.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

#[cfg(test)]
mod tests {
    use foreign_text::Text;

    use super::*;
    use crate::database::ServerError;

    fn with_a_row() -> Error {
        let text = |text: &str| Some(Text::from(text));
        let error = ServerError {
            is_fatal: false,
            sqlstate: "22000".to_owned(),
            message: "value \"ann@example.org\" is odd".into(),
            detail: text("Failing row contains (ann@example.org)."),
            hint: None,
            context: text("ann@example.org"),
            position: None,
            internal: None,
            has_hidden_values: false,
        };
        Error::database("looking at the indexes", DatabaseError::Server(Box::new(error)))
    }

    /// The words of an error that left a script halfway were kept as text, and stayed when all others were hidden.
    #[test]
    fn row_values_are_hidden_in_whatever_holds_the_error() {
        let halfway = |error| {
            Error::from(Disagreement::Halfway {
                version: Version(2),
                label: "2 (b)".to_owned(),
                why: "1 of 3".to_owned(),
                because: Some(Box::new(error)),
            })
        };
        for mut error in [with_a_row(), halfway(with_a_row()), halfway(halfway(with_a_row()))] {
            assert!(error.to_string().contains("detail: Failing row contains (ann@example.org)."), "{error}");
            error.hide_row_values();
            let told = error.to_string();
            assert!(!told.contains("ann@") && told.contains("set DETAIL=show to see it"), "{told}");
        }
    }

    #[test]
    fn in_passing_no_row_values_are_told() {
        assert_eq!(
            with_a_row().in_passing(),
            "looking at the indexes: value \"\u{2026}\" is odd (SQLSTATE 22000)"
        );
    }
}
