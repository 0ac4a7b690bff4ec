//! Which server, as whom, and what has to be proved on the way there.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use migration_core::plan::Transaction;

use crate::postgres::require_auth::RequireAuth;
use crate::postgres::secret::PasswordSource;

/// How to reach the server, and how to behave there.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// Where it is.
    pub(crate) address: Address,
    /// The database.
    pub(crate) database: String,
    /// The role.
    pub(crate) user: String,
    /// Where its password comes from, if it has one.
    pub(crate) password: PasswordSource,
    /// How the sessions of this run are called in `pg_stat_activity`.
    pub(crate) application: String,
    /// Encryption and what it proves.
    pub(crate) ssl: Ssl,
    /// Which ways to log in are allowed, where that was said.
    pub(crate) require_auth: Option<RequireAuth>,
    /// Whether the login has to belong to the encrypted connection.
    pub(crate) channel_binding: ChannelBinding,
    /// Transactions, limits and retries.
    pub(crate) options: RunOptions,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// A host name or IP address, and a port.
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
    /// Never.
    Disable,
    /// Only where the server insists.
    Allow(Tls),
    /// Where the server can.
    Prefer(Tls),
    /// Always.
    Require(Tls),
}

/// How an encrypted connection is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tls {
    /// Which servers are trusted.
    pub(crate) trust: Trust,
    /// The certificate that the job shows, if the server asks for one.
    pub(crate) identity: Option<Identity>,
}

/// Which certificates of a server are trusted.
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
    /// The roots.
    pub(crate) from: RootSource,
    /// The file of revocation lists.
    pub(crate) revoked: Option<PathBuf>,
}

/// Where the roots are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RootSource {
    /// Those of a file, and no others.
    File(PathBuf),
    /// Those of the operating system.
    System,
}

/// A certificate and its key, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The certificate, followed by those between it and the root.
    pub(crate) certificate: PathBuf,
    /// Its private key.
    pub(crate) key: PathBuf,
}

/// libpq's `channel_binding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChannelBinding {
    /// Not used.
    Disable,
    /// Used where the server offers it.
    Prefer,
    /// Nothing else will do.
    Require,
}

/// How a run treats the server and the others on it. A duration of zero means no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunOptions {
    /// What one transaction holds.
    pub(crate) transaction: Transaction,
    /// How long to try to connect.
    pub(crate) connect_timeout: Duration,
    /// How long to wait for the run lock.
    pub(crate) run_lock_timeout: Duration,
    /// How long a statement waits for a table lock.
    pub(crate) lock_timeout: Duration,
    /// How often a step without its locks is repeated.
    pub(crate) lock_retries: u32,
    /// For how long altogether.
    pub(crate) lock_retry_budget: Duration,
    /// How long a statement may run.
    pub(crate) statement_timeout: Duration,
    /// How long others may wait for a lock that a step was granted.
    pub(crate) max_blocking: Duration,
}
