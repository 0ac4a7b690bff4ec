//! Which server, as whom, and with which options: POSTGRES_* and the limits.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::cli::Environment;
use crate::cli::config::reader::{Reader, duration, quoted};
use crate::postgres::{Address, RequireAuth, RunOptions, Server};
use migration_core::{Checksum, Transaction};

impl Reader<'_> {
    pub(super) fn server(&mut self) -> Option<Server> {
        let host =
            self.required("POSTGRES_HOST", "the server's host name, or the directory of its Unix socket");
        let port = self.or_default("POSTGRES_PORT", port);
        let database = self.required("POSTGRES_DB", "the database's name");
        let user = self.required("POSTGRES_USER", "the role to connect as");
        let ssl = self.ssl();
        let password = self.password();
        let require_auth = self.parsed("POSTGRES_REQUIRE_AUTH", RequireAuth::parse);
        let channel_binding = self.channel_binding(ssl.as_ref());
        let options = RunOptions {
            transaction: self
                .choice("TRANSACTION", &[("each", Transaction::Each), ("run", Transaction::Run)]),
            connect_timeout: self.or_default("CONNECT_TIMEOUT", duration),
            run_lock_timeout: self.or_default("RUN_LOCK_TIMEOUT", duration),
            lock_timeout: self.or_default("LOCK_TIMEOUT", duration),
            lock_retries: self.or_default("LOCK_RETRIES", count),
            lock_retry_budget: self.or_default("LOCK_RETRY_BUDGET", duration),
            statement_timeout: self.or_default("STATEMENT_TIMEOUT", duration),
            max_blocking: self.or_default("MAX_BLOCKING", duration),
        };
        let address = host.and_then(|host| self.address(host, port));
        Some(Server {
            address: address?,
            database: database?,
            user: user?,
            password: password?,
            application: application(self.environment),
            ssl: ssl?,
            require_auth,
            channel_binding,
            options,
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
pub(crate) fn port_is_service_link(environment: &Environment) -> bool {
    environment.text("POSTGRES_PORT").is_some_and(|text| text.trim().starts_with("tcp://"))
}
