//! One session: queries, and the bookkeeping table.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{Connection as _, FromRow, PgConnection};

use crate::postgres::activity::{Activity, Clearing};
use crate::postgres::copy::{self, Fields, copy_out};
use crate::postgres::path::{LEARN, OURS};
use crate::postgres::query::{self, rows};
use crate::postgres::sql::quoted_identifier;
use crate::postgres::{
    CANCEL_GRACE, DatabaseError, DatabaseInfo, Error, FailedQuery, RunOptions, Table, catalog,
};
use migration_core::{Applied, Version};

pub(crate) struct Session {
    pub(super) connection: PgConnection,
    /// The commands that set the session up, to be run again whenever it was reset.
    pub(crate) settings: Vec<String>,
    pub(crate) info: DatabaseInfo,
    /// How long the answer to a query of ours may take; zero is no limit.
    patience: Duration,
    pub(super) activity: Activity,
    /// Whether a COPY failed: sqlx leaves the end of such an answer for the next one.
    is_out_of_step: bool,
}

/// Another reading of backslashes would put the ends of statements elsewhere.
const STRINGS: &str = "SET standard_conforming_strings = on";

/// Sent before anything else, and after every reset. What a role or database sets for itself must
/// not apply: a limit there would make a run depend on who runs it.
fn settings(options: &RunOptions) -> Vec<String> {
    vec![
        format!("SET lock_timeout = {}", options.lock_timeout.as_millis()),
        format!("SET statement_timeout = {}", options.statement_timeout.as_millis()),
        STRINGS.to_owned(),
        OURS.to_owned(),
    ]
}

/// The same until the transaction ends.
fn for_now(settings: &[String]) -> String {
    let local: Vec<_> = settings.iter().map(|command| command.replacen("SET ", "SET LOCAL ", 1)).collect();
    local.join(";\n")
}

/// What we ask is answered at once, unless a table is locked. Never in less time than that takes.
fn patience(options: &RunOptions) -> Duration {
    match options.lock_timeout {
        Duration::ZERO => Duration::ZERO,
        _ if options.connect_timeout.is_zero() => Duration::ZERO,
        lock_timeout => options.connect_timeout.max(lock_timeout + CANCEL_GRACE),
    }
}

impl Session {
    /// Looks around, in one round trip. Nothing is set for longer than that, but how strings are read: a
    /// connection pooler in transaction mode would leave it to whoever comes next.
    pub(super) async fn open(connection: PgConnection, options: &RunOptions) -> Result<Self, Error> {
        let info = DatabaseInfo::default();
        let mut session = Self {
            connection,
            settings: settings(options),
            info,
            patience: patience(options),
            activity: Activity::default(),
            is_out_of_step: false,
        };
        session.inspect(&format!("{STRINGS};\n")).await?;
        Ok(session)
    }

    async fn inspect(&mut self, before: &str) -> Result<(), Error> {
        let failed = |source| Error::query("looking around on the server", source);
        let sql = format!("{before}{};\n{LEARN};\n{}", for_now(&self.settings), catalog::around());
        let results = self.rows(sql).await.map_err(|completed| failed(completed.error))?;
        let [.., about, tables] = results.as_slice() else {
            return Err(failed(DatabaseError::Cut("the server did not answer each query".into())));
        };
        self.info = catalog::info(about, tables).map_err(failed)?;
        Ok(())
    }

    /// Sets the session up, for a run that is known to have it for itself.
    pub(super) async fn settle(&mut self) -> Result<(), DatabaseError> {
        if self.info.commits_lazily {
            self.settings.push("SET synchronous_commit = on".to_owned());
        }
        self.execute(self.settings.join(";\n")).await.map(drop).map_err(|failed| failed.error)
    }

    /// A signal cancels nothing of what is done until this is dropped.
    pub(crate) fn clear(&self) -> Clearing {
        self.activity.clear()
    }

    /// What goes before queries of ours that the session may not be set up for.
    pub(super) fn for_now(&self) -> String {
        format!("{};\n", for_now(&self.settings))
    }

    /// Runs statements of ours for their effect, and says how many commands that were.
    pub(crate) async fn execute(&mut self, sql: impl Into<Arc<String>>) -> Result<usize, FailedQuery> {
        self.execute_within(self.patience, sql).await
    }

    pub(crate) async fn execute_within(
        &mut self,
        patience: Duration,
        sql: impl Into<Arc<String>>,
    ) -> Result<usize, FailedQuery> {
        self.activity.begins();
        self.in_step().map_err(|error| FailedQuery { commands: 0, error })?;
        query::execute(&mut self.connection, patience, sql).await
    }

    fn in_step(&self) -> Result<(), DatabaseError> {
        if self.is_out_of_step {
            return Err(DatabaseError::Cut(
                "a query before failed, and the session ended with it".to_owned(),
            ));
        }
        Ok(())
    }

    /// Runs what may take as long as it likes: a script, or a build.
    pub(crate) async fn execute_patiently(
        &mut self,
        sql: impl Into<Arc<String>>,
    ) -> Result<usize, FailedQuery> {
        self.execute_within(Duration::ZERO, sql).await
    }

    pub(super) async fn rows(&mut self, sql: String) -> Result<Vec<Vec<PgRow>>, FailedQuery> {
        self.activity.begins();
        self.in_step().map_err(|error| FailedQuery { commands: 0, error })?;
        rows(&mut self.connection, self.patience, sql).await
    }

    /// Runs one query and takes the single value it gives.
    pub(super) async fn value<T>(&mut self, sql: String) -> Result<T, DatabaseError>
    where
        (T,): for<'r> FromRow<'r, PgRow>,
    {
        self.activity.begins();
        self.in_step()?;
        query::value(&mut self.connection, self.patience, sql).await
    }

    /// Reads the bookkeeping table, oldest first; empty where there is none.
    pub(crate) async fn applied(&mut self) -> Result<Vec<Applied>, Error> {
        let Some(table) = self.info.bookkeeping.clone() else { return Ok(Vec::new()) };
        if let Some(problem) = table.unreadable(&self.info.user) {
            return Err(Error::Refused(problem));
        }
        let name = table.qualified();
        let columns = ["version", "description", "installed_on", "success", "checksum", "execution_time"];
        let mut applied = match self.read_table(&table, &columns, applied).await {
            Ok(applied) => applied,
            Err(error) if error.sqlstate() == Some("42501") => {
                return Err(Error::Refused(format!(
                    "row-level security hides rows of {name} from role {}: {error}",
                    quoted_identifier(&self.info.user)
                )));
            }
            Err(source) => return Err(Error::query("reading the bookkeeping", source)),
        };
        applied.sort_by_key(|applied| applied.version);
        Ok(applied)
    }

    /// The rows of a table, in no order, and without running what anybody may have hung on it or put in its place.
    pub(super) async fn read_table<T>(
        &mut self,
        table: &Table,
        columns: &[&str],
        row: impl FnMut(&mut Fields<'_>) -> Result<T, DatabaseError>,
    ) -> Result<Vec<T>, DatabaseError> {
        let begin = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY;\n{}SET LOCAL row_security = off;\n\
             SET LOCAL idle_in_transaction_session_timeout = 0",
            self.for_now()
        );
        self.execute(begin).await.map_err(|failed| failed.error)?;
        let copy = format!("COPY {} ({}) TO STDOUT (FORMAT binary)", table.qualified(), columns.join(", "));
        let copied = copy_out(&mut self.connection, self.patience, &copy).await;
        self.is_out_of_step = copied.is_err();
        let copied = copied?;
        self.execute("COMMIT".to_owned()).await.map_err(|failed| failed.error)?;
        copy::rows(&copied, columns.len(), row)
    }

    /// Looks at the tables as they are now.
    pub(crate) async fn look_again(&mut self) -> Result<(), Error> {
        self.inspect("").await
    }

    /// The bookkeeping as it is now, table and rows: others may have made it since.
    pub(crate) async fn read_again(&mut self) -> Result<Vec<Applied>, Error> {
        self.inspect("").await?;
        self.applied().await
    }

    /// Makes the bookkeeping table where the role's search path has none, and looks at what is there now.
    pub(crate) async fn create_bookkeeping(&mut self, create: String) -> Result<(), Error> {
        let failed = |source| Error::query("creating the bookkeeping table", source);
        self.execute(create).await.map_err(|completed| failed(completed.error))?;
        self.inspect("").await
    }

    /// Ends the session in good order; that it may already be gone is no problem here.
    pub(crate) async fn close(self) {
        let _ = tokio::time::timeout(CANCEL_GRACE, self.connection.close()).await;
    }
}

fn applied(row: &mut Fields<'_>) -> Result<Applied, DatabaseError> {
    Ok(Applied {
        version: Version(row.long()?),
        description: row.text()?,
        installed_on: row.moment()?,
        success: row.truth()?,
        checksum: row.checksum()?,
        execution_time: row.long()?,
    })
}
