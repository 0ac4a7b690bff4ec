//! `upgrade` applies what is pending, in order, once, and says so when it is committed.

use crate::support::Setup;

const SCRIPTS: &[(&str, &str)] = &[
    ("1_a.up.sql", "CREATE TABLE a ();"),
    ("2_b.up.sql", "CREATE TABLE b ();"),
    ("10_c.sql", "CREATE TABLE c ();"),
];

#[test]
fn it_applies_what_is_pending_in_the_order_of_versions() {
    let setup = Setup::with(SCRIPTS);
    setup.job("upgrade head").without("RUST_LOG").run().is(
        0,
        "\
upgrade from base to 10: 3 migrations
  applied  1  a  N ms
  applied  2  b  N ms
  applied  10  c  N ms
done: 3 migrations in N ms; the database is at 10 (head)",
        " INFO created the bookkeeping table \"public\".\"_sqlx_migrations\"",
    );
    assert_eq!(setup.database.tables("public"), ["_sqlx_migrations", "a", "b", "c"]);
    assert_eq!(setup.database.versions(), [1, 2, 10]);
}

#[test]
fn nothing_to_do_says_so_and_succeeds() {
    let setup = Setup::with(SCRIPTS);
    setup.job("upgrade head").run().ok();
    setup.job("upgrade head").run().is(0, "nothing to do: the database is at 10 (head)", "");
    setup.job("upgrade current").run().is(0, "nothing to do: the database is at 10 (head)", "");
}

#[test]
fn a_plan_shows_the_steps_and_writes_nothing() {
    let setup = Setup::with(SCRIPTS);
    setup.job("upgrade head --plan").run().is(
        0,
        "\
upgrade from base to 10: 3 migrations
  apply  1  a  in a transaction
  apply  2  b  in a transaction
  apply  10  c  in a transaction",
        "",
    );
    assert_eq!(setup.database.tables("public"), [""; 0]);
    setup.job("upgrade head").run().ok();
    setup.job("upgrade head --plan").run().is(0, "nothing to do: the database is at 10 (head)", "");
}

#[test]
fn a_plan_shows_where_a_single_transaction_is_divided() {
    let setup = Setup::with(&[
        ("1_a.up.sql", "CREATE TABLE a (b int);"),
        ("2_b.up.sql", "CREATE TABLE b ();"),
        ("3_i.up.sql", "-- no-transaction\nCREATE INDEX CONCURRENTLY i ON a (b);"),
        ("4_c.up.sql", "CREATE TABLE c ();"),
    ]);
    setup.job("upgrade head --plan").env("TRANSACTION", "run").run().is(
        0,
        "\
upgrade from base to 4: 4 migrations
  apply  1  a  in one transaction with the next
  apply  2  b  then commit
  apply  3  i  without a transaction, statement by statement
  apply  4  c  in a transaction
a script without a transaction divides this run: it is not all or nothing",
        "",
    );
    assert_eq!(setup.database.tables("public"), [""; 0]);
}

#[test]
fn a_failure_is_shown_with_the_place_and_leaves_what_was_before() {
    let setup = Setup::with(&[
        ("1_a.up.sql", "CREATE TABLE a ();"),
        ("2_b.up.sql", "CREATE TABLE b ();\n\tSELECT 'ü', \"none\" FROM b;\n"),
        ("3_c.up.sql", "CREATE TABLE c ();"),
    ]);
    setup.job("upgrade head").run().is(
        5,
        "\
upgrade from base to 3: 3 migrations
  applied  1  a  N ms",
        "\
error: applying 2 (b), statement 2 of 2: column \"none\" does not exist
 --> migrations/2_b.up.sql:2:14
  |
2 | \tSELECT 'ü', \"none\" FROM b;
  | \t            ^
  = sqlstate: 42703
  = state: it was rolled back; the database is at 1: 1 step of this run committed, 2 not",
    );
    assert_eq!(setup.database.tables("public"), ["_sqlx_migrations", "a"]);
    assert_eq!(setup.database.versions(), [1]);
    setup.directory.write("2_b.up.sql", "CREATE TABLE b ();");
    setup.job("upgrade head").run().ok();
    assert_eq!(setup.database.versions(), [1, 2, 3]);
}

#[test]
fn out_of_order_is_refused_with_the_way_out_and_applied_on_request() {
    let setup = Setup::with(&[("1_a.up.sql", "CREATE TABLE a ();"), ("3_c.up.sql", "CREATE TABLE c ();")]);
    setup.job("upgrade head").run().ok();
    setup.directory.write("2_b.up.sql", "CREATE TABLE b ();");
    setup.job("upgrade head").run().is(
        7,
        "",
        "error: pending below the database's revision: 2 (b); give them versions above it, or apply them as they are \
         with --allow-out-of-order",
    );
    setup.job("history").run().is(
        0,
        "\
applied      3  c (current, head)  TIME, N ms
out of order 2  b
applied      1  a                  TIME, N ms",
        "",
    );
    setup.job("upgrade head --allow-out-of-order").run().is(
        0,
        "\
upgrade from 3 to 3: 1 migration
  applied  2  b  N ms
done: 1 migration in N ms; the database is at 3 (head)",
        " WARN applying out of order: 2 (b)",
    );
    assert_eq!(setup.database.versions(), [1, 2, 3]);
}

#[test]
fn a_database_ahead_of_the_scripts_is_a_warning_while_nothing_is_pending() {
    let setup = Setup::with(SCRIPTS);
    setup.job("upgrade head").run().ok();
    setup.directory.remove("10_c.sql");
    let warning = " WARN the database is ahead of these scripts: 10 (c) has no script here, as when a newer image has run";
    setup.job("upgrade head").run().is(0, "nothing to do: the database is at 10", warning);
    setup.job("current --check").run().is(0, "10\n  unknown  10  c", "");
    // A pending one beside it is another matter: its author has not seen the newer schema.
    setup.directory.write("9_d.up.sql", "CREATE TABLE d ();");
    setup.job("upgrade head").run().is(
        7,
        "",
        "error: applied, but without a script here: 10 (c); run the image that has the scripts, or restore them",
    );
    setup.job("downgrade 1").run().fails(7, "applied, but without a script here: 10 (c)");
}

#[test]
fn a_script_that_was_deleted_is_missed() {
    let setup = Setup::with(SCRIPTS);
    setup.job("upgrade head").run().ok();
    setup.directory.remove("2_b.up.sql");
    setup.job("upgrade head").run().is(
        7,
        "",
        "error: applied, but without a script here: 2 (b); run the image that has the scripts, or restore them",
    );
}

#[test]
fn what_a_script_raises_is_in_the_log() {
    let setup = Setup::with(&[(
        "1_a.up.sql",
        "DROP TABLE IF EXISTS a;\nDO $$ BEGIN RAISE WARNING 'careful'; RAISE NOTICE 'by the way'; END $$;",
    )]);
    let outcome = setup.job("upgrade head").without("RUST_LOG").run();
    for line in ["table \"a\" does not exist, skipping", "by the way"] {
        assert!(outcome.ok().stderr.contains(&format!(" INFO {line}\n")), "{}", outcome.stderr);
    }
    assert!(outcome.stderr.contains(" WARN careful\n"), "{}", outcome.stderr);
}

#[test]
fn a_reader_that_has_gone_away_does_not_stop_a_migration() {
    let setup = Setup::with(SCRIPTS);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(setup.job("upgrade head").prints_to(writer).run().stderr, "");
    assert_eq!(setup.database.versions(), [1, 2, 10]);
}

#[test]
fn a_report_that_can_not_be_written_does_not_stop_a_migration() {
    let setup = Setup::with(SCRIPTS);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let outcome = setup.job("upgrade head").prints_to(full).run();
    outcome.fails(0, "No space left on device");
    assert_eq!(setup.database.versions(), [1, 2, 10]);
}

#[test]
fn a_result_that_can_not_be_written_is_none() {
    let setup = Setup::with(SCRIPTS);
    for (arguments, output) in [
        ("current", "text"),
        ("history", "json"),
        ("upgrade --sql base:head", "text"),
        ("upgrade head --plan", "json"),
    ] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let outcome = setup.job(arguments).env("OUTPUT", output).prints_to(full).run();
        outcome.fails(1, "error: the result could not be written: No space left on device (os error 28); nothing was changed");
    }
}
