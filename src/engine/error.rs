//! Why a run ended early.

use foreign_text::one_line;
use migration_core::script_problem::UnusableScripts;
use migration_core::wording::{counted, shortened};
use migration_core::{Disagreement, PartiallyApplied, PlanError};

use crate::engine::Failure;
use crate::postgres::{DatabaseError, Error as PostgresError, Signal};

/// What a signal leaves of the step that was under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aftermath {
    /// Nothing, or a script that the next run goes on with.
    Nothing,
    /// A commit was under way, and the server did not say what became of it.
    Unknown,
    /// A partially applied script that can't go on by itself.
    PartiallyApplied,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Scripts(#[from] UnusableScripts),
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A range whose end lies below its start, both as typed.
    #[error("{0} lies above {1}, and a range goes up; say {1}:{0}", one_line(from), one_line(to))]
    Range { from: String, to: String },
    #[error(transparent)]
    Postgres(PostgresError),
    #[error(transparent)]
    Failed(Box<Failure>),
    /// A step stopped in the middle of its script, for another reason than one of its statements.
    #[error("{}", script.because(&format!(", and then: {because}")))]
    PartiallyApplied { script: PartiallyApplied, because: Box<Error> },
    #[error("{}", one_line(.0))]
    NothingToResolve(String),
    #[error("{} pending: {}", counted(.0.len(), "migration is", "migrations are"), shortened(.0))]
    Pending(Vec<String>),
    #[error("{signal}; {state}")]
    Interrupted { signal: Signal, state: String, left: Aftermath },
}

impl Error {
    /// A signal that left nothing unfinished.
    pub(crate) fn interrupted(signal: Signal, state: impl Into<String>) -> Self {
        PostgresError::interrupted(signal, state).into()
    }

    /// A query of ours that failed before anything was changed.
    pub(crate) fn query(doing: &'static str, source: DatabaseError) -> Self {
        Self::Postgres(PostgresError::query(doing, source))
    }

    pub(crate) fn refused(problem: impl Into<String>) -> Self {
        Self::Postgres(PostgresError::Refused(problem.into()))
    }

    /// Leaves out what the server's words may hold of rows.
    pub(crate) fn hide_row_values(&mut self) {
        match self {
            Self::Failed(failure) => failure.error.hide_row_values(),
            Self::Postgres(error) => error.hide_row_values(),
            Self::PartiallyApplied { because, .. } => because.hide_row_values(),
            _ => {}
        }
    }

    /// Inside a sentence about something else, which has no place for the values of rows.
    pub(crate) fn in_passing(mut self) -> String {
        self.hide_row_values();
        match self {
            Self::Postgres(error) => error.in_passing(),
            other => other.to_string(),
        }
    }

    /// Whether a person has to look at a partially applied script.
    pub(crate) fn is_partially_applied(&self) -> bool {
        matches!(
            self,
            Self::PartiallyApplied { .. }
                | Self::Plan(PlanError::Disagreement(Disagreement::PartiallyApplied(_)))
        )
    }
}

impl From<Disagreement> for Error {
    fn from(disagreement: Disagreement) -> Self {
        Self::Plan(disagreement.into())
    }
}

impl From<PartiallyApplied> for Error {
    fn from(script: PartiallyApplied) -> Self {
        Disagreement::PartiallyApplied(script).into()
    }
}

impl From<PostgresError> for Error {
    fn from(error: PostgresError) -> Self {
        match error {
            PostgresError::Interrupted { signal, state } => {
                Self::Interrupted { signal, state, left: Aftermath::Nothing }
            }
            other => Self::Postgres(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use foreign_text::Text;
    use migration_core::Version;

    use super::*;
    use crate::postgres::ServerError;

    fn with_a_row() -> Error {
        let text = |text: &str| Some(Text::from(text));
        let error = ServerError {
            sqlstate: "22000".to_owned(),
            message: "value \"ann@example.org\" is odd".into(),
            detail: text("Failing row contains (ann@example.org)."),
            context: text("ann@example.org"),
            ..ServerError::default()
        };
        Error::query("looking at the indexes", DatabaseError::Server(Box::new(error)))
    }

    /// The words of an error that left a script partially applied were kept as text, and stayed when all others were
    /// hidden.
    #[test]
    fn row_values_are_hidden_in_whatever_holds_the_error() {
        let partially_applied = |error| Error::PartiallyApplied {
            script: PartiallyApplied {
                version: Version(2),
                label: "2 (b)".to_owned(),
                why: "1 of 3".to_owned(),
            },
            because: Box::new(error),
        };
        for mut error in [
            with_a_row(),
            partially_applied(with_a_row()),
            partially_applied(partially_applied(with_a_row())),
        ] {
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
