//! What goes to the server, byte for byte, and which part of it an error is about.
//!
//! A transactional migration is one simple query: begin, script, bookkeeping, commit. The server
//! reports each command that completes, so their number tells which one failed even where the
//! error has no position.

pub mod halfway;

use std::ops::Range;

use crate::database::{ServerError, Table, quoted_literal, unlock_and_lock_again};
use crate::failure::{Culprit, Excerpt, byte_of_char, excerpt};
use crate::migration::{Direction, Migration, Version};
use crate::script::Prepared;

/// sqlx 0.9's table, to the letter: <https://docs.rs/sqlx-postgres/0.9.0/src/sqlx_postgres/migrate.rs.html>.
pub fn create_bookkeeping(name: &str) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {name} (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMPTZ NOT NULL DEFAULT now(),
    success BOOLEAN NOT NULL,
    checksum BYTEA NOT NULL,
    execution_time BIGINT NOT NULL
)"
    )
}

/// Where a message begins its transaction and where it ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// First of its transaction.
    pub begins: bool,
    /// Last of its transaction.
    pub commits: bool,
}

/// One simple query that holds a whole migration.
#[derive(Debug)]
pub struct Message {
    /// The query.
    pub sql: String,
    script: Range<usize>,
    commands_before: usize,
    statements: usize,
    after: Vec<Culprit>,
}

impl Message {
    /// A transactional migration with its bookkeeping.
    pub fn of(prepared: &Prepared<'_>, table: &Table, settings: &str, frame: Frame) -> Self {
        let mut sql = String::with_capacity(prepared.script.text.len() + 1024);
        if frame.begins {
            sql.push_str("BEGIN;\n");
        }
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
        if !prepared.is_session_neutral {
            for command in CHECK_DEFERRED {
                add(Culprit::DeferredConstraint, command);
            }
            for command in RESET_SESSION {
                add(Culprit::Bookkeeping, command);
            }
            add(Culprit::Bookkeeping, settings);
        }
        add(Culprit::Bookkeeping, &record(prepared, table));
        if frame.commits {
            add(Culprit::Commit, "COMMIT");
        }
        let commands_before = usize::from(frame.begins);
        Self { sql, script, commands_before, statements: prepared.statements, after }
    }

    /// Which part failed after so many completed commands, and where that stands in the script.
    pub fn blame(
        &self,
        prepared: &Prepared<'_>,
        completed: usize,
        error: Option<&ServerError>,
    ) -> (Culprit, Option<Excerpt>) {
        let at = error.and_then(|error| error.position).map(|position| byte_of_char(&self.sql, position));
        if let Some(at) = at
            && (self.script.start..self.script.end + 1).contains(&at)
        {
            let offset = at - self.script.start;
            let statements = prepared.split();
            let number = statements.iter().filter(|statement| statement.offset <= offset).count().max(1);
            let culprit = Culprit::Statement { number, of: self.statements };
            return (culprit, Some(excerpt(&prepared.script.text, offset, true)));
        }
        let index = completed.saturating_sub(self.commands_before);
        match index.checked_sub(self.statements) {
            None => blame_statement(prepared, index, None),
            Some(index) => (self.after.get(index).cloned().unwrap_or(Culprit::Commit), None),
        }
    }
}

/// The `index`th statement of a script, from 0.
pub fn blame_statement(
    prepared: &Prepared<'_>,
    index: usize,
    error: Option<&ServerError>,
) -> (Culprit, Option<Excerpt>) {
    let statements = prepared.split();
    let statement = statements.get(index);
    let position = error.and_then(|error| error.position);
    let excerpt = statement.map(|statement| {
        let within = position.map_or(0, |position| byte_of_char(statement.text, position));
        excerpt(&prepared.script.text, statement.offset + within, position.is_some())
    });
    (Culprit::Statement { number: index + 1, of: statements.len() }, excerpt)
}

/// Lets constraints that are due at commit speak while it is still clear whose they are. What
/// their triggers do is undone, and done again at the commit.
const CHECK_DEFERRED: [&str; 4] = [
    "SAVEPOINT run_migrations",
    "SET CONSTRAINTS ALL IMMEDIATE",
    "ROLLBACK TO SAVEPOINT run_migrations",
    "RELEASE SAVEPOINT run_migrations",
];

/// As `DISCARD ALL`, which can't run in a transaction and would release the run lock.
pub const RESET_SESSION: [&str; 8] = [
    "RESET SESSION AUTHORIZATION",
    "RESET ROLE",
    "RESET ALL",
    "CLOSE ALL",
    "DEALLOCATE ALL",
    "UNLISTEN *",
    "DISCARD TEMP",
    "DISCARD SEQUENCES",
];

/// Brings the session back to how it was before a script.
pub fn reset_session(settings: &str) -> String {
    format!("{};\n{settings}", RESET_SESSION.join(";\n"))
}

/// Takes the time limits away from the next statements: a concurrent index build waits for every
/// older transaction and blocks nobody meanwhile.
pub fn without_limits() -> &'static str {
    "SET lock_timeout = 0; SET statement_timeout = 0"
}

/// The version, if the run lock is still held; an error that says so, if not.
fn proven(version: impl std::fmt::Display) -> String {
    format!(
        "(SELECT CASE WHEN {} THEN {version} \
         ELSE pg_catalog.concat('the run lock was lost by process ', pg_catalog.pg_backend_pid())::bigint END)",
        unlock_and_lock_again()
    )
}

fn elapsed() -> &'static str {
    "(extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.statement_timestamp()) * 1000000000)::bigint"
}

/// The bookkeeping of a migration that is done.
fn record(prepared: &Prepared<'_>, table: &Table) -> String {
    match prepared.step.direction {
        Direction::Up => insert(prepared.step.migration, table, true, elapsed()),
        Direction::Down => remove(prepared.step.migration.version, table),
    }
}

/// Gives a migration its row.
pub fn insert(migration: &Migration, table: &Table, success: bool, execution_time: &str) -> String {
    format!(
        "INSERT INTO {} (version, description, success, checksum, execution_time) \
         VALUES ({}, {}, {success}, pg_catalog.decode('{}', 'hex'), {execution_time})",
        table.qualified(),
        proven(migration.version),
        quoted_literal(&migration.description),
        migration.checksum,
    )
}

/// Records an edited file as the one that was applied.
pub fn rewrite_checksum(migration: &Migration, table: &Table) -> String {
    format!(
        "UPDATE {} SET checksum = pg_catalog.decode('{}', 'hex') WHERE version = {}",
        table.qualified(),
        migration.checksum,
        proven(migration.version),
    )
}

/// Takes a migration's row away.
pub fn remove(version: Version, table: &Table) -> String {
    format!("DELETE FROM {} WHERE version = {}", table.qualified(), proven(version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migration::History;
    use crate::plan::Step;
    use crate::script::prepare;

    fn migration(text: &str) -> Migration {
        let mut migration = History::of(&[(1, "it's")]).migrations()[0].clone();
        text.clone_into(&mut migration.up.text);
        migration
    }

    fn with<T>(text: &str, check: impl Fn(&Prepared<'_>, &Message) -> T) -> T {
        let migration = migration(text);
        let prepared = prepare(&[Step { migration: &migration, direction: Direction::Up }]).unwrap();
        let frame = Frame { begins: true, commits: true };
        let message = Message::of(&prepared[0], &Table::new_in("public"), "SELECT 1", frame);
        check(&prepared[0], &message)
    }

    fn server_error(position: Option<usize>) -> ServerError {
        ServerError {
            sqlstate: "42601".into(),
            message: "syntax error".into(),
            detail: None,
            hint: None,
            context: None,
            position,
            internal: None,
        }
    }

    #[test]
    fn plain_ddl_is_framed_tightly() {
        with("CREATE TABLE a () -- end", |_, message| {
            let sql = &message.sql;
            assert!(sql.starts_with(
                "BEGIN;\nCREATE TABLE a () -- end\n;\nINSERT INTO \"public\".\"_sqlx_migrations\""
            ));
            assert!(sql.contains("'it''s'"));
            assert!(sql.ends_with("COMMIT;\n"));
            assert!(!sql.contains("RESET"));
        });
    }

    #[test]
    fn what_may_leave_traces_is_cleaned_up_after() {
        with("SET ROLE x", |_, message| {
            let order =
                ["SET ROLE x", "SET CONSTRAINTS ALL IMMEDIATE", "RESET ROLE", "INSERT INTO", "COMMIT"];
            let places: Vec<_> = order.iter().map(|part| message.sql.find(part).unwrap()).collect();
            assert!(places.is_sorted(), "{places:?}");
        });
    }

    #[test]
    fn blames_by_position_in_characters() {
        with("SELECT 'ü';\nSELECT x;", |prepared, message| {
            // "BEGIN;\n" is 7 characters; x is the 19th of the script.
            let (culprit, excerpt) = message.blame(prepared, 0, Some(&server_error(Some(7 + 20))));
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
            let (culprit, excerpt) = blame(2);
            assert_eq!(culprit, Culprit::Statement { number: 2, of: 2 });
            assert_eq!(excerpt.unwrap().place.line, 2);
            assert_eq!(blame(4).0, Culprit::DeferredConstraint);
            assert_eq!(blame(3 + CHECK_DEFERRED.len()).0, Culprit::Bookkeeping);
            let all = 1 + 2 + CHECK_DEFERRED.len() + RESET_SESSION.len() + 2;
            assert_eq!(blame(all).0, Culprit::Commit);
        });
    }
}
