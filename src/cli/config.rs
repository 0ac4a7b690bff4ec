//! What the program runs on: arguments and environment, checked as a whole.

#[cfg(test)]
mod any_environment;
pub(crate) mod libpq;
mod password;
mod placeholder;
pub(crate) mod read;
mod reader;
pub(crate) mod row_values;
pub(crate) mod server;
mod ssl;
mod task;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use migration_core::revision::Range;
use migration_core::version::Direction;

use crate::engine::task::Task;
use crate::postgres::server::Server;

/// A whole, checked configuration.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// What to do.
    pub(crate) command: Command,
    /// Where the scripts are.
    pub(crate) migrations: PathBuf,
}

/// What to do, with all that needs.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    /// Print a psql script; no database.
    Script {
        /// Up or down.
        direction: Direction,
        /// From where to where.
        range: Range,
    },
    /// Work on a database.
    Online(Box<Server>, Task),
}

/// How stdout is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// One JSON document.
    Json,
}

/// How stderr is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
    /// `Text` on a terminal.
    Auto,
}

/// The log's settings: read on their own, so that even a wrong configuration is reported in the
/// format that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct LogSettings {
    /// The format.
    pub(crate) format: LogFormat,
    /// RUST_LOG, for `tracing_subscriber::filter::Targets`.
    pub(crate) filter: tracing_subscriber::filter::Targets,
}
