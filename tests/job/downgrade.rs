//! `downgrade` reverts what is applied, newest first.

use crate::support::Setup;

const SCRIPTS: &[(&str, &str)] = &[
    ("1_a.up.sql", "CREATE TABLE a ();"),
    ("1_a.down.sql", "DROP TABLE a;"),
    ("2_b.up.sql", "CREATE TABLE b ();"),
    ("2_b.down.sql", "DROP TABLE b;"),
    ("3_c.up.sql", "CREATE TABLE c ();"),
    ("3_c.down.sql", "DROP TABLE c;"),
];

#[test]
fn it_takes_back_newest_first() {
    let setup = Setup::with(SCRIPTS);
    setup.job("upgrade head").run().ok();
    setup.job("downgrade -1").run().is(
        0,
        "\
downgrade from 3 to 2: 1 migration
  reverted  3  c  N ms
done: 1 migration in N ms; the database is at 2",
        "",
    );
    setup.job("downgrade base").run().is(
        0,
        "\
downgrade from 2 to base: 2 migrations
  reverted  2  b  N ms
  reverted  1  a  N ms
done: 2 migrations in N ms; the database is at base",
        "",
    );
    assert_eq!(setup.database.tables("public"), ["_sqlx_migrations"]);
    setup.job("downgrade base").run().is(0, "nothing to do: the database is at base", "");
}

#[test]
fn an_empty_database_is_at_base_and_stays_untouched() {
    let setup = Setup::with(SCRIPTS);
    setup.job("downgrade base").run().is(0, "nothing to do: the database is at base", "");
    assert_eq!(setup.database.tables("public"), [""; 0]);
}

#[test]
fn a_missing_down_script_stops_it_before_the_first_step() {
    let setup = Setup::with(SCRIPTS);
    setup.job("upgrade head").run().ok();
    setup.directory.remove("1_a.down.sql");
    setup.job("downgrade base").run().is(
        2,
        "",
        "\
error: 1 script is unusable:
  migrations/1_a.up.sql has no down script beside it, so it can't be reverted; write one, or restore from a backup",
    );
    assert_eq!(setup.database.versions(), [1, 2, 3]);
    // What lies above it can still be reverted.
    setup.job("downgrade 1").run().ok();
    assert_eq!(setup.database.versions(), [1]);
}

#[test]
fn a_plan_shows_the_steps_and_takes_nothing_back() {
    let setup = Setup::with(SCRIPTS);
    setup.job("upgrade head").run().ok();
    setup.job("downgrade 1 --plan").run().is(
        0,
        "\
downgrade from 3 to 1: 2 migrations
  revert  3  c  in a transaction
  revert  2  b  in a transaction",
        "",
    );
    assert_eq!(setup.database.versions(), [1, 2, 3]);
}

#[test]
fn a_failure_names_the_down_script() {
    let setup = Setup::with(SCRIPTS);
    setup.job("upgrade head").run().ok();
    setup.database.execute("CREATE VIEW v AS SELECT * FROM b");
    setup.job("downgrade base").run().is(
        5,
        "downgrade from 3 to base: 3 migrations\n  reverted  3  c  N ms",
        "\
error: reverting 2 (b): cannot drop table b because other objects depend on it
 --> migrations/2_b.down.sql:1:1
  |
1 | DROP TABLE b;
  | ^ in the statement that starts here
  = sqlstate: 2BP01
  = detail: view v depends on table b
  = hint: Use DROP ... CASCADE to drop the dependent objects too.
  = state: it was rolled back; the database is at 2: 1 step of this run committed, 2 not",
    );
    assert_eq!(setup.database.versions(), [1, 2]);
}
