//! `--sql`: a run as a psql script, for databases that only a DBA may touch.

use std::fmt::Write as _;

use foreign_text::one_line;

use crate::database::{BOOKKEEPING, RunLock, quoted_literal};
use crate::error::Error;
use crate::message::{self, halfway};
use crate::migration::{Direction, History, Migration};
use crate::plan::{PlanError, Step};
use crate::revision::{Offline, Position, Range, resolve};
use crate::script::{Prepared, prepare};
use crate::statement::Statement;
use crate::wording;

/// The flags psql needs: no startup file, and a stop at the first error.
pub const PSQL_FLAGS: &str = "psql -X -v ON_ERROR_STOP=1";

/// Writes the script that takes a database from one revision to another.
///
/// # Errors
/// Revisions that name nothing or lie the wrong way round, and scripts that can't be used.
pub fn script(history: &History, direction: Direction, range: &Range) -> Result<String, Error> {
    let side = |revision| resolve(revision, history, &Offline).map_err(PlanError::from);
    let (from, to) = (side(&range.from)?, side(&range.to)?);
    let wrong = match direction {
        Direction::Up => from > to,
        Direction::Down => from < to,
    };
    if wrong {
        let (command, way, side, other) = match direction {
            Direction::Up => ("upgrade", "up", "below", "downgrade"),
            Direction::Down => ("downgrade", "down", "above", "upgrade"),
        };
        let revision = range.to.to_string();
        return Err(PlanError::WrongWay { command, way, revision, to, side, from, other }.into());
    }
    let between = |migration: &&Migration| {
        let at = Position::At(migration.version);
        at > from.min(to) && at <= from.max(to)
    };
    let mut steps: Vec<_> =
        history.migrations().iter().filter(between).map(|migration| Step { migration, direction }).collect();
    if direction == Direction::Down {
        steps.reverse();
    }
    let prepared = prepare(&steps)?;
    let below: Vec<_> =
        history.migrations().iter().filter(|migration| Position::At(migration.version) <= from).collect();
    Ok(write(from, to, &below, &prepared))
}

fn write(from: Position, to: Position, below: &[&Migration], prepared: &[Prepared<'_>]) -> String {
    let mut sql = format!(
        "-- From {from} to {to}: {}. Run it with\n--   {PSQL_FLAGS} -f THIS_FILE …\n\\set ON_ERROR_STOP on\n",
        wording::counted(prepared.len(), "migration", "migrations")
    );
    // psql would put its own variables into text such as arr[1:DBNAME].
    for variable in ["DBNAME", "USER", "HOST", "PORT", "ENCODING", "VERSION", "VERSION_NAME", "VERSION_NUM"] {
        let _ = writeln!(sql, "\\unset {variable}");
    }
    sql.push_str(SETTINGS);
    sql.push_str(&lock());
    if from == Position::Base {
        sql.push_str(&create());
    }
    sql.push_str(&expect(from, below));
    for step in prepared {
        sql.push_str(&one(step));
    }
    let _ = writeln!(sql, "\\echo done: the database is at {to}");
    sql
}

/// What the job sets for its session, with the default LOCK_TIMEOUT.
const SETTINGS: &str = "\
SET client_encoding = 'UTF8';
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
SET standard_conforming_strings = on;
SET lock_timeout = '2s';
SET statement_timeout = 0;
";

/// Our key and sqlx's, whose number is a CRC-32 of the database's name.
fn lock() -> String {
    format!(
        "DO $run_migrations$
DECLARE
  crc bigint := 4294967295;
  name bytea := convert_to(current_database(), 'UTF8');
BEGIN
  FOR at IN 0 .. length(name) - 1 LOOP
    crc := crc # get_byte(name, at);
    FOR bit IN 1 .. 8 LOOP
      crc := (crc >> 1) # CASE crc & 1 WHEN 1 THEN 3988292384 ELSE 0 END;
    END LOOP;
  END LOOP;
  crc := 1026731422 * (crc # 4294967295);
  IF NOT pg_try_advisory_lock({key}) OR NOT pg_try_advisory_lock(crc) THEN
    RAISE EXCEPTION 'another run holds the lock of this database; run again when it is done';
  END IF;
  PERFORM set_config('run_migrations.sqlx_key', crc::text, false);
END
$run_migrations$;
SELECT current_setting('run_migrations.sqlx_key') AS run_migrations_sqlx_key \\gset
",
        key = RunLock::KEY
    )
}

/// Creates the bookkeeping table, unless there is one that the role does not see.
fn create() -> String {
    format!(
        "DO $run_migrations$
DECLARE
  elsewhere text;
BEGIN
  SELECT string_agg(format('%I', n.nspname), ', ') INTO elsewhere
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relname = '{BOOKKEEPING}' AND NOT pg_table_is_visible(c.oid);
  IF elsewhere IS NOT NULL THEN
    RAISE EXCEPTION '{BOOKKEEPING} is in schema %, which is not on the search path of this role', elsewhere;
  END IF;
END
$run_migrations$;
{};
",
        message::create_bookkeeping(BOOKKEEPING)
    )
}

/// Stops unless the bookkeeping says exactly what lies below `from`.
fn expect(from: Position, below: &[&Migration]) -> String {
    let rows: Vec<_> =
        below.iter().map(|migration| format!("({}, '{}')", migration.version, migration.checksum)).collect();
    let expected = if rows.is_empty() {
        "SELECT 0::bigint, ''::text WHERE false".to_owned()
    } else {
        format!("VALUES\n      {}", rows.join(",\n      "))
    };
    format!(
        "DO $run_migrations$
DECLARE
  difference text;
BEGIN
  WITH expected (version, checksum) AS (
    {expected}
  ), found AS (
    SELECT version, encode(checksum, 'hex') AS checksum, success FROM {BOOKKEEPING}
  )
  SELECT string_agg(coalesce(expected.version, found.version)::text, ', ') INTO difference
    FROM expected FULL JOIN found USING (version)
   WHERE expected.checksum IS DISTINCT FROM found.checksum OR found.success IS NOT TRUE;
  IF difference IS NOT NULL THEN
    RAISE EXCEPTION 'the database is not at {from}: the bookkeeping differs at %', difference;
  END IF;
END
$run_migrations$;
"
    )
}

fn one(prepared: &Prepared<'_>) -> String {
    let migration = prepared.step.migration;
    let verb = match prepared.step.direction {
        Direction::Up => "applying",
        Direction::Down => "taking back",
    };
    let echo = psql_argument(&format!("{verb} {}", migration.version.called(&migration.description)));
    let mut after = format!("{};\n{SETTINGS}", message::RESET_SESSION.join(";\n"));
    if prepared.script.is_transactional() && !prepared.is_plain_ddl() {
        after = format!("{};\n{after}", message::CHECK_TEMPORARY);
    }
    let (before, record) = bookkeeping(prepared);
    if prepared.script.is_transactional() {
        format!("\n\\echo {echo}\nBEGIN;\n{}\n;\n{after}{record}COMMIT;\n", prepared.script.text)
    } else {
        let statements: String = prepared.split().iter().map(alone).collect();
        format!("\n\\echo {echo}\n{before}{statements}{after}{record}")
    }
}

/// What `\\echo` prints as it is: one line, in which psql expands nothing.
fn psql_argument(text: &str) -> String {
    format!("'{}'", one_line(text).replace('\\', "\\\\").replace('\'', "''"))
}

/// A statement that commits by itself, with what the job does around it.
fn alone(statement: &Statement<'_>) -> String {
    let text = format!("{}\n;\n", statement.text);
    let text = if statement.is_concurrent() {
        format!(
            "SELECT pg_advisory_unlock(:run_migrations_sqlx_key) AS run_migrations_unlocked \\gset\n{text}\
             SELECT '' AS run_migrations_locked FROM pg_advisory_lock(:run_migrations_sqlx_key) \\gset\n"
        )
    } else {
        text
    };
    if statement.is_maintenance() {
        format!("SET lock_timeout = 0;\n{text}SET lock_timeout = '2s';\n")
    } else {
        text
    }
}

/// What is recorded before a step, for a script without a transaction, and after it.
fn bookkeeping(prepared: &Prepared<'_>) -> (String, String) {
    let migration = prepared.step.migration;
    let version = migration.version;
    let insert = |success: bool| {
        format!(
            "INSERT INTO {BOOKKEEPING} (version, description, success, checksum, execution_time) \
             VALUES ({version}, {}, {success}, decode('{}', 'hex'), -1);\n",
            quoted_literal(&migration.description),
            migration.checksum,
        )
    };
    let delete = format!("DELETE FROM {BOOKKEEPING} WHERE version = {version};\n");
    match (prepared.step.direction, prepared.script.is_transactional()) {
        (Direction::Up, true) => (String::new(), insert(true)),
        (Direction::Up, false) => {
            (insert(false), format!("UPDATE {BOOKKEEPING} SET success = true WHERE version = {version};\n"))
        }
        (Direction::Down, true) => (String::new(), delete),
        (Direction::Down, false) => {
            let before = halfway::BEFORE_DOWN;
            let set = format!("SET success = false, execution_time = {before} WHERE version = {version}");
            (format!("UPDATE {BOOKKEEPING} {set};\n"), delete)
        }
    }
}
