//! `--sql`: a run as a psql script, for databases that only a DBA may touch.

use std::fmt::Write as _;

use foreign_text::one_line;

use crate::engine::Error;
use crate::postgres::batch::{self, partially_applied, session};
use crate::postgres::judgement::{judged, on_the_path, write_only_if};
use crate::postgres::sql::quoted_literal;
use crate::postgres::{OURS, ROLES_OWN_FOR_NOW, RunLock};
use migration_core::revision::resolve;
use migration_core::script::prepare;
use migration_core::{
    BOOKKEEPING, Direction, History, Migration, PlanError, Position, Prepared, Range, Statement, Step,
    wording,
};

/// The bookkeeping table, as psql puts it in.
const TABLE: &str = ":run_migrations_table";

/// What is looked at has to be what is there by then, whatever level the role has set.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// The flags psql needs: no startup file, and a stop at the first error.
pub(crate) const PSQL_FLAGS: &str = "psql -X -v ON_ERROR_STOP=1";

pub(crate) fn script(history: &History, direction: Direction, range: &Range) -> Result<String, Error> {
    let side = |revision| resolve(revision, history, None).map_err(PlanError::from);
    let (from, to) = (side(&range.from)?, side(&range.to)?);
    let wrong = match direction {
        Direction::Up => from > to,
        Direction::Down => from < to,
    };
    if wrong {
        return Err(PlanError::WrongWay { direction, revision: range.to.to_string(), to, from }.into());
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
        wording::migrations(prepared.len())
    );
    // psql would put its own variables into text such as arr[1:DBNAME].
    for variable in ["DBNAME", "USER", "HOST", "PORT", "ENCODING", "VERSION", "VERSION_NAME", "VERSION_NUM"] {
        let _ = writeln!(sql, "\\unset {variable}");
    }
    sql.push_str(LEARN);
    sql.push_str(&settings());
    sql.push_str(&lock());
    sql.push_str(&find(from));
    sql.push_str(&expect(from, below));
    for step in prepared {
        sql.push_str(&one(step));
    }
    let _ = writeln!(sql, "\\echo done: the database is at {to}");
    sql
}

/// Notes what an unqualified name can mean to the role. It runs on the role's own search path, and names everything
/// in full.
const LEARN: &str = "\
SELECT pg_catalog.set_config('run_migrations.schemas', pg_catalog.current_schemas(false)::pg_catalog.text, false)
         AS run_migrations_schemas,
       pg_catalog.set_config('run_migrations.search_path', pg_catalog.current_setting('search_path'), false)
         AS run_migrations_search_path \\gset
";

/// What the job sets for its session, with the default LOCK_TIMEOUT.
fn settings() -> String {
    format!(
        "{OURS};
SET client_encoding = 'UTF8';
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
SET standard_conforming_strings = on;
SET lock_timeout = '2s';
SET statement_timeout = 0;
"
    )
}

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

/// Finds the bookkeeping table as the job does: on the role's own search path. A run from base makes it where there is
/// none.
fn find(from: Position) -> String {
    let none = if from == Position::Base {
        format!(
            "SELECT format('%I.%I', n.nspname, '{BOOKKEEPING}') AS name INTO ours
      FROM unnest(current_setting('run_migrations.schemas')::name[]) WITH ORDINALITY AS p (name, place)
      JOIN pg_namespace n ON n.nspname = p.name AND n.oid <> pg_my_temp_schema() AND n.nspname <> 'pg_catalog'
     ORDER BY NOT has_schema_privilege(n.oid, 'CREATE'), place LIMIT 1;
    IF ours.name IS NULL THEN
      RAISE EXCEPTION 'the search path of this role (%) names no schema to create {BOOKKEEPING} in',
        current_setting('run_migrations.search_path');
    END IF;
    EXECUTE format($sql${}$sql$, ours.name);",
            batch::create_bookkeeping("%s")
        )
    } else {
        format!(
            "RAISE EXCEPTION 'there is no {BOOKKEEPING} on the search path of this role (%)',
      current_setting('run_migrations.search_path') USING HINT = format('If the history of this service is in another '
      || 'schema, make the role look there: ALTER ROLE %I IN DATABASE %I SET search_path = THAT_SCHEMA',
      current_user, current_database());"
        )
    };
    format!(
        "DO $run_migrations$
DECLARE
  ours record;
BEGIN
  {judged}
  SELECT format('%I.%I', schema, name) AS name, may_use, coalesce(reading, writing) AS problem INTO ours
    FROM judged ORDER BY place, schema LIMIT 1;
  IF NOT ours.may_use THEN
    RAISE EXCEPTION 'this role may not use the schema of %', ours.name;
  ELSIF ours.problem IS NOT NULL THEN
    RAISE EXCEPTION '% can''t be used: %', ours.name, ours.problem;
  ELSIF ours.name IS NULL THEN
    {none}
  END IF;
  PERFORM set_config('run_migrations.table', ours.name, false);
END
$run_migrations$;
SELECT current_setting('run_migrations.table') AS run_migrations_table \\gset
\\echo bookkeeping: :run_migrations_table
",
        judged = judged(&on_the_path(&[BOOKKEEPING])),
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
  EXECUTE format($sql$WITH expected (version, checksum) AS (
    {expected}
  ), found AS (
    SELECT version, encode(checksum, 'hex') AS checksum, success FROM ONLY %s
  )
  SELECT string_agg(coalesce(expected.version, found.version)::text, ', ')
    FROM expected FULL JOIN found USING (version)
   WHERE expected.checksum IS DISTINCT FROM found.checksum OR found.success IS NOT TRUE$sql$,
    current_setting('run_migrations.table')) INTO difference;
  IF difference IS NOT NULL THEN
    RAISE EXCEPTION 'the database is not at {from}: the bookkeeping differs at %', difference
      USING HINT = 'If this script has run before, there is nothing left to do; `history` tells where the database is. '
                || 'Otherwise print the script anew, from where it is: --sql FROM:TO';
  END IF;
END
$run_migrations$;
"
    )
}

fn one(prepared: &Prepared<'_>) -> String {
    let migration = prepared.step.migration;
    let verb = prepared.step.direction.doing();
    let echo = psql_argument(&format!("{verb} {}", migration.called()));
    let mut after = format!("{};\n{}", session::RESET_SESSION.join(";\n"), settings());
    if prepared.script.is_transactional() && !prepared.is_plain_ddl() {
        after = format!("{};\n{after}", session::CHECK_ALL.join(";\n"));
    }
    let (before, record) = bookkeeping(prepared);
    let text = &prepared.script.text;
    if prepared.script.is_transactional() {
        format!(
            "\n\\echo {echo}\nBEGIN;\nLOCK TABLE ONLY {TABLE} IN ROW EXCLUSIVE MODE;\n{ROLES_OWN_FOR_NOW};\n{text}\n;\n{after}{record}{ROLES_OWN_FOR_NOW};\nCOMMIT;\n"
        )
    } else {
        let statements: String = prepared.split().iter().map(non_transactional).collect();
        format!(
            "\n\\echo {echo}\n{BEGIN};\n{before}COMMIT;\nRESET search_path;\n{statements}{after}{BEGIN};\n{record}COMMIT;\n"
        )
    }
}

/// What `\\echo` prints as it is: one line, in which psql expands nothing.
fn psql_argument(text: &str) -> String {
    format!("'{}'", one_line(text).replace('\\', "\\\\").replace('\'', "''"))
}

/// A statement that commits by itself, with what the job does around it: on the script's search path, and so named in
/// full.
fn non_transactional(statement: &Statement<'_>) -> String {
    let text = format!("{}\n;\n", statement.text);
    let text = if statement.is_concurrent() {
        format!(
            "SELECT pg_catalog.pg_advisory_unlock(:run_migrations_sqlx_key) AS run_migrations_unlocked \\gset\n{text}\
             SELECT '' AS run_migrations_locked FROM pg_catalog.pg_advisory_lock(:run_migrations_sqlx_key) \\gset\n"
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
    let checked = |change: String| {
        let check = write_only_if(TABLE, ":'run_migrations_table'");
        format!("{check} \\gset\n{change};\n")
    };
    let insert = |success: bool| {
        checked(format!(
            "INSERT INTO {TABLE} (version, description, success, checksum, execution_time) \
             VALUES ({version}, {}, {success}, decode('{}', 'hex'), -1)",
            quoted_literal(&migration.description),
            migration.checksum,
        ))
    };
    let update = |set: &str| checked(format!("UPDATE {TABLE} SET {set} WHERE version = {version}"));
    let delete = || checked(format!("DELETE FROM {TABLE} WHERE version = {version}"));
    match (prepared.step.direction, prepared.script.is_transactional()) {
        (Direction::Up, true) => (String::new(), insert(true)),
        (Direction::Up, false) => (insert(false), update("success = true")),
        (Direction::Down, true) => (String::new(), delete()),
        (Direction::Down, false) => {
            let set = format!("success = false, execution_time = {}", partially_applied::BEFORE_DOWN);
            (update(&set), delete())
        }
    }
}
