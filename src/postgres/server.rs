//! Which server, as whom, and what has to be proved on the way there.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use migration_core::Transaction;

use crate::postgres::{PasswordSource, RequireAuth};

#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) address: Address,
    pub(crate) database: String,
    pub(crate) user: String,
    /// Where its password comes from, if it has one.
    pub(crate) password: PasswordSource,
    /// How the sessions of this run are called in `pg_stat_activity`.
    pub(crate) application: String,
    pub(crate) ssl: Ssl,
    /// Which ways to log in are allowed, where that was said.
    pub(crate) require_auth: Option<RequireAuth>,
    /// Whether the login has to belong to the encrypted connection.
    pub(crate) channel_binding: ChannelBinding,
    pub(crate) options: RunOptions,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp(String, u16),
    /// The directory of a Unix socket, and the port in its name.
    Unix(PathBuf, u16),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(directory, port) => write!(f, "{}/.s.PGSQL.{port}", directory.display()),
        }
    }
}

/// libpq's `sslmode`, as to whether there is encryption; a Unix socket never has it:
/// <https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION>.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ssl {
    Disable,
    Allow(Tls),
    Prefer(Tls),
    Require(Tls),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tls {
    pub(crate) trust: Trust,
    /// The certificate that the job shows, if the server asks for one.
    pub(crate) identity: Option<Identity>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Any: it is encrypted, and nobody knows to whom.
    #[default]
    Anybody,
    /// `verify-ca`: those that these roots vouch for.
    Authority(Roots),
    /// `verify-full`: those that these roots vouch for, made out to this host.
    Host(Roots),
}

/// Certificates to trust, and those of their subjects that are trusted no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Roots {
    pub(crate) from: RootSource,
    pub(crate) revoked: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RootSource {
    File(PathBuf),
    System,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The certificate, followed by those between it and the root.
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// libpq's `channel_binding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChannelBinding {
    Disable,
    /// Used where the server offers it.
    Prefer,
    Require,
}

/// How a run treats the server and the others on it. A duration of zero means no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunOptions {
    pub(crate) transaction: Transaction,
    pub(crate) connect_timeout: Duration,
    pub(crate) run_lock_timeout: Duration,
    pub(crate) lock_timeout: Duration,
    /// How often a step without its locks is repeated.
    pub(crate) lock_retries: u32,
    /// For how long altogether.
    pub(crate) lock_retry_budget: Duration,
    pub(crate) statement_timeout: Duration,
    /// How long others may wait for a lock that a step was granted.
    pub(crate) max_blocking: Duration,
}
