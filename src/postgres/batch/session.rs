//! What the session goes through between a script and our bookkeeping.

/// Lets constraints that are due at commit speak while the session is still the script's: role, settings and
/// search path are those that its triggers were written for.
pub(crate) const CHECK_ALL: [&str; 1] = ["SET CONSTRAINTS ALL IMMEDIATE"];

/// The same where other scripts follow, whose constraints must not be immediate. What the triggers do is undone,
/// and done again at the commit.
pub(super) const CHECK_DEFERRED: [&str; 5] = [
    "SAVEPOINT run_migrations",
    "SET CONSTRAINTS ALL IMMEDIATE",
    "ROLLBACK TO SAVEPOINT run_migrations",
    "RELEASE SAVEPOINT run_migrations",
    CHECK_TEMPORARY,
];

/// `DISCARD TEMP` drops no table that a deferred constraint is still to be checked for. Only the constraints of such
/// tables are made immediate: the mode lasts as long as the transaction. It runs on the script's search path, and
/// names everything in full.
pub(super) const CHECK_TEMPORARY: &str = "\
DO $run_migrations$
DECLARE
  name pg_catalog.text;
BEGIN
  FOR name IN SELECT conname FROM pg_catalog.pg_constraint
    WHERE condeferrable AND connamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()
  LOOP
    EXECUTE pg_catalog.format('SET CONSTRAINTS pg_temp.%I IMMEDIATE', name);
  END LOOP;
END
$run_migrations$";

/// As `DISCARD ALL`, which can't run in a transaction and would release the run lock.
pub(crate) const RESET_SESSION: [&str; 8] = [
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
pub(crate) fn reset_session(settings: &[String]) -> String {
    format!("{};\n{}", RESET_SESSION.join(";\n"), settings.join(";\n"))
}

/// Takes the time limits away from the next statement, and remembers them: a concurrent index build
/// waits for every older transaction and blocks nobody meanwhile.
pub(crate) const WITHOUT_LIMITS: &str = "\
SELECT pg_catalog.set_config('run_migrations.lock_timeout', pg_catalog.current_setting('lock_timeout'), false), \
       pg_catalog.set_config('run_migrations.statement_timeout', pg_catalog.current_setting('statement_timeout'), false);
SET lock_timeout = 0;
SET statement_timeout = 0";

/// Gives back what [`WITHOUT_LIMITS`] took.
pub(crate) const WITH_LIMITS_AGAIN: &str = "\
SELECT pg_catalog.set_config('lock_timeout', pg_catalog.current_setting('run_migrations.lock_timeout'), false), \
       pg_catalog.set_config('statement_timeout', pg_catalog.current_setting('run_migrations.statement_timeout'), false)";
