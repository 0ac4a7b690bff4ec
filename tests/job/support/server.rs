//! The server all tests share, as `cargo xtask test` names it in the environment.

use std::path::PathBuf;
use std::process::Command;

/// Where the server is, and its superuser.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: String,
    /// The directory of its Unix socket.
    pub(crate) socket: String,
    /// The certificate of the authority that signed the server's.
    pub(crate) authority: String,
}

impl Server {
    pub(crate) fn of_environment() -> Self {
        Self {
            host: variable("TEST_POSTGRES_HOST"),
            port: variable("TEST_POSTGRES_PORT").parse().expect("TEST_POSTGRES_PORT is a port"),
            user: variable("TEST_POSTGRES_USER"),
            password: variable("TEST_POSTGRES_PASSWORD"),
            socket: variable("TEST_POSTGRES_SOCKET_DIR"),
            authority: variable("TEST_POSTGRES_CA"),
        }
    }
}

fn variable(name: &str) -> String {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => value,
        _ => panic!("{name} is not set; run the tests with `cargo xtask test`"),
    }
}

/// A PostgreSQL program, such as `psql`, connected to a database as the superuser.
pub(crate) fn tool(program: &str, database: &str) -> Command {
    let server = Server::of_environment();
    let mut command = Command::new(PathBuf::from(variable("TEST_POSTGRES_BIN")).join(program));
    command
        .env_clear()
        .env("PGHOST", server.host)
        .env("PGPORT", server.port.to_string())
        .env("PGUSER", server.user)
        .env("PGPASSWORD", server.password)
        .env("PGDATABASE", database)
        .env("PGSSLMODE", "disable");
    command
}
