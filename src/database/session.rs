//! One session: queries, what the server is, and the bookkeeping table.

use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{Connection as _, FromRow, PgConnection};

use super::connect::CANCEL_GRACE;
use super::query::{self, Completed, first, read, rows};
use super::{BOOKKEEPING, DatabaseError, quoted_identifier, recorded};
use crate::config::Manners;
use crate::error::{Disagreement, Error};
use crate::migration::Version;
use crate::standing::Applied;

/// A connection, set up and looked around.
pub struct Session {
    pub(super) connection: PgConnection,
    /// The commands that set the session up, to be run again whenever it was reset.
    pub settings: Vec<String>,
    /// What is known of the server and the role.
    pub facts: Facts,
    /// How long the answer to a query of ours may take; zero is no limit.
    patience: Duration,
}

/// What one look at the server tells.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The database's name.
    pub database: String,
    /// Where unqualified objects are created; `None` where the search path has no schema.
    pub schema: Option<String>,
    /// The role.
    pub user: String,
    /// The server process of this session.
    pub pid: i32,
    /// Whether the server is a standby.
    pub is_standby: bool,
    /// Whether transactions are read-only by default.
    pub is_read_only: bool,
    /// Whether the role may create tables in `schema`.
    pub may_create: bool,
    /// Whether a commit is reported before it is safe on disk.
    pub commits_lazily: bool,
    /// How many object locks the server can hold altogether.
    pub lock_slots: i64,
    /// The bookkeeping table, if there is one.
    pub bookkeeping: Option<Table>,
    /// Alembic's bookkeeping table, if there is one.
    pub alembic: Option<Table>,
}

/// A table, and what the role may do with it.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    may_use_schema: bool,
    may_select: bool,
    /// Whether the role may insert, update and delete.
    pub may_write: bool,
    /// Whether the role may create tables beside it.
    pub may_create: bool,
}

impl Table {
    /// The bookkeeping table that would be created.
    pub fn new_in(schema: &str) -> Self {
        Self {
            schema: schema.to_owned(),
            name: BOOKKEEPING.to_owned(),
            may_use_schema: true,
            may_select: true,
            may_write: true,
            may_create: true,
        }
    }

    /// Its name with its schema, quoted for SQL.
    pub fn qualified(&self) -> String {
        format!("{}.{}", quoted_identifier(&self.schema), quoted_identifier(&self.name))
    }
}

/// Sent before anything else, and after every reset. What a role or database sets for itself must
/// not apply: a limit there would make a run depend on who runs it, and another reading of
/// backslashes would put the ends of statements elsewhere.
fn limits(manners: &Manners) -> Vec<String> {
    vec![
        format!("SET lock_timeout = {}", manners.lock_timeout.as_millis()),
        format!("SET statement_timeout = {}", manners.statement_timeout.as_millis()),
        "SET standard_conforming_strings = on".to_owned(),
    ]
}

/// What we ask is answered at once, unless a table is locked. Never in less time than that takes.
fn patience(manners: &Manners) -> Duration {
    match manners.lock_timeout {
        Duration::ZERO => Duration::ZERO,
        _ if manners.connect_timeout.is_zero() => Duration::ZERO,
        lock_timeout => manners.connect_timeout.max(lock_timeout + CANCEL_GRACE),
    }
}

const LOOK_AROUND: &str = "\
SELECT current_database()::text, current_schema()::text, current_user::text, pg_backend_pid(), pg_is_in_recovery(),
       current_setting('transaction_read_only')::bool,
       coalesce(has_schema_privilege(current_schema(), 'CREATE'), false),
       current_setting('synchronous_commit') IN ('off', 'local'),
       current_setting('max_locks_per_transaction')::bigint
         * (current_setting('max_connections')::bigint + current_setting('max_prepared_transactions')::bigint);
SELECT n.nspname::text, c.relname::text, has_schema_privilege(n.oid, 'USAGE'), has_table_privilege(c.oid, 'SELECT'),
       has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE'),
       has_schema_privilege(n.oid, 'CREATE')
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relname IN ('_sqlx_migrations', 'alembic_version') AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND NOT pg_is_other_temp_schema(n.oid)
 ORDER BY 1";

impl Session {
    /// Sets the session up and looks around, in one round trip.
    pub(super) async fn open(mut connection: PgConnection, manners: &Manners) -> Result<Self, Error> {
        let settings = limits(manners);
        let failed = |source| Error::database("looking around on the server", source);
        let patience = patience(manners);
        let sql = format!("{};\n{LOOK_AROUND}", settings.join(";\n"));
        let results =
            rows(&mut connection, patience, sql).await.map_err(|completed| failed(completed.error))?;
        let [.., about, tables] = results.as_slice() else {
            return Err(failed(DatabaseError::Cut("the server did not answer each query".into())));
        };
        let (bookkeeping, alembic) = choose(tables_of(tables).map_err(failed)?)?;
        let about = read(about).map_err(failed)?;
        let about =
            first(about).ok_or_else(|| failed(DatabaseError::Cut("the server answered nothing".into())))?;
        let facts = facts(about, bookkeeping, alembic);
        Ok(Self { connection, settings, facts, patience })
    }

    /// Runs statements of ours for their effect, and says how many commands that were.
    ///
    /// # Errors
    /// What stopped them, and after how many.
    pub async fn execute(&mut self, sql: String) -> Result<usize, Completed> {
        query::execute(&mut self.connection, self.patience, sql).await
    }

    /// The same with another limit.
    ///
    /// # Errors
    /// As [`Session::execute`].
    pub async fn execute_within(&mut self, patience: Duration, sql: String) -> Result<usize, Completed> {
        query::execute(&mut self.connection, patience, sql).await
    }

    /// Runs what may take as long as it likes: a script, or a build.
    ///
    /// # Errors
    /// What stopped it, and after how many commands.
    pub async fn execute_patiently(&mut self, sql: String) -> Result<usize, Completed> {
        query::execute(&mut self.connection, Duration::ZERO, sql).await
    }

    /// Runs queries of ours, and keeps the rows of each.
    pub(super) async fn rows(&mut self, sql: String) -> Result<Vec<Vec<PgRow>>, Completed> {
        rows(&mut self.connection, self.patience, sql).await
    }

    /// Runs one query and takes the single value it gives.
    pub(super) async fn value<T>(&mut self, sql: String) -> Result<T, DatabaseError>
    where
        (T,): for<'r> FromRow<'r, PgRow>,
    {
        query::value(&mut self.connection, self.patience, sql).await
    }

    /// Looks again for the bookkeeping table and reads it, oldest first; empty where there is none.
    ///
    /// # Errors
    /// [`Error::Refused`] where the role may not read it, or sees only some of its rows.
    pub async fn applied(&mut self) -> Result<Vec<Applied>, Error> {
        let Some(table) = self.facts.bookkeeping.clone() else { return Ok(Vec::new()) };
        let user = quoted_identifier(&self.facts.user);
        if !table.may_use_schema {
            return Err(Error::Refused(format!(
                "role {user} may not use schema {schema}, where the bookkeeping is; grant it with: \
                 GRANT USAGE ON SCHEMA {schema} TO {user}",
                schema = quoted_identifier(&table.schema)
            )));
        }
        if !table.may_select {
            return Err(Error::Refused(format!(
                "role {user} may not read {table}; grant it with: GRANT SELECT ON {table} TO {user}",
                table = table.qualified()
            )));
        }
        let sql = format!(
            "BEGIN READ ONLY; SET LOCAL row_security = off; \
             SELECT version, description, \
             to_char(installed_on AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), \
             success, encode(checksum, 'hex'), execution_time FROM {} ORDER BY version; COMMIT",
            table.qualified()
        );
        let results = match self.rows(sql).await {
            Ok(results) => results,
            Err(Completed { error, .. }) if error.sqlstate() == Some("42501") => {
                return Err(Error::Refused(format!(
                    "row-level security hides rows of {} from role {user}: {error}",
                    table.qualified()
                )));
            }
            Err(Completed { error: source, .. }) => {
                return Err(Error::database("reading the bookkeeping", source));
            }
        };
        let failed = |error| Error::database("reading the bookkeeping", error);
        let rows = read(results.get(2).map(Vec::as_slice).unwrap_or_default()).map_err(failed)?;
        rows.into_iter().map(applied).collect::<Result<_, _>>().map_err(failed)
    }

    /// The bookkeeping as it is now, table and rows: others may have made it since.
    ///
    /// # Errors
    /// As [`Session::applied`].
    pub async fn look_again(&mut self) -> Result<Vec<Applied>, Error> {
        let failed = |source| Error::database("looking around on the server", source);
        let results = self.rows(LOOK_AROUND.to_owned()).await.map_err(|completed| failed(completed.error))?;
        let tables = results.get(1).map(Vec::as_slice).unwrap_or_default();
        let (bookkeeping, _) = choose(tables_of(tables).map_err(failed)?)?;
        self.facts.bookkeeping = bookkeeping;
        self.applied().await
    }

    /// What Alembic's table says.
    pub(crate) async fn alembic_revision(&mut self, table: &Table) -> Result<String, DatabaseError> {
        self.value(format!(
            "SELECT coalesce((SELECT string_agg(version_num, ', ') FROM {}), 'none')",
            table.qualified()
        ))
        .await
    }

    /// Ends the session in good order; that it may already be gone is no problem here.
    pub async fn close(self) {
        let _ = tokio::time::timeout(CANCEL_GRACE, self.connection.close()).await;
    }
}

/// The bookkeeping table and Alembic's, among all tables called so.
fn choose(tables: Vec<Table>) -> Result<(Option<Table>, Option<Table>), Disagreement> {
    let (mut ours, theirs): (Vec<_>, Vec<_>) =
        tables.into_iter().partition(|table| table.name == BOOKKEEPING);
    // A role that can't use a schema is not bothered by what is in there.
    if ours.iter().any(|table| table.may_use_schema) {
        ours.retain(|table| table.may_use_schema);
    }
    if ours.len() > 1 {
        let names = ours.into_iter().map(|table| format!("{}.{}", table.schema, table.name)).collect();
        return Err(Disagreement::TwoTables(names));
    }
    Ok((ours.pop(), theirs.into_iter().next()))
}

type About = (String, Option<String>, String, i32, bool, bool, bool, bool, i64);

fn facts(about: About, bookkeeping: Option<Table>, alembic: Option<Table>) -> Facts {
    let (database, schema, user, pid, is_standby, is_read_only, may_create, commits_lazily, lock_slots) =
        about;
    Facts {
        database,
        schema,
        user,
        pid,
        is_standby,
        is_read_only,
        may_create,
        commits_lazily,
        lock_slots,
        bookkeeping,
        alembic,
    }
}

fn tables_of(rows: &[PgRow]) -> Result<Vec<Table>, DatabaseError> {
    let table = |(schema, name, may_use_schema, may_select, may_write, may_create)| Table {
        schema,
        name,
        may_use_schema,
        may_select,
        may_write,
        may_create,
    };
    Ok(read(rows)?.into_iter().map(table).collect())
}

type Row = (i64, String, String, bool, String, i64);

fn applied(
    (version, description, installed_on, success, checksum, execution_time): Row,
) -> Result<Applied, DatabaseError> {
    let checksum = recorded(&checksum)?;
    Ok(Applied { version: Version(version), description, installed_on, success, checksum, execution_time })
}
