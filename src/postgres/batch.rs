//! What goes to the server, byte for byte, and which part of it an error is about.
//!
//! A transactional migration is one simple query: begin, script, bookkeeping, commit. The server
//! reports each command that completes, so their number tells which one failed even where the
//! error has no position.

pub(crate) mod partially_applied;
pub(crate) mod session;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::postgres::lock::unlock_and_lock_again;
use crate::postgres::sql::quoted_literal;
use crate::postgres::{LOCK_LOST, NOT_WRITTEN, ROLES_OWN_FOR_NOW, ServerError, Table};
use migration_core::excerpt::byte_of_char;
use migration_core::{Direction, Excerpt, Migration, Prepared, Version};
use session::{CHECK_ALL, CHECK_DEFERRED, CHECK_TEMPORARY, RESET_SESSION};

/// sqlx 0.9's table, to the letter: <https://docs.rs/sqlx-postgres/0.9.0/src/sqlx_postgres/migrate.rs.html>.
///
/// One that appears at the last moment is none of ours.
pub(crate) fn create_bookkeeping(name: &str) -> String {
    format!(
        "CREATE TABLE {name} (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMPTZ NOT NULL DEFAULT now(),
    success BOOLEAN NOT NULL,
    checksum BYTEA NOT NULL,
    execution_time BIGINT NOT NULL
)"
    )
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Culprit {
    /// A statement of the script, counted from 1.
    Statement {
        number: usize,
        of: usize,
    },
    DeferredConstraint,
    /// A character of it can't be recorded.
    FileName,
    Bookkeeping,
    Commit,
}

/// One simple query that holds a whole migration.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Sent as it is: a long script costs as often as it is copied.
    pub(crate) sql: Arc<String>,
    script: Range<usize>,
    commands_before: usize,
    statements: usize,
    after: Vec<Culprit>,
}

impl Batch {
    /// A transactional migration, with `record`, the bookkeeping of its transaction, before the commit. The script
    /// runs on the role's own search path, and what is still deferred at the commit does too. The message that begins
    /// the transaction locks the bookkeeping first: what is hung on it is looked at in the end, maybe in a snapshot that
    /// the script has taken.
    pub(crate) fn of(
        prepared: &Prepared<'_>,
        settings: &[String],
        begins: Option<&Table>,
        record: Option<Vec<String>>,
    ) -> Self {
        let mut sql = String::with_capacity(prepared.script.text.len() + 1024);
        if let Some(table) = begins {
            sql.push_str("BEGIN;\n");
            sql.push_str(&table.lock_to_write());
            sql.push_str(";\n");
        }
        sql.push_str(ROLES_OWN_FOR_NOW);
        sql.push_str(";\n");
        let start = sql.len();
        sql.push_str(&prepared.script.text);
        let script = start..sql.len();
        // The newline ends a comment that the script may end in.
        sql.push_str("\n;\n");
        let mut after = Vec::new();
        let mut add = |culprit: Culprit, command: &str| {
            sql.push_str(command);
            sql.push_str(";\n");
            after.push(culprit);
        };
        let is_alone = begins.is_some() && record.is_some();
        let checks = match (prepared.is_plain_ddl(), &record) {
            (true, _) => &[][..],
            (false, Some(_)) if is_alone => &CHECK_ALL[..],
            (false, Some(_)) => &[CHECK_TEMPORARY],
            (false, None) => &CHECK_DEFERRED,
        };
        for command in checks {
            add(Culprit::DeferredConstraint, command);
        }
        for command in RESET_SESSION {
            add(Culprit::Bookkeeping, command);
        }
        for command in settings {
            add(Culprit::Bookkeeping, command);
        }
        if let Some(record) = record {
            for command in &record {
                add(Culprit::Bookkeeping, command);
            }
            add(Culprit::Bookkeeping, ROLES_OWN_FOR_NOW);
            add(Culprit::Commit, "COMMIT");
        }
        let commands_before = if begins.is_some() { 3 } else { 1 };
        Self { sql: Arc::new(sql), script, commands_before, statements: prepared.statements, after }
    }

    pub(crate) fn commands(&self) -> usize {
        self.commands_before + self.statements + self.after.len()
    }

    /// Which part failed after so many completed commands, and where that stands in the script.
    pub(crate) fn blame(
        &self,
        prepared: &Prepared<'_>,
        completed: usize,
        error: Option<&ServerError>,
    ) -> (Culprit, Option<Excerpt>) {
        let at = error.and_then(|error| place(&self.sql, error));
        // A syntax error stops the whole message before its first command; where the script breaks
        // off in the middle, it is found only behind its end.
        let is_syntax = completed == 0;
        if let Some(at) = at
            && at >= self.script.start
            && (at < self.script.end || is_syntax)
        {
            if at >= self.script.end && error.is_some_and(|error| error.untranslatable().is_some()) {
                return (Culprit::FileName, None);
            }
            let text = prepared.script.text.trim_end();
            let offset = (at - self.script.start).min(text.len());
            let statements = prepared.split();
            let number = statements.iter().filter(|statement| statement.offset <= offset).count().max(1);
            let culprit = Culprit::Statement { number, of: self.statements };
            return (culprit, Some(Excerpt::at(text, offset, true)));
        }
        if (1..self.commands_before).contains(&completed) {
            return (Culprit::Bookkeeping, None);
        }
        let index = completed.saturating_sub(self.commands_before);
        match index.checked_sub(self.statements) {
            None => blame_statement(prepared, index, None),
            Some(index) => match self.after.get(index) {
                // integrity_constraint_violation
                Some(Culprit::Commit) if error.is_some_and(|error| error.sqlstate.starts_with("23")) => {
                    (Culprit::DeferredConstraint, None)
                }
                culprit => (culprit.cloned().unwrap_or(Culprit::Commit), None),
            },
        }
    }
}

/// Where in what was sent an error is, in bytes.
fn place(sql: &str, error: &ServerError) -> Option<usize> {
    let at = error.position.map(|position| byte_of_char(sql, position));
    at.or_else(|| sql.find(&error.untranslatable()?))
}

/// The `index`th statement of a script, from 0.
pub(crate) fn blame_statement(
    prepared: &Prepared<'_>,
    index: usize,
    error: Option<&ServerError>,
) -> (Culprit, Option<Excerpt>) {
    let statements = prepared.split();
    let statement = statements.get(index);
    let excerpt = statement.map(|statement| {
        let within = error.and_then(|error| place(statement.text, error));
        Excerpt::at(&prepared.script.text, statement.offset + within.unwrap_or(0), within.is_some())
    });
    (Culprit::Statement { number: index + 1, of: statements.len() }, excerpt)
}

/// The version, if the run lock is still held; an error that says so, if not.
fn proven(version: impl std::fmt::Display) -> String {
    format!(
        "(SELECT CASE WHEN {} THEN {version} \
         ELSE pg_catalog.concat('{LOCK_LOST}', pg_catalog.pg_backend_pid())::bigint END)",
        unlock_and_lock_again()
    )
}

fn elapsed() -> &'static str {
    // The clock may be set back meanwhile.
    "greatest((extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.statement_timestamp()) \
     * 1000000000)::bigint, 0)"
}

/// A change of the bookkeeping that must be one of so many rows: a trigger, a rule or a policy may
/// make it fewer, and then something would not be recorded.
fn exactly(rows: usize, change: &str, version: Version) -> String {
    format!(
        "WITH changed AS ({change} RETURNING 1) SELECT CASE count(*) WHEN {rows} THEN 1 \
         ELSE pg_catalog.concat('{NOT_WRITTEN}{version}: ', count(*), ' rows changed, not {rows}')::int END \
         FROM changed"
    )
}

/// The bookkeeping of a transaction: its migrations, which go one way, and how long each took; the
/// last one, in whose message this goes, is not over yet.
pub(crate) fn record(steps: &[Prepared<'_>], took: &[Duration], table: &Table) -> Vec<String> {
    let mut commands = table.unchanged().to_vec();
    commands.extend(change(steps, took, table));
    commands
}

fn change(steps: &[Prepared<'_>], took: &[Duration], table: &Table) -> Option<String> {
    let (last, before) = steps.split_last()?;
    let version = last.step.migration.version;
    if last.step.direction == Direction::Down {
        let before: String = before.iter().map(|step| format!(", {}", step.step.migration.version)).collect();
        let delete =
            format!("DELETE FROM {} WHERE version IN ({}{before})", table.qualified(), proven(version));
        return Some(exactly(steps.len(), &delete, version));
    }
    // One proof is enough for all.
    let mut rows = row(last.step.migration, &proven(version), true, elapsed());
    for (step, took) in before.iter().zip(took) {
        let migration = step.step.migration;
        let nanoseconds = took.as_nanos().to_string();
        rows.push_str(", ");
        rows.push_str(&row(migration, &migration.version.to_string(), true, &nanoseconds));
    }
    Some(exactly(steps.len(), &insert_rows(table, &rows), version))
}

fn insert_rows(table: &Table, rows: &str) -> String {
    format!(
        "INSERT INTO {} (version, description, success, checksum, execution_time) VALUES {rows}",
        table.qualified()
    )
}

fn row(migration: &Migration, version: &str, success: bool, execution_time: &str) -> String {
    format!(
        "({version}, {}, {success}, pg_catalog.decode('{}', 'hex'), {execution_time})",
        quoted_literal(&migration.description),
        migration.checksum,
    )
}

pub(crate) fn insert(migration: &Migration, table: &Table, success: bool, execution_time: &str) -> String {
    let row = row(migration, &proven(migration.version), success, execution_time);
    exactly(1, &insert_rows(table, &row), migration.version)
}

pub(crate) fn update(version: Version, table: &Table, assignments: &str) -> String {
    let update =
        format!("UPDATE {} SET {assignments} WHERE version = {}", table.qualified(), proven(version));
    exactly(1, &update, version)
}

pub(crate) fn rewrite_checksum(migration: &Migration, table: &Table) -> String {
    let checksum = format!("checksum = pg_catalog.decode('{}', 'hex')", migration.checksum);
    update(migration.version, table, &checksum)
}

pub(crate) fn remove(version: Version, table: &Table) -> String {
    let delete = format!("DELETE FROM {} WHERE version = {}", table.qualified(), proven(version));
    exactly(1, &delete, version)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use migration_core::script::prepare;
    use migration_core::{History, Step};

    /// Writes the script, and hands it over read and checked.
    fn with_prepared<T>(text: &str, check: impl Fn(&[Prepared<'_>]) -> T) -> T {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("batch-{}-{number}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("1_it's.up.sql"), text).unwrap();
        let history = History::read(&directory).unwrap();
        let step = Step { migration: &history.migrations()[0], direction: Direction::Up };
        let prepared = prepare(&[step]).unwrap();
        std::fs::remove_dir_all(&directory).unwrap();
        check(&prepared)
    }

    fn with<T>(text: &str, check: impl Fn(&Prepared<'_>, &Batch) -> T) -> T {
        with_prepared(text, |prepared| {
            let record = record(prepared, &[], &Table::new_in("public"));
            let table = Table::new_in("public");
            let message = Batch::of(&prepared[0], &["SELECT 1".to_owned()], Some(&table), Some(record));
            check(&prepared[0], &message)
        })
    }

    fn server_error(position: Option<usize>) -> ServerError {
        ServerError {
            sqlstate: "42601".into(),
            message: "syntax error".into(),
            position,
            ..ServerError::default()
        }
    }

    #[test]
    fn script_and_bookkeeping_are_one_transaction() {
        with("SET ROLE x -- end", |_, message| {
            let sql = &message.sql;
            let path = "SET LOCAL search_path TO DEFAULT;\n";
            let lock = "LOCK TABLE ONLY \"public\".\"_sqlx_migrations\" IN ROW EXCLUSIVE MODE;\n";
            let start =
                format!("BEGIN;\n{lock}{path}SET ROLE x -- end\n;\nSET CONSTRAINTS ALL IMMEDIATE;\nRESET");
            assert!(sql.starts_with(&start), "{sql}");
            assert!(sql.ends_with(&format!("{path}COMMIT;\n")), "{sql}");
            let order = ["RESET ROLE", "INSERT INTO \"public\".\"_sqlx_migrations\"", "'it''s'", "COMMIT;\n"];
            let places: Vec<_> = order.iter().map(|part| sql.find(part).unwrap()).collect();
            assert!(places.is_sorted(), "{places:?}");
            assert!(!sql.contains("SAVEPOINT"), "no other script follows");
        });
    }

    #[test]
    fn deferred_constraints_are_checked_where_others_follow() {
        with_prepared("INSERT INTO t VALUES (1)", |prepared| {
            let message = Batch::of(&prepared[0], &["SELECT 1".to_owned()], None, None);
            let path = "SET LOCAL search_path TO DEFAULT;\n";
            assert!(message.sql.starts_with(&format!("{path}INSERT INTO t VALUES (1)\n;\nSAVEPOINT")));
            let (culprit, _) = message.blame(&prepared[0], 3, Some(&server_error(None)));
            assert_eq!(culprit, Culprit::DeferredConstraint);
        });
    }

    #[test]
    fn blames_by_position_in_characters() {
        with("SELECT 'ü';\nSELECT x;", |prepared, message| {
            // x is the 19th character of the script.
            let before = message.sql.find("SELECT 'ü'").unwrap();
            let (culprit, excerpt) = message.blame(prepared, 0, Some(&server_error(Some(before + 20))));
            assert_eq!(culprit, Culprit::Statement { number: 2, of: 2 });
            let excerpt = excerpt.unwrap();
            assert_eq!((excerpt.place.line, excerpt.place.column, excerpt.exact), (2, 8, true));
            assert_eq!(excerpt.text, "SELECT x;");
        });
    }

    #[test]
    fn blames_by_count_where_there_is_no_position() {
        with("SELECT 1;\nSELECT 1/0;", |prepared, message| {
            let blame = |completed| message.blame(prepared, completed, Some(&server_error(None)));
            assert_eq!(blame(1), (Culprit::Bookkeeping, None));
            let (culprit, excerpt) = blame(4);
            assert_eq!(culprit, Culprit::Statement { number: 2, of: 2 });
            assert_eq!(excerpt.unwrap().place.line, 2);
            assert_eq!(blame(5).0, Culprit::DeferredConstraint);
            assert_eq!(blame(6).0, Culprit::Bookkeeping);
            assert_eq!(blame(message.commands() - 1).0, Culprit::Commit);
        });
    }

    #[test]
    fn blames_the_last_statement_for_an_end_in_the_middle() {
        with("SELECT 1;\nSELECT FROM\n", |prepared, message| {
            let behind = message.sql.find("\n;\nSET CONSTRAINTS").unwrap() + 2;
            let (culprit, excerpt) = message.blame(prepared, 0, Some(&server_error(Some(behind))));
            assert_eq!(culprit, Culprit::Statement { number: 2, of: 2 });
            let excerpt = excerpt.unwrap();
            assert_eq!((excerpt.place.line, excerpt.place.column), (2, 12));
        });
    }
}
