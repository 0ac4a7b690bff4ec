//! The tools that are compared, and the command with which each does the same thing.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::generated::Generated;
use local_postgres::Address;
use workspace::process;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tool {
    Job,
    Psql,
    Sqlx,
    Alembic,
}

impl Tool {
    pub(super) const ALL: [Self; 4] = [Self::Job, Self::Psql, Self::Sqlx, Self::Alembic];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Job => "job",
            Self::Psql => "psql",
            Self::Sqlx => "sqlx",
            Self::Alembic => "alembic",
        }
    }

    pub(super) fn how_to_get(self) -> &'static str {
        match self {
            Self::Job | Self::Psql => "it comes with the checkout or the server",
            Self::Sqlx => "cargo install sqlx-cli --no-default-features --features postgres,rustls",
            Self::Alembic => "Debian, Ubuntu: apt-get install alembic python3-psycopg2",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    /// All migrations on an empty database, each in a transaction of its own.
    Each,
    /// All of them in one transaction, where the tool can.
    Run,
    /// An upgrade with nothing to do.
    Idle,
    /// Where is the database?
    Current,
}

impl Operation {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Each => "from empty, TRANSACTION=each",
            Self::Run => "from empty, TRANSACTION=run",
            Self::Idle => "upgrade, nothing to do",
            Self::Current => "current",
        }
    }
}

#[derive(Debug)]
pub(super) struct Programs {
    pub(super) job: PathBuf,
    pub(super) psql: PathBuf,
}

/// Which database, and how to reach it.
#[derive(Debug, Clone)]
pub(super) struct Target<'a> {
    pub(super) server: &'a Address,
    pub(super) port: u16,
    pub(super) database: String,
    /// libpq's word for it; `require` or `disable`.
    pub(super) ssl: &'static str,
}

impl Programs {
    /// The program of a tool; none where it is not on PATH.
    pub(super) fn of(&self, tool: Tool) -> Option<PathBuf> {
        match tool {
            Tool::Job => Some(self.job.clone()),
            Tool::Psql => self.psql.is_file().then(|| self.psql.clone()),
            Tool::Sqlx => process::find("sqlx"),
            Tool::Alembic => process::find("alembic"),
        }
    }

    /// The command, or none where the tool is absent or can't do that.
    pub(super) fn command(
        &self,
        tool: Tool,
        operation: Operation,
        migrations: &Generated,
        target: &Target<'_>,
    ) -> Option<Command> {
        let mut command = Command::new(self.of(tool)?);
        match tool {
            Tool::Job => job(&mut command, operation, &migrations.scripts, target),
            Tool::Psql => psql(&mut command, operation, migrations, target)?,
            Tool::Sqlx => sqlx(&mut command, operation, &migrations.scripts, target),
            Tool::Alembic => alembic(&mut command, operation, &migrations.alembic, target),
        }
        Some(command)
    }
}

fn job(command: &mut Command, operation: Operation, scripts: &Path, target: &Target<'_>) {
    let Target { server, port, database, ssl } = target;
    command
        .env_clear()
        .env("POSTGRES_HOST", &server.host)
        .env("POSTGRES_PORT", port.to_string())
        .env("POSTGRES_DB", database)
        .env("POSTGRES_USER", &server.user)
        .env("POSTGRES_PASSWORD", server.password.expose())
        .env("POSTGRES_SSLMODE", ssl)
        .env("MIGRATIONS_DIR", scripts)
        .env("TRANSACTION", transaction(operation))
        .args(match operation {
            Operation::Current => &["current"][..],
            _ => &["upgrade", "head"],
        });
}

/// One session that sends each script as one message, with no bookkeeping: what the server alone takes.
fn psql(
    command: &mut Command,
    operation: Operation,
    migrations: &Generated,
    target: &Target<'_>,
) -> Option<()> {
    let Target { server, port, database, ssl } = target;
    command
        .env("PGHOST", &server.host)
        .env("PGPORT", port.to_string())
        .env("PGDATABASE", database)
        .env("PGUSER", &server.user)
        .env("PGPASSWORD", server.password.expose())
        .env("PGSSLMODE", ssl)
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1"]);
    match operation {
        Operation::Each | Operation::Run => {
            if operation == Operation::Run {
                command.arg("--single-transaction");
            }
            for text in &migrations.texts {
                command.args(["-c", text]);
            }
        }
        Operation::Current => {
            command.args(["-c", "SELECT 1"]);
        }
        Operation::Idle => return None,
    }
    Some(())
}

/// It knows one transaction for each migration and nothing else.
fn sqlx(command: &mut Command, operation: Operation, scripts: &Path, target: &Target<'_>) {
    command
        .arg("migrate")
        .arg(if operation == Operation::Current { "info" } else { "run" })
        .arg("--source")
        .arg(scripts)
        .env("DATABASE_URL", url("postgres", target));
}

fn alembic(command: &mut Command, operation: Operation, directory: &Path, target: &Target<'_>) {
    command
        .arg("--config")
        .arg(directory.join("alembic.ini"))
        .args(if operation == Operation::Current { &["current"][..] } else { &["upgrade", "head"] })
        .env("DATABASE_URL", url("postgresql+psycopg2", target))
        .env("TRANSACTION", transaction(operation))
        // What a virtual environment would put in front of the system's Python.
        .env_remove("PYTHONPATH");
}

fn transaction(operation: Operation) -> &'static str {
    if operation == Operation::Run { "run" } else { "each" }
}

/// The password of a throw-away server is digits and letters: nothing to escape.
fn url(scheme: &str, target: &Target<'_>) -> String {
    let Target { server, port, database, ssl } = target;
    format!(
        "{scheme}://{}:{}@{}:{port}/{database}?sslmode={ssl}",
        server.user,
        server.password.expose(),
        server.host
    )
}
