//! Which server, as whom, and with which manners: POSTGRES_* and the limits.

use std::fs;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::super::environment::{Environment, Value};
use super::super::placeholder::{IS_ONE, is_placeholder};
use super::super::{Address, Manners, Roots, Server, Ssl, Transaction};
use super::{Reader, quoted};
use crate::migration::Checksum;
use crate::secret::Password;

impl Reader<'_> {
    pub(super) fn server(&mut self) -> Option<Server> {
        let host =
            self.required("POSTGRES_HOST", "the server's host name, or the directory of its Unix socket");
        let port = self.parsed("POSTGRES_PORT", port).unwrap_or(5432);
        let database = self.required("POSTGRES_DB", "the database's name");
        let user = self.required("POSTGRES_USER", "the role to connect as");
        let password = self.password();
        let ssl = self.ssl();
        let manners = Manners {
            transaction: self.choice(
                "TRANSACTION",
                Transaction::Each,
                &[("each", Transaction::Each), ("run", Transaction::Run)],
            ),
            connect_timeout: self.duration("CONNECT_TIMEOUT", Duration::from_secs(60)),
            run_lock_timeout: self.duration("RUN_LOCK_TIMEOUT", Duration::from_secs(15 * 60)),
            lock_timeout: self.duration("LOCK_TIMEOUT", Duration::from_secs(2)),
            lock_retries: self.parsed("LOCK_RETRIES", count).unwrap_or(10),
            lock_retry_budget: self.duration("LOCK_RETRY_BUDGET", Duration::from_secs(10 * 60)),
            statement_timeout: self.duration("STATEMENT_TIMEOUT", Duration::ZERO),
            max_blocking: self.duration("MAX_BLOCKING", Duration::ZERO),
        };
        let address = host.and_then(|host| self.address(host, port));
        Some(Server {
            address: address?,
            database: database?,
            user: user?,
            password: password?,
            application: application(self.environment),
            ssl: ssl?,
            manners,
        })
    }

    fn address(&mut self, host: String, port: u16) -> Option<Address> {
        if host.contains("://") {
            self.wrong(
                "POSTGRES_HOST",
                "is a URL; only the host name goes here, the rest has variables of its own",
            );
            return None;
        }
        if host.starts_with('/') {
            return Some(Address::Unix(PathBuf::from(host), port));
        }
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host);
        if bare.parse::<IpAddr>().is_ok() {
            return Some(Address::Tcp(bare.to_owned(), port));
        }
        if host.contains(|c: char| c.is_whitespace() || c.is_control() || "/:@,".contains(c)) {
            self.wrong(
                "POSTGRES_HOST",
                "is not a host name; expected a name, an IP address or an absolute directory",
            );
            return None;
        }
        Some(Address::Tcp(host, port))
    }

    fn password(&mut self) -> Option<Password> {
        let file = self.text("POSTGRES_PASSWORD_FILE");
        match (self.environment.get("POSTGRES_PASSWORD"), file) {
            (Value::Missing, None) => {
                self.wrong(
                    "POSTGRES_PASSWORD",
                    "is missing; set it, or POSTGRES_PASSWORD_FILE to the file that holds the password",
                );
                None
            }
            (Value::Missing, Some(path)) => self.password_file(Path::new(&path)),
            (_, Some(_)) => {
                self.wrong("POSTGRES_PASSWORD", "and POSTGRES_PASSWORD_FILE are both set; keep one");
                None
            }
            (Value::NotUnicode, None) => {
                self.wrong("POSTGRES_PASSWORD", "is not UTF-8");
                None
            }
            (Value::Text(password), None) if is_placeholder(password.trim()) => {
                self.wrong("POSTGRES_PASSWORD", format!("{IS_ONE}; set it to the role's password"));
                None
            }
            (Value::Text(password), None) => self.sendable("POSTGRES_PASSWORD", "", password.to_owned()),
        }
    }

    fn password_file(&mut self, path: &Path) -> Option<Password> {
        const NAME: &str = "POSTGRES_PASSWORD_FILE";
        const LONGEST: u64 = 64 << 10;
        // What a shell hands over may be a pipe, and have no end.
        let mut bytes = Vec::new();
        let read = fs::File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes));
        match read {
            Ok(length) if length as u64 > LONGEST => {
                self.wrong(NAME, format!("{} is longer than any password", path.display()));
                return None;
            }
            Ok(_) => {}
            Err(error) => {
                self.wrong(NAME, format!("{} can't be read: {error}", path.display()));
                return None;
            }
        }
        let Ok(mut password) = String::from_utf8(bytes) else {
            self.wrong(NAME, format!("{} is not UTF-8", path.display()));
            return None;
        };
        if password.ends_with('\n') {
            password.pop();
            if password.ends_with('\r') {
                password.pop();
            }
        }
        if password.is_empty() {
            self.wrong(NAME, format!("{} is empty", path.display()));
            return None;
        }
        if is_placeholder(&password) {
            self.wrong(NAME, format!("names {}, whose content {IS_ONE}", path.display()));
            return None;
        }
        self.sendable(NAME, &format!("{} ", path.display()), password)
    }

    /// SASLprep (RFC 4013) prohibits control characters, and sqlx sends nothing else.
    fn sendable(&mut self, name: &str, place: &str, password: String) -> Option<Password> {
        if password.chars().any(char::is_control) {
            self.wrong(
                name,
                format!("{place}holds a line break or another control character; no password may"),
            );
            return None;
        }
        Some(Password::new(password))
    }

    fn ssl(&mut self) -> Option<Ssl> {
        let modes = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
        let mode = self.choice("POSTGRES_SSLMODE", "prefer", &modes.map(|mode| (mode, mode)));
        let roots = match self.text("POSTGRES_SSLROOTCERT") {
            Some(system) if system == "system" => Some(Roots::System),
            Some(path) => {
                if let Err(error) = fs::File::open(&path) {
                    self.wrong("POSTGRES_SSLROOTCERT", format!("{path} can't be read: {error}"));
                    return None;
                }
                Some(Roots::File(PathBuf::from(path)))
            }
            None => None,
        };
        match (mode, roots) {
            ("disable", _) => Some(Ssl::Disable),
            ("allow", _) => Some(Ssl::Allow),
            ("prefer", _) => Some(Ssl::Prefer),
            ("require", None) => Some(Ssl::Require),
            // As in libpq: anybody can have a certificate that the system trusts, for another host.
            ("require" | "verify-ca", Some(Roots::System)) => {
                self.wrong(
                    "POSTGRES_SSLROOTCERT",
                    "is `system`, which proves something only with verify-full",
                );
                None
            }
            // As in libpq: a root certificate that is there is used.
            ("require" | "verify-ca", Some(roots)) => Some(Ssl::VerifyCa(roots)),
            ("verify-full", Some(roots)) => Some(Ssl::VerifyFull(roots)),
            (mode, _) => {
                self.wrong(
                    "POSTGRES_SSLROOTCERT",
                    format!(
                        "is missing, and {mode} needs it; set it to a file of certificates, or to `system`"
                    ),
                );
                None
            }
        }
    }
}

/// `run-migrations VERSION RUN`, where the image says its version and the run is told from others
/// by its process and its start.
fn application(environment: &Environment) -> String {
    let version: String =
        environment.text("RUN_MIGRATIONS_VERSION").unwrap_or("dev").chars().take(32).collect();
    let started = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    let run = Checksum::of(&format!("{} {started}", std::process::id())).to_string();
    format!("run-migrations {version} {}", &run[..8])
}

fn port(text: &str) -> Result<u16, String> {
    let number = |digits: &str| digits.parse::<u16>().ok().filter(|&port| port > 0);
    // Kubernetes sets POSTGRES_PORT=tcp://10.0.0.1:5432 in every pod beside a service "postgres".
    let link =
        text.strip_prefix("tcp://").and_then(|rest| rest.rsplit_once(':')).and_then(|(_, port)| number(port));
    number(text).or(link).ok_or_else(|| {
        let shown = if text.contains("//") { "the URL".to_owned() } else { quoted(text) };
        format!("{shown} is not a port; expected a number from 1 to 65535")
    })
}

fn count(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("{} is not a number from 0 to {}", quoted(text), u32::MAX))
}

/// Whether POSTGRES_PORT is a Kubernetes service link, which deserves a warning.
pub fn port_is_service_link(environment: &Environment) -> bool {
    environment.text("POSTGRES_PORT").is_some_and(|text| text.trim().starts_with("tcp://"))
}
