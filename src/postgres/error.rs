//! Why there is no session, or none any more.

use std::time::Duration;

use foreign_text::one_line;
use migration_core::WrongSettings;
use migration_core::wording::duration;

use crate::postgres::{DatabaseError, Signal};

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Settings(#[from] WrongSettings),
    /// The server did not answer within CONNECT_TIMEOUT.
    #[error("no connection to the server within {}: {}; nothing was changed", duration(*.after), one_line(reason))]
    Unreachable { after: Duration, reason: String },
    #[error("the run lock was not granted within {}: it is held by {holder}; {state}; run again later", duration(*.after))]
    RunLock { after: Duration, holder: String, state: String },
    /// The connection went, or a query of ours failed. The state is told where the run had begun to change the database.
    #[error("{doing}: {}{state}", source.in_full())]
    Query { doing: &'static str, source: DatabaseError, state: String },
    #[error("{}", one_line(.0))]
    Refused(String),
    /// A signal came while nothing was under way that it would leave unfinished.
    #[error("{signal}; {state}")]
    Interrupted { signal: Signal, state: String },
}

impl Error {
    pub(crate) fn interrupted(signal: Signal, state: impl Into<String>) -> Self {
        Self::Interrupted { signal, state: state.into() }
    }

    /// A query of ours that failed before anything was changed.
    pub(crate) fn query(doing: &'static str, source: DatabaseError) -> Self {
        Self::Query { doing, source, state: String::new() }
    }

    /// Leaves out what the server's words may hold of rows.
    pub(crate) fn hide_row_values(&mut self) {
        if let Self::Query { source, .. } = self {
            source.hide_row_values();
        }
    }

    /// Inside a sentence about something else, which has no place for the values of rows.
    pub(crate) fn in_passing(mut self) -> String {
        self.hide_row_values();
        match self {
            Self::Query { doing, source, state } => format!("{doing}: {source}{state}"),
            other => other.to_string(),
        }
    }
}
