//! `resolve` ends the halfway standing of a script as a person decided.

use crate::support::Setup;

/// Version 2 is partially applied, on its way up or down.
fn halfway(direction: &str) -> Setup {
    let setup = Setup::with(&[
        ("1_a.up.sql", "CREATE TABLE a (b int);"),
        ("1_a.down.sql", "DROP TABLE a;"),
        ("2_b.up.sql", "-- no-transaction\nCREATE TABLE b ();\nCREATE TABLE c ();"),
        ("2_b.down.sql", "-- no-transaction\nDROP TABLE b;\nDROP TABLE c;"),
    ]);
    if direction == "up" {
        setup.database.execute("CREATE TABLE c ()");
        setup.job("upgrade head").run().fails(6, "relation \"c\" already exists");
    } else {
        setup.job("upgrade head").run().ok();
        setup.database.execute("DROP TABLE c");
        setup.job("downgrade 1").run().fails(6, "table \"c\" does not exist");
    }
    setup
}

#[test]
fn done_on_the_way_up_records_it_as_applied() {
    let setup = halfway("up");
    setup.job("resolve --done").run().is(
        0,
        "  record  2 (b) as applied\nrecorded: the database is at 2 (head)",
        "",
    );
    setup.job("upgrade head").run().is(0, "nothing to do: the database is at 2 (head)", "");
}

#[test]
fn retry_on_the_way_up_records_it_as_not_applied() {
    let setup = halfway("up");
    setup.job("resolve --retry").run().is(
        0,
        "  record  2 (b) as not applied; upgrade runs its script again\nrecorded: the database is at 1",
        "",
    );
    setup.database.execute("DROP TABLE b, c");
    setup.job("upgrade head").run().ok();
    assert_eq!(setup.database.versions(), [1, 2]);
}

#[test]
fn done_on_the_way_down_records_it_as_taken_back() {
    let setup = halfway("down");
    setup.job("resolve --done").run().is(
        0,
        "  record  2 (b) as reverted\nrecorded: the database is at 1",
        "",
    );
    setup.job("upgrade head").run().ok();
}

#[test]
fn retry_on_the_way_down_records_it_as_applied_with_the_time_it_had() {
    let setup = halfway("down");
    setup.job("resolve --retry").run().is(
        0,
        "  record  2 (b) as applied; downgrade runs its script again\nrecorded: the database is at 2 (head)",
        "",
    );
    assert!(setup.database.value::<i64>("SELECT execution_time FROM _sqlx_migrations WHERE version = 2") > 0);
    setup.database.execute("CREATE TABLE b (); CREATE TABLE c ()");
    setup.job("downgrade 1").run().ok();
    assert_eq!(setup.database.versions(), [1]);
}

#[test]
fn a_version_may_be_named_and_must_be_the_halfway_one() {
    let setup = halfway("up");
    setup.job("resolve 1 --done").run().fails(2, "1");
    setup.job("resolve 2 --done").run().ok();
    assert_eq!(setup.database.versions(), [1, 2]);
}

#[test]
fn nothing_to_resolve_is_usage() {
    let setup = Setup::with(&[("1_a.up.sql", "SELECT 1;")]);
    for words in ["resolve --done", "resolve --retry"] {
        setup.job(words).run().is(
            2,
            "",
            "error: no script is partially applied; there is nothing to resolve",
        );
    }
    setup.job("resolve").run().fails(2, "resolve: needs either --done");
    setup.job("resolve --done --retry").run().fails(2, "resolve: needs either --done");
    assert_eq!(setup.database.tables("public"), [""; 0]);
}

#[test]
fn a_script_that_is_gone_can_be_resolved_all_the_same() {
    let setup = halfway("up");
    setup.directory.remove("2_b.up.sql");
    setup.directory.remove("2_b.down.sql");
    setup.job("resolve --retry").run().ok();
    setup.job("current").run().is(0, "1 (head)", "");
}

/// A clock that was set back while a script ran left a time below zero, and the way down was taken for the way up.
#[test]
fn the_way_of_a_halfway_script_does_not_depend_on_the_clock() {
    let setup = Setup::with(&[
        ("1_a.up.sql", "CREATE TABLE a ();"),
        ("1_a.down.sql", "-- no-transaction\nDROP TABLE a;\nDROP TABLE b;"),
    ]);
    setup.job("upgrade head").run().ok();
    setup.database.execute("UPDATE _sqlx_migrations SET execution_time = -5000000000");
    setup.job("downgrade base").run().fails(6, "table \"b\" does not exist");
    let outcome = setup.job("resolve --retry").run();
    assert!(outcome.ok().stdout.contains("1 (a) as applied; downgrade runs"), "{}", outcome.stdout);
    assert_eq!(setup.database.versions(), [1]);
}
