//! What the program runs on: arguments and environment, checked as a whole.

#[cfg(test)]
#[path = "../../tests/job/any_environment.rs"]
mod any_environment;
mod database_url;
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

use migration_core::{Direction, Range};

use crate::engine::Task;
use crate::postgres::Server;

#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) action: Action,
    pub(crate) migrations: PathBuf,
}

#[derive(Clone, Debug)]
pub(crate) enum Action {
    Script { direction: Direction, range: Range },
    Online(Box<Server>, Task),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Text,
    /// One JSON document.
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    /// One JSON object a line.
    Json,
}

/// The log's settings: read on their own, so that even a wrong configuration is reported in the
/// format that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct LogSettings {
    pub(crate) format: LogFormat,
    /// RUST_LOG, for `tracing_subscriber::filter::Targets`.
    pub(crate) filter: tracing_subscriber::filter::Targets,
}
