//! What is recorded while a no-transaction script is under way: in sqlx's table that it is
//! partially applied, and in a table of ours, which exists only so long, which statements began and ended.

use crate::postgres::batch::{insert, proven, remove, update};
use crate::postgres::judgement::write_only_if_ordinary;
use crate::postgres::path::{KEEP_ROLES_OWN, OURS};
use crate::postgres::sql::quoted_literal;
use crate::postgres::{ROLES_OWN_FOR_NOW, Table};
use migration_core::{Checksum, Direction, Prepared, Version};

/// The `execution_time` of a row whose script began and did not end tells which way it went: -1,
/// which sqlx writes too, on the way up, and below that on the way down. A time below zero, of a
/// clock that was set back, is not kept.
pub(crate) const BEFORE_DOWN: &str = "-3 - greatest(execution_time, -1)";

/// The time there was before.
const AFTER_DOWN: &str = "-3 - execution_time";

/// What hangs on a table is asked after the table is locked. The role, or the script, may have set a level at which the
/// answer is older.
pub(crate) const FRESH: &str = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED";

/// Which way the script of such a row went.
pub(crate) fn direction(execution_time: i64) -> Direction {
    if execution_time < -1 { Direction::Down } else { Direction::Up }
}

/// Before the first statement. One message is one transaction. Whoever may create in the schema may have put a table
/// of the progress table's name there.
pub(crate) fn enter(prepared: &Prepared<'_>, table: &Table) -> String {
    let migration = prepared.step.migration;
    let row = match prepared.step.direction {
        Direction::Up => insert(migration, table, false, "-1"),
        Direction::Down => {
            let assignments = format!("success = false, execution_time = {BEFORE_DOWN}");
            update(migration.version, table, &assignments)
        }
    };
    let progress = table.progress();
    let [lock, unchanged] = table.unchanged();
    format!(
        "{FRESH};
{lock};
{KEEP_ROLES_OWN};
{unchanged};
CREATE TABLE IF NOT EXISTS {progress} (
    version BIGINT NOT NULL,
    statement INT PRIMARY KEY,
    checksum BYTEA NOT NULL,
    index_existed BOOLEAN NOT NULL,
    started_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    finished_at TIMESTAMPTZ
);
{check};
DELETE FROM {progress};
COMMENT ON TABLE {progress} IS
    'run-migrations: statements of the no-transaction script that is under way; gone when it has ended';
{row}",
        check = write_only_if_ordinary(&progress),
    )
}

/// Before a statement that can't share a transaction with its record. What hangs on the progress table was judged when
/// the script began; since then only a trusted role could have hung something on it, or put another in its place.
pub(crate) fn start(
    prepared: &Prepared<'_>,
    progress: &Table,
    statement: (usize, &str),
    index_existed: bool,
) -> String {
    let [lock, unchanged] = progress.unchanged();
    let begun = begun(prepared, progress, statement, index_existed, "NULL");
    format!("{FRESH};\n{lock};\n{unchanged};\n{begun}")
}

fn begun(
    prepared: &Prepared<'_>,
    progress: &Table,
    (statement, text): (usize, &str),
    index_existed: bool,
    finished_at: &str,
) -> String {
    format!(
        "INSERT INTO {table} (version, statement, checksum, index_existed, finished_at) \
         VALUES ({version}, {statement}, pg_catalog.decode('{checksum}', 'hex'), {index_existed}, {finished_at}) \
         ON CONFLICT (statement) DO UPDATE SET started_at = clock_timestamp(), finished_at = {finished_at}",
        table = progress.qualified(),
        version = proven(prepared.step.migration.version),
        checksum = Checksum::of(text),
    )
}

/// After it.
pub(crate) fn finish(progress: &Table, statement: usize) -> String {
    let (check, table) = (progress.unchanged().join(";\n"), progress.qualified());
    format!(
        "{FRESH};\n{check};\nUPDATE {table} SET finished_at = clock_timestamp() WHERE statement = {statement}"
    )
}

pub(crate) fn forget(progress: &Table, statement: usize) -> String {
    let (check, table) = (progress.unchanged().join(";\n"), progress.qualified());
    format!("{FRESH};\n{check};\nDELETE FROM {table} WHERE statement = {statement}")
}

/// A statement that commits together with its record.
pub(crate) struct Around {
    pub(crate) before: String,
    pub(crate) commands_before: usize,
    pub(crate) after: String,
    /// How many commands that is without the commit.
    pub(crate) commands_of_ours: usize,
}

/// What goes before a statement that commits together with its record, and what goes after it. The statement, and
/// what is still deferred at the commit, has the role's own search path.
pub(crate) fn around(prepared: &Prepared<'_>, progress: &Table, statement: (usize, &str)) -> Around {
    let [lock, unchanged] = progress.unchanged();
    let begun = begun(prepared, progress, statement, false, "clock_timestamp()");
    Around {
        before: format!("BEGIN;\n{lock};\n{ROLES_OWN_FOR_NOW};\n"),
        commands_before: 3,
        // The path, a check, an insert, and the path again.
        commands_of_ours: 4,
        after: format!("\n;\n{OURS};\n{unchanged};\n{begun};\n{ROLES_OWN_FOR_NOW};\nCOMMIT"),
    }
}

/// After the last statement of a script that took so long.
pub(crate) fn leave(prepared: &Prepared<'_>, table: &Table, nanoseconds: u128) -> String {
    let version = prepared.step.migration.version;
    match prepared.step.direction {
        // Its last statements may have been edited since the row was written.
        Direction::Up => {
            let checksum = format!("pg_catalog.decode('{}', 'hex')", prepared.checksum);
            settle(version, table, &format!("{nanoseconds}, checksum = {checksum}"))
        }
        Direction::Down => take_away(version, table),
    }
}

/// When nothing of the script is in effect: as it was before.
pub(crate) fn undo(version: Version, direction: Direction, table: &Table) -> String {
    match direction {
        Direction::Up => take_away(version, table),
        Direction::Down => settle(version, table, AFTER_DOWN),
    }
}

/// When all of the script is in effect, though nobody saw its end.
pub(crate) fn conclude(version: Version, direction: Direction, table: &Table) -> String {
    match direction {
        Direction::Up => settle(version, table, "0"),
        Direction::Down => take_away(version, table),
    }
}

/// Makes such a row one of an applied migration.
fn settle(version: Version, table: &Table, execution_time: &str) -> String {
    let assignments = format!("success = true, execution_time = {execution_time}");
    ended(table, &update(version, table, &assignments))
}

fn take_away(version: Version, table: &Table) -> String {
    ended(table, &remove(version, table))
}

fn ended(table: &Table, record: &str) -> String {
    let [lock, unchanged] = table.unchanged();
    format!("{lock};\n{unchanged};\n{record};\n{}", drop_progress(table))
}

/// A table that another role made can't be dropped, and then does no harm: it is looked at before it is used.
fn drop_progress(table: &Table) -> String {
    format!(
        "DO $run_migrations$
BEGIN
  IF to_regclass({name}) IS NOT NULL THEN
    DROP TABLE {progress};
  END IF;
EXCEPTION WHEN insufficient_privilege OR wrong_object_type THEN
  RAISE WARNING '{message}';
END
$run_migrations$",
        name = quoted_literal(&table.progress()),
        progress = table.progress(),
        message = "the progress table belongs to another role; drop it before the next no-transaction script",
    )
}
