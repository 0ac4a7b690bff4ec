//! The environment variables that the job reads, and what may be wrong with them.

use foreign_text::one_line;

use crate::wording::counted;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// As it is set.
    pub name: &'static str,
    /// What it is for; variables that have the same purpose are told together.
    pub purpose: &'static str,
    /// What holds where it is not set, in words where it depends on something.
    pub default: Option<&'static str>,
    /// Whether what it holds must never be shown.
    pub is_secret: bool,
    /// Who sets it.
    pub set_by: SetBy,
}

/// Who sets a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetBy {
    /// Whoever runs the job.
    Operator,
    /// The image, when it is built.
    Image,
    /// Kubernetes, or a manifest.
    Cluster,
}

const fn setting(name: &'static str, purpose: &'static str, default: Option<&'static str>) -> Variable {
    Variable { name, purpose, default, is_secret: false, set_by: SetBy::Operator }
}

const fn secret(name: &'static str, purpose: &'static str) -> Variable {
    Variable { name, purpose, default: None, is_secret: true, set_by: SetBy::Operator }
}

const fn given(name: &'static str, purpose: &'static str, set_by: SetBy) -> Variable {
    Variable { name, purpose, default: None, is_secret: false, set_by }
}

/// All of them, in the order in which they are told.
pub const VARIABLES: [Variable; 37] = [
    setting("POSTGRES_HOST", "host name, or the directory of a Unix socket", None),
    setting("POSTGRES_PORT", "port", Some("5432")),
    setting("POSTGRES_DB", "database", None),
    setting("POSTGRES_USER", "role", None),
    secret("POSTGRES_PASSWORD", "password, if the server asks for one"),
    setting("POSTGRES_PASSWORD_FILE", "or the file with it", None),
    setting(
        "POSTGRES_PASSWORD_COMMAND",
        "or a program that prints it; no shell runs it: sh -c '…' does",
        None,
    ),
    secret("DATABASE_URL", "or all of these in one: postgresql://user:password@host:port/database"),
    setting(
        "POSTGRES_SSLMODE",
        "disable, allow, prefer, require, verify-ca, verify-full",
        Some("prefer; with POSTGRES_SSLROOTCERT verify-full"),
    ),
    setting("POSTGRES_SSLROOTCERT", "file with the certificates to trust, or `system`", None),
    setting("POSTGRES_SSLCRL", "file with the certificates that were revoked", None),
    setting("POSTGRES_SSLCERT", "client certificate and its key, in PEM", None),
    setting("POSTGRES_SSLKEY", "client certificate and its key, in PEM", None),
    setting("POSTGRES_CHANNEL_BINDING", "disable, prefer or require", Some("prefer")),
    setting(
        "POSTGRES_REQUIRE_AUTH",
        "how the server may ask to log in, such as scram-sha-256 or !password",
        Some("password and md5 only if it is verified"),
    ),
    setting("COMMAND", "as the arguments; then every command needs both", None),
    setting("REVISION", "as the arguments; then every command needs both", None),
    setting("MIGRATIONS_DIR", "scripts", Some("/migrations if that exists, else migrations")),
    setting("TRANSACTION", "each: one per migration; run: one for all", Some("each")),
    setting("CONNECT_TIMEOUT", "how long to wait for the server", Some("60s")),
    setting("RUN_LOCK_TIMEOUT", "how long to wait for another run", Some("15m")),
    setting("LOCK_TIMEOUT", "how long a statement may wait for a table lock", Some("2s")),
    setting("LOCK_RETRIES", "how often a step is tried again after that", Some("10")),
    setting("LOCK_RETRY_BUDGET", "for how long altogether", Some("10m")),
    setting("STATEMENT_TIMEOUT", "how long a statement may run", Some("0")),
    setting("MAX_BLOCKING", "how long others may wait for a lock of a step", Some("0")),
    setting("ALLOW_RELATIVE", "true: allow +N and -N in a cluster, where a pod may run twice", Some("false")),
    setting("LOG_FORMAT", "text, json or auto: json in a cluster, text elsewhere", Some("auto")),
    setting("OUTPUT", "text or json", Some("text")),
    setting(
        "DETAIL",
        "show or hide: what an error holds of rows (DETAIL, CONTEXT, a function's query, values in SQLSTATE class 22), \
         and what a POSTGRES_PASSWORD_COMMAND complains about",
        Some("show; in a cluster hide"),
    ),
    setting("RUST_LOG", "error, warn, info, debug or trace; target=level", Some("info")),
    setting("NO_COLOR", "any value: no colours", None),
    given("RUN_MIGRATIONS_VERSION", "the version that --version and the server are told", SetBy::Image),
    given("RUN_MIGRATIONS_COMMIT", "the commit that --version tells", SetBy::Image),
    given("RUN_MIGRATIONS_CREATED", "the date of that commit", SetBy::Image),
    given("KUBERNETES_SERVICE_HOST", "set in every pod: the job is in a cluster", SetBy::Cluster),
    given("TERMINATION_MESSAGE_PATH", "where the verdict is left in a cluster", SetBy::Cluster),
];

/// What holds where the variable is not set.
///
/// The name has to be one of the table that has a default, which a test of the job's settings makes sure of.
pub fn default(name: &str) -> &'static str {
    VARIABLES
        .iter()
        .find(|variable| variable.name == name)
        .and_then(|known| known.default)
        .unwrap_or_default()
}

/// A setting that is missing or wrong. Holds no value that may be secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The variable or option.
    pub name: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

/// Settings that are missing or wrong; all of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} wrong:{}", counted(.0.len(), "setting is", "settings are"), lines(.0))]
pub struct WrongSettings(pub Vec<Mistake>);

fn lines(mistakes: &[Mistake]) -> String {
    let line = |mistake: &Mistake| format!("\n  {}: {}", one_line(&mistake.name), one_line(&mistake.problem));
    mistakes.iter().map(line).collect()
}
