//! `history` and `current` tell how things stand, and write nothing.

use std::time::Duration;

use crate::support::Setup;

const SCRIPTS: &[(&str, &str)] = &[
    ("1_a.up.sql", "CREATE TABLE a ();"),
    ("2_b.up.sql", "CREATE TABLE b ();"),
    ("3_c.up.sql", "CREATE TABLE c ();"),
];

#[test]
fn on_an_empty_database_they_create_no_table() {
    let setup = Setup::with(SCRIPTS);
    setup.job("current").run().is(0, "base\n  pending  1  a\n  pending  2  b\n  pending  3  c", "");
    setup.job("history").run().is(0, "pending      3  c (head)\npending      2  b\npending      1  a", "");
    setup.job("current --check").run().fails(9, "error: 3 migrations are pending: 1 (a), 2 (b), 3 (c)");
    assert_eq!(setup.database.tables("public"), [""; 0]);
}

#[test]
fn history_shows_every_standing_newest_first() {
    let setup = Setup::with(&[
        ("2_b.up.sql", "CREATE TABLE b ();"),
        ("3_c.up.sql", "CREATE TABLE c ();"),
        ("4_d.up.sql", "CREATE TABLE d ();"),
    ]);
    setup.job("upgrade head").run().ok();
    setup.directory.remove("2_b.up.sql");
    setup.directory.write("3_c.up.sql", "CREATE TABLE other ();");
    setup.directory.write("1_a.up.sql", "CREATE TABLE a ();");
    setup.directory.write("5_e.up.sql", "CREATE TABLE e ();");
    setup.database.execute(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (5, 'e', false, '', -1)",
    );
    setup.directory.write("6_f.up.sql", "CREATE TABLE f ();");
    setup.job("history").run().is(
        0,
        "\
pending           6  f (head)
partially applied 5  e            TIME
applied           4  d (current)  TIME, N ms
drifted           3  c            TIME, N ms
unknown           2  b            TIME, N ms
out of order      1  a",
        "",
    );
    setup.job("current").run().is(
        0,
        "\
4
  out of order  1  a
  unknown  2  b
  drifted  3  c
  partially applied  5  e
  pending  6  f",
        "",
    );
}

#[test]
fn history_takes_a_range_whose_start_is_left_out() {
    let setup = Setup::with(SCRIPTS);
    setup.job("upgrade 2").run().ok();
    for (range, lines) in [
        (
            "base:head",
            "pending      3  c (head)\napplied      2  b (current)  TIME, N ms\napplied      1  a            TIME, N ms",
        ),
        ("1:2", "applied      2  b (current)  TIME, N ms"),
        (":1", "applied      1  a  TIME, N ms"),
        ("current:", "pending      3  c (head)"),
        ("current-1:+1", "pending      3  c (head)\napplied      2  b (current)  TIME, N ms"),
        ("head:head", ""),
        ("1", "applied      1  a  TIME, N ms"),
    ] {
        setup.job("history").word(range).run().is(0, lines, "");
    }
    setup.job("history 9:head").run().fails(2, "no migration is called \"9\"");
    setup.job("history head:1").run().fails(2, "error: head lies above 1, and a range goes up; say 1:head");
}

#[test]
fn a_range_may_begin_with_steps_down() {
    let setup = Setup::with(SCRIPTS);
    setup.job("upgrade 2").run().ok();
    setup.job("history -1:current").run().is(0, "applied      2  b (current)  TIME, N ms", "");
}

#[test]
fn current_marks_head_and_ignores_a_valid_revision() {
    let setup = Setup::with(SCRIPTS);
    setup.job("upgrade head").run().ok();
    setup.job("current").run().is(0, "3 (head)", "");
    setup.job("").env("COMMAND", "current").env("REVISION", "head").run().is(0, "3 (head)", "");
    setup.job("").env("COMMAND", "current").env("REVISION", "9").run().is(0, "3 (head)", "");
    setup.job("current head").run().is(0, "3 (head)", "");
    setup.job("current +").run().fails(2, "REVISION: \"+\": expected head");
    // It was taken for a description, and passed over.
    setup.job("current nonsense").run().fails(2, "no migration is called \"nonsense\"");
    for (typed, told) in [("heads", "; use head"), ("4", "; +4 is that many steps up")] {
        setup.job(&format!("upgrade {typed}")).run().fails(2, told);
    }
}

#[test]
fn check_fails_while_something_is_pending_and_succeeds_after() {
    let setup = Setup::with(SCRIPTS);
    setup.job("upgrade 2").run().ok();
    setup.job("current --check").run().is(9, "2\n  pending  3  c", "error: 1 migration is pending: 3 (c)");
    setup.job("upgrade head").run().ok();
    setup.job("current --check").run().is(0, "3 (head)", "");
}

#[test]
fn check_fails_while_a_script_stands_halfway() {
    let setup = Setup::with(SCRIPTS);
    setup.job("upgrade head").run().ok();
    setup.database.execute("UPDATE _sqlx_migrations SET success = false WHERE version = 3");
    setup.job("current --check").run().fails(9, "3 (c)");
}

#[test]
fn wait_ends_when_another_process_has_applied_what_was_pending() {
    let setup = Setup::with(SCRIPTS);
    let mut waiting = setup.job("current --wait 10m").without("RUST_LOG").start();
    std::thread::sleep(Duration::from_millis(300));
    assert!(!waiting.is_over(), "it waits");
    setup.job("upgrade head").run().ok();
    waiting.wait().is(
        0,
        "3 (head)",
        " INFO waiting for 3 pending migrations; bookkeeping: none found on the search path (\"$user\", public)",
    );
}

#[test]
fn wait_gives_up_in_time() {
    let setup = Setup::with(SCRIPTS);
    setup.job("current --wait 100ms").run().fails(9, "error: 3 migrations are pending");
}
