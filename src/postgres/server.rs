//! Which server, as whom, and what has to be proved on the way there.

use std::fmt;
use std::path::PathBuf;

use super::{Manners, RequireAuth};
use crate::secret::PasswordSource;

/// How to reach the server, and how to behave there.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where it is.
    pub address: Address,
    /// The database.
    pub database: String,
    /// The role.
    pub user: String,
    /// Where its password comes from, if it has one.
    pub password: PasswordSource,
    /// How the sessions of this run are called in `pg_stat_activity`.
    pub application: String,
    /// Encryption and what it proves.
    pub ssl: Ssl,
    /// Which ways to log in are allowed, where that was said.
    pub require_auth: Option<RequireAuth>,
    /// Whether the login has to belong to the encrypted connection.
    pub channel_binding: ChannelBinding,
    /// Transactions, limits and retries.
    pub manners: Manners,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
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
pub enum Ssl {
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
pub struct Tls {
    /// Which servers are trusted.
    pub trust: Trust,
    /// The certificate that the job shows, if the server asks for one.
    pub identity: Option<Identity>,
}

/// Which certificates of a server are trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
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
pub struct Roots {
    /// The roots.
    pub from: RootSource,
    /// The file of revocation lists.
    pub revoked: Option<PathBuf>,
}

/// Where the roots are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootSource {
    /// Those of a file, and no others.
    File(PathBuf),
    /// Those of the operating system.
    System,
}

/// A certificate and its key, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, followed by those between it and the root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// libpq's `channel_binding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelBinding {
    /// Not used.
    Disable,
    /// Used where the server offers it.
    Prefer,
    /// Nothing else will do.
    Require,
}
