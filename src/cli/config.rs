//! What the program runs on: arguments and environment, checked as a whole.

mod environment;
mod libpq;
mod placeholder;
mod read;
mod require_auth;
mod server;

use std::path::PathBuf;
use std::time::Duration;

use crate::error::Mistake;
use crate::plan::OutOfOrder;
use crate::revision::{Range, Revision};

pub use environment::Environment;
pub use libpq::without_effect;
pub use read::{port_is_service_link, read};
pub use require_auth::{Method, RequireAuth};
pub use server::{Address, ChannelBinding, Identity, RootSource, Roots, Server, Ssl, Tls, Trust};

/// A whole, checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// What to do.
    pub command: Command,
    /// Where the scripts are.
    pub migrations: PathBuf,
    /// How stdout is written.
    pub output: Output,
    /// How stderr is written.
    pub log: LogFormat,
}

/// What to do, with all that needs.
#[derive(Clone, Debug)]
pub enum Command {
    /// Print a psql script; no database.
    Script {
        /// Up or down.
        direction: crate::migration::Direction,
        /// From where to where.
        range: Range,
    },
    /// Work on a database.
    Online(Box<Server>, Task),
}

/// What to do on a database.
#[derive(Clone, Debug)]
pub enum Task {
    /// Apply what is pending up to a revision.
    Upgrade(Revision, OutOfOrder, Extent),
    /// Take back what is applied above a revision.
    Downgrade(Revision, Extent),
    /// Record a revision without running anything.
    Stamp(Revision, Extent),
    /// Decide what the halfway script came to; of this version, if it is named.
    Resolve(Option<Revision>, Resolution),
    /// Say where the database is.
    Current(Check),
    /// Say how every migration stands.
    History(Range),
}

impl Task {
    /// The command's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Upgrade(..) => "upgrade",
            Self::Downgrade(..) => "downgrade",
            Self::Stamp(..) => "stamp",
            Self::Resolve(..) => "resolve",
            Self::Current(_) => "current",
            Self::History(_) => "history",
        }
    }
}

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Print the plan and stop.
    Plan,
    /// Carry it out.
    Run,
}

/// What `current` does about pending migrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Show them.
    Show,
    /// Fail with exit code 9, after waiting so long for somebody to apply them.
    FailIfPending(Duration),
}

/// What came of a script that stands halfway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// All of it is in effect.
    Done,
    /// None of it is.
    Retry,
}

/// How a run treats the server and the others on it. A duration of zero means no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manners {
    /// What one transaction holds.
    pub transaction: Transaction,
    /// How long to try to connect.
    pub connect_timeout: Duration,
    /// How long to wait for the run lock.
    pub run_lock_timeout: Duration,
    /// How long a statement waits for a table lock.
    pub lock_timeout: Duration,
    /// How often a step without its locks is repeated.
    pub lock_retries: u32,
    /// For how long altogether.
    pub lock_retry_budget: Duration,
    /// How long a statement may run.
    pub statement_timeout: Duration,
    /// How long others may wait for a lock that a step was granted.
    pub max_blocking: Duration,
}

/// What one transaction holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transaction {
    /// One migration.
    Each,
    /// The whole run.
    Run,
}

/// How stdout is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// For people.
    Text,
    /// One JSON document.
    Json,
}

/// How stderr is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
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
pub struct LogSettings {
    /// The format.
    pub format: LogFormat,
    /// RUST_LOG, for `tracing_subscriber::filter::Targets`.
    pub filter: tracing_subscriber::filter::Targets,
}

impl LogSettings {
    /// Reads LOG_FORMAT and RUST_LOG; what is wrong with them falls back to the default here and
    /// is reported by [`read`].
    pub fn of(environment: &Environment) -> Self {
        let mut ignored = Vec::<Mistake>::new();
        read::log_settings(environment, &mut ignored)
    }
}
