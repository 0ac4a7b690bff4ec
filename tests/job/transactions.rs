//! TRANSACTION=each commits after every migration, TRANSACTION=run after all of them.

use crate::support::{Database, Directory, Job, Setup};

#[test]
fn run_is_all_or_nothing() {
    let setup = Setup::with(&[
        ("1_a.up.sql", "CREATE TABLE a ();"),
        ("2_b.up.sql", "CREATE TABLE b ();"),
        ("3_c.up.sql", "SELECT 1 / 0;"),
    ]);
    setup.job("upgrade head").env("TRANSACTION", "run").run().is(
        5,
        "upgrade from base to 3: 3 migrations",
        "\
error: applying 3 (c): division by zero
 --> migrations/3_c.up.sql:1:1
  |
1 | SELECT 1 / 0;
  | ^ in the statement that starts here
  = sqlstate: 22012
  = state: all 3 steps of its transaction were rolled back; the database is at base, as before this run",
    );
    assert_eq!(setup.database.tables("public"), ["_sqlx_migrations"]);
    assert_eq!(setup.database.versions(), [0; 0]);
    setup.directory.write("3_c.up.sql", "SELECT 1;");
    setup.job("upgrade head").env("TRANSACTION", "run").run().ok();
    assert_eq!(setup.database.versions(), [1, 2, 3]);
}

#[test]
fn a_script_without_a_transaction_divides_a_run() {
    let setup = Setup::with(&[
        ("1_a.up.sql", "CREATE TABLE a (b int);"),
        ("2_i.up.sql", "-- no-transaction\nCREATE INDEX CONCURRENTLY i ON a (b);"),
        ("3_c.up.sql", "CREATE TABLE c ();"),
        ("4_d.up.sql", "SELECT 1 / 0;"),
    ]);
    let outcome = setup.job("upgrade head").env("TRANSACTION", "run").run();
    outcome.fails(5, "all 2 steps of its transaction were rolled back; the database is at 2: 2 steps of this run committed, 2 not");
    assert_eq!(setup.database.versions(), [1, 2]);
    assert_eq!(setup.database.tables("public"), ["_sqlx_migrations", "a"]);
}

#[test]
fn a_downgrade_may_be_one_transaction_too() {
    let setup = Setup::with(&[
        ("1_a.up.sql", "CREATE TABLE a ();"),
        ("1_a.down.sql", "SELECT 1 / 0;"),
        ("2_b.up.sql", "CREATE TABLE b ();"),
        ("2_b.down.sql", "DROP TABLE b;"),
    ]);
    setup.job("upgrade head").run().ok();
    setup.job("downgrade base").env("TRANSACTION", "run").run().fails(5, "reverting 1 (a): division by zero");
    assert_eq!(setup.database.versions(), [1, 2]);
    assert!(setup.database.has("b"));
}

#[test]
fn a_deferred_constraint_that_fails_at_commit_has_its_owner() {
    let setup = Setup::with(&[
        (
            "1_a.up.sql",
            "CREATE TABLE a (id int PRIMARY KEY);\n\
             CREATE TABLE b (a int REFERENCES a DEFERRABLE INITIALLY DEFERRED);",
        ),
        ("2_b.up.sql", "INSERT INTO b VALUES (7);"),
        ("3_c.up.sql", "CREATE TABLE c ();"),
    ]);
    let state_each = "it was rolled back; the database is at 1: 1 step of this run committed, 2 not";
    let state_run =
        "all 3 steps of its transaction were rolled back; the database is at base, as before this run";
    // In one transaction for all it must still be the second script's.
    for (transaction, state) in [("run", state_run), ("each", state_each)] {
        let outcome = setup.job("upgrade head").env("TRANSACTION", transaction).run();
        assert_eq!(outcome.code, Some(5));
        assert_eq!(
            outcome.stderr.trim_end(),
            format!(
                "\
error: applying 2 (b), a constraint checked at its end: insert or update on table \"b\" violates foreign key constraint \"b_a_fkey\"
 --> migrations/2_b.up.sql
  = sqlstate: 23503
  = detail: Key (a)=(7) is not present in table \"a\".
  = state: {state}"
            )
        );
    }
}

#[test]
fn a_deferred_constraint_that_holds_at_the_end_is_fine() {
    let setup = Setup::with(&[(
        "1_a.up.sql",
        "CREATE TABLE a (id int PRIMARY KEY);\n\
         CREATE TABLE b (a int REFERENCES a DEFERRABLE INITIALLY DEFERRED);\n\
         INSERT INTO b VALUES (7);\nINSERT INTO a VALUES (7);",
    )]);
    setup.job("upgrade head").run().ok();
}

const ENUM: &[(&str, &str)] = &[
    ("1_a.up.sql", "CREATE TYPE mood AS ENUM ('fine'); CREATE TABLE a (m mood);"),
    ("2_b.up.sql", "ALTER TYPE mood ADD VALUE 'better';"),
    ("3_c.up.sql", "INSERT INTO a VALUES ('better');"),
];

#[test]
fn an_enum_value_added_by_one_migration_serves_the_next() {
    let setup = Setup::with(ENUM);
    setup.job("upgrade head").run().ok();
    assert_eq!(setup.database.versions(), [1, 2, 3]);
}

#[test]
fn an_enum_value_added_and_used_in_one_transaction_names_the_way_out() {
    let setup = Setup::with(ENUM);
    setup.job("upgrade 1").run().ok();
    let outcome = setup.job("upgrade head").env("TRANSACTION", "run").run();
    outcome.is(
        5,
        "upgrade from 1 to 3: 2 migrations",
        "\
error: applying 3 (c): unsafe use of new value \"better\" of enum type mood
 --> migrations/3_c.up.sql:1:23
  |
1 | INSERT INTO a VALUES ('better');
  |                       ^
  = sqlstate: 55P04
  = hint: New enum values must be committed before they can be used.
  = state: all 2 steps of its transaction were rolled back; the database is at 1, as before this run
  = next: a new enum value can be used only after a commit; set TRANSACTION=each, which commits after each migration",
    );
    setup
        .directory
        .write("2_b.up.sql", "ALTER TYPE mood ADD VALUE 'better';\nINSERT INTO a VALUES ('better');");
    setup.job("upgrade head").run().fails(
        5,
        "= next: a new enum value can be used only after a commit; add it in a migration of its own",
    );
}

#[test]
fn a_statement_that_can_not_run_in_a_transaction_names_the_way_out() {
    let setup = Setup::with(&[
        ("1_a.up.sql", "CREATE TABLE a (b int);"),
        ("2_b.up.sql", "CREATE INDEX CONCURRENTLY i ON a (b);"),
    ]);
    let outcome = setup.job("upgrade head").run();
    outcome
        .fails(5, "error: applying 2 (b): CREATE INDEX CONCURRENTLY cannot run inside a transaction block\n");
    outcome.fails(
        5,
        "= next: this statement can't run in a transaction; make `-- no-transaction` the first line of the script",
    );
}

#[test]
fn a_statement_that_runs_too_long_is_stopped_on_request() {
    let setup = Setup::with(&[("1_a.up.sql", "CREATE TABLE a ();\nSELECT pg_sleep(100);")]);
    setup.job("upgrade head").env("STATEMENT_TIMEOUT", "200ms").run().is(
        5,
        "upgrade from base to 1: 1 migration",
        "\
error: applying 1 (a), statement 2 of 2: canceling statement due to statement timeout
 --> migrations/1_a.up.sql:2:1
  |
2 | SELECT pg_sleep(100);
  | ^ in the statement that starts here
  = sqlstate: 57014
  = state: it was rolled back; the database is at base, as before this run
  = next: STATEMENT_TIMEOUT is N ms; raise it if the statement needs longer",
    );
}

/// Each table takes a lock slot until the commit.
#[test]
fn more_lock_slots_than_the_server_has_are_warned_about_and_named() {
    let database = Database::alone();
    let slots: i64 = database.value(
        "SELECT current_setting('max_locks_per_transaction')::bigint * current_setting('max_connections')::bigint",
    );
    // The server has some more than it promises.
    let tables = slots * 4;
    let many = |from: i64, to: i64| -> String {
        (from..to).map(|number| format!("CREATE TABLE t{number} ();\n")).collect()
    };
    let scripts = [many(0, 10), many(10, tables)];
    let directory = Directory::with(&[
        ("1_a.up.sql", &scripts[0]),
        ("2_b.up.sql", &scripts[1]),
        ("3_c.up.sql", "SELECT 1;"),
    ]);
    let job = || Job::new("upgrade head").within(&directory).on(&database);
    let outcome = job().env("TRANSACTION", "run").run();
    outcome.fails(5, " WARN one transaction of this run takes some ");
    outcome.fails(5, ": out of shared memory\n");
    outcome.fails(5, "= sqlstate: 53200\n");
    outcome.fails(5, "= next: one transaction for all needs too many locks; set TRANSACTION=each");
    assert_eq!(database.tables("public"), ["_sqlx_migrations"]);
    let outcome = job().run();
    outcome.fails(5, "= next: split the migration, or raise the server's max_locks_per_transaction");
    assert_eq!(database.versions(), [1]);
}
