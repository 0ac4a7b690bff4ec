//! A database of a test's own, and a look into it.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use sqlx::postgres::{PgConnectOptions, PgRow, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Decode, PgConnection, Postgres, Row as _, Type, raw_sql};
use tokio::runtime::Runtime;

use super::server::{Server, tool};

/// A test that fills the server's lock table takes this for itself; all others share it.
static SERVER: RwLock<()> = RwLock::new(());

/// Dropped with everything in it, and with the roles made for it, when the test is over.
pub(crate) struct Database {
    pub(crate) name: String,
    runtime: Runtime,
    connection: RefCell<Option<PgConnection>>,
    roles: RefCell<Vec<String>>,
    role_count: Cell<usize>,
    _presence: Presence,
}

/// What keeps two tests apart that don't get along; never looked at, only held.
enum Presence {
    Shared(#[expect(dead_code, reason = "held, not read")] RwLockReadGuard<'static, ()>),
    Alone(#[expect(dead_code, reason = "held, not read")] RwLockWriteGuard<'static, ()>),
    Companion,
}

/// A role of a test's own.
#[derive(Clone, Debug)]
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) password: String,
}

impl Database {
    /// An empty database.
    pub(crate) fn new() -> Self {
        // A test that failed has poisoned nothing that matters.
        Self::create(Presence::Shared(SERVER.read().unwrap_or_else(PoisonError::into_inner)), "")
    }

    /// An empty database, on a server where no other test runs meanwhile.
    pub(crate) fn alone() -> Self {
        Self::create(Presence::Alone(SERVER.write().unwrap_or_else(PoisonError::into_inner)), "")
    }

    /// Another empty database for the same test.
    pub(crate) fn another(&self) -> Self {
        Self::create(Presence::Companion, "")
    }

    /// An empty database whose name ends in this.
    pub(crate) fn called(ending: &str) -> Self {
        Self::create(Presence::Shared(SERVER.read().unwrap_or_else(PoisonError::into_inner)), ending)
    }

    fn create(presence: Presence, ending: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("test_{}_{}{ending}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        administer(&runtime, &format!("CREATE DATABASE {} TEMPLATE template0", quoted(&name)));
        let connection = runtime.block_on(options().database(&name).connect()).unwrap();
        Self {
            name,
            runtime,
            connection: RefCell::new(Some(connection)),
            roles: RefCell::default(),
            role_count: Cell::new(0),
            _presence: presence,
        }
    }

    /// A role that may log in, and nothing more.
    pub(crate) fn role(&self, password: &str) -> Role {
        self.role_count.set(self.role_count.get() + 1);
        let name = format!("{}_role_{}", self.name, self.role_count.get());
        self.execute(&format!(
            "CREATE ROLE {} LOGIN PASSWORD '{}'",
            quoted(&name),
            password.replace('\'', "''")
        ));
        self.roles.borrow_mut().push(name.clone());
        Role { name, password: password.to_owned() }
    }

    /// Runs statements.
    pub(crate) fn execute(&self, sql: &str) {
        self.rows(sql);
    }

    /// Runs statements and takes every row they give.
    fn rows(&self, sql: &str) -> Vec<PgRow> {
        let mut connection = self.connection.borrow_mut();
        let connection = connection.as_mut().expect("the test's connection is open");
        match self.runtime.block_on(raw_sql(AssertSqlSafe(sql.to_owned())).fetch_all(connection)) {
            Ok(rows) => rows,
            Err(error) => panic!("{sql}: {error}"),
        }
    }

    /// The first column of what a query gives.
    pub(crate) fn column<T>(&self, sql: &str) -> Vec<T>
    where
        T: for<'r> Decode<'r, Postgres> + Type<Postgres>,
    {
        self.rows(sql).iter().map(|row| row.try_get(0).unwrap()).collect()
    }

    /// The one value a query gives.
    pub(crate) fn value<T>(&self, sql: &str) -> T
    where
        T: for<'r> Decode<'r, Postgres> + Type<Postgres>,
    {
        let mut column = self.column(sql);
        assert_eq!(column.len(), 1, "{sql}");
        column.remove(0)
    }

    /// Whether a relation is there.
    pub(crate) fn has(&self, relation: &str) -> bool {
        self.value(&format!("SELECT to_regclass('{relation}') IS NOT NULL"))
    }

    /// The versions that are recorded as applied, oldest first.
    pub(crate) fn versions(&self) -> Vec<i64> {
        self.column("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version")
    }

    /// The table names of a schema.
    pub(crate) fn tables(&self, schema: &str) -> Vec<String> {
        self.column(&format!(
            "SELECT tablename::text FROM pg_tables WHERE schemaname = '{schema}' ORDER BY 1"
        ))
    }

    /// Sessions of the job on this database.
    pub(crate) fn sessions(&self) -> i64 {
        self.value(
            "SELECT count(*) FROM pg_stat_activity \
             WHERE datname = current_database() AND application_name LIKE 'run-migrations%'",
        )
    }

    /// Whether a job on this database sleeps in `pg_sleep`.
    pub(crate) fn is_sleeping(&self) -> bool {
        self.value(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() \
             AND application_name LIKE 'run-migrations %' AND wait_event = 'PgSleep')",
        )
    }

    /// How to connect to it as the superuser.
    pub(crate) fn options(&self) -> PgConnectOptions {
        options().database(&self.name)
    }

    /// A second connection, for a lock that is to be held.
    pub(crate) fn connection(&self) -> PgConnection {
        self.runtime.block_on(self.options().connect()).unwrap()
    }

    /// Drives futures of sqlx.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// The schema as `pg_dump` writes it, without what differs from dump to dump.
    pub(crate) fn dump(&self) -> String {
        let output = tool("pg_dump", &self.name).args(["--schema-only", "--no-owner"]).output().unwrap();
        assert!(output.status.success(), "pg_dump: {}", String::from_utf8_lossy(&output.stderr));
        let dump = String::from_utf8(output.stdout).unwrap();
        let varies = |line: &&str| line.starts_with("\\restrict") || line.starts_with("\\unrestrict");
        dump.lines().filter(|line| !varies(line)).map(|line| format!("{line}\n")).collect()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.connection.take();
        administer(&self.runtime, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(&self.name)));
        for role in self.roles.take() {
            administer(&self.runtime, &format!("DROP ROLE {}", quoted(&role)));
        }
    }
}

fn options() -> PgConnectOptions {
    let server = Server::of_environment();
    PgConnectOptions::new_without_pgpass()
        .host(&server.host)
        .port(server.port)
        .username(&server.user)
        .password(&server.password)
        .application_name("test")
        .ssl_mode(PgSslMode::Disable)
        .disable_statement_logging()
}

fn administer(runtime: &Runtime, sql: &str) {
    let done = runtime.block_on(async {
        let mut connection = options().database("postgres").connect().await?;
        raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await
    });
    if let Err(error) = done {
        // A test that fails already must not abort the process from its destructor.
        assert!(std::thread::panicking(), "{sql}: {error}");
    }
}

/// An identifier in double quotes.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
