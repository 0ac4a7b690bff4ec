//! What is recorded while a no-transaction script is under way: in sqlx's table that it stands
//! halfway, and in a table of ours, which exists only so long, which statements began and ended.

use super::{insert, proven, remove, update};
use crate::database::{PROGRESS, Table, quoted_identifier, quoted_literal};
use crate::migration::{Direction, Version};
use crate::script::Prepared;

/// The `execution_time` of a row whose script began and did not end tells which way it went: -1,
/// which sqlx writes too, on the way up, and below that on the way down. A time below zero, of a
/// clock that was set back, is not kept.
pub const BEFORE_DOWN: &str = "-3 - greatest(execution_time, -1)";

/// The time there was before.
const AFTER_DOWN: &str = "-3 - execution_time";

/// Which way the script of a halfway row went.
pub fn direction(execution_time: i64) -> Direction {
    if execution_time < -1 { Direction::Down } else { Direction::Up }
}

/// The progress table, beside the bookkeeping table.
pub fn progress(table: &Table) -> String {
    format!("{}.{}", quoted_identifier(&table.schema), quoted_identifier(PROGRESS))
}

/// Before the first statement. One message is one transaction.
pub fn enter(prepared: &Prepared<'_>, table: &Table) -> String {
    let migration = prepared.step.migration;
    let row = match prepared.step.direction {
        Direction::Up => insert(migration, table, false, "-1"),
        Direction::Down => {
            let assignments = format!("success = false, execution_time = {BEFORE_DOWN}");
            update(migration.version, table, &assignments)
        }
    };
    let progress = progress(table);
    format!(
        "CREATE TABLE IF NOT EXISTS {progress} (
    version BIGINT NOT NULL,
    statement INT PRIMARY KEY,
    checksum BYTEA NOT NULL,
    index_existed BOOLEAN NOT NULL,
    started_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    finished_at TIMESTAMPTZ
);
DELETE FROM {progress};
COMMENT ON TABLE {progress} IS
    'run-migrations: statements of the no-transaction script that is under way; gone when it has ended';
{row}"
    )
}

/// Before a statement that can't share a transaction with its record.
pub fn start(prepared: &Prepared<'_>, table: &Table, statement: usize, index_existed: bool) -> String {
    format!(
        "INSERT INTO {progress} (version, statement, checksum, index_existed) \
         VALUES ({version}, {statement}, pg_catalog.decode('{checksum}', 'hex'), {index_existed}) \
         ON CONFLICT (statement) DO UPDATE SET started_at = clock_timestamp()",
        progress = progress(table),
        version = proven(prepared.step.migration.version),
        checksum = prepared.checksum,
    )
}

/// After it.
pub fn finish(table: &Table, statement: usize) -> String {
    format!("UPDATE {} SET finished_at = clock_timestamp() WHERE statement = {statement}", progress(table))
}

/// When nothing of a statement is left.
pub fn forget(table: &Table, statement: usize) -> String {
    format!("DELETE FROM {} WHERE statement = {statement}", progress(table))
}

/// What goes before a statement that commits together with its record, what goes after it, and how
/// many commands come between the two of its transaction.
pub fn around(prepared: &Prepared<'_>, table: &Table, statement: usize) -> (&'static str, String, usize) {
    let start = start(prepared, table, statement, false);
    ("BEGIN;\n", format!("\n;\n{start};\n{};\nCOMMIT", finish(table, statement)), 2)
}

/// After the last statement of a script that took so long.
pub fn leave(prepared: &Prepared<'_>, table: &Table, nanoseconds: u128) -> String {
    let version = prepared.step.migration.version;
    match prepared.step.direction {
        Direction::Up => settle(version, table, &nanoseconds.to_string()),
        Direction::Down => take_away(version, table),
    }
}

/// When nothing of the script is in effect: as it was before.
pub fn undo(version: Version, direction: Direction, table: &Table) -> String {
    match direction {
        Direction::Up => take_away(version, table),
        Direction::Down => settle(version, table, AFTER_DOWN),
    }
}

/// When all of the script is in effect, though nobody saw its end.
pub fn conclude(version: Version, direction: Direction, table: &Table) -> String {
    match direction {
        Direction::Up => settle(version, table, "0"),
        Direction::Down => take_away(version, table),
    }
}

/// Makes a halfway row one of an applied migration.
fn settle(version: Version, table: &Table, execution_time: &str) -> String {
    let assignments = format!("success = true, execution_time = {execution_time}");
    format!("{};\n{}", update(version, table, &assignments), drop_progress(table))
}

fn take_away(version: Version, table: &Table) -> String {
    format!("{};\n{}", remove(version, table), drop_progress(table))
}

/// A table that another role made can't be dropped, and then does no harm but its own rows.
fn drop_progress(table: &Table) -> String {
    format!(
        "DO $run_migrations$
BEGIN
  IF to_regclass({name}) IS NOT NULL THEN
    DROP TABLE {progress};
  END IF;
EXCEPTION WHEN insufficient_privilege THEN
  RAISE WARNING '{message}';
END
$run_migrations$",
        name = quoted_literal(&progress(table)),
        progress = progress(table),
        message = "the progress table belongs to another role; drop it before the next no-transaction script",
    )
}
