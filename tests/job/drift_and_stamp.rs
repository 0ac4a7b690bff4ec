//! An applied file that was edited is drift; `stamp` is the way out, and the way in for databases
//! built by other means.

use crate::support::Setup;

const SCRIPTS: &[(&str, &str)] = &[
    ("1_a.up.sql", "CREATE TABLE a (\n  b int\n);\n"),
    ("2_b.up.sql", "CREATE TABLE b ();\n"),
    ("3_c.up.sql", "CREATE TABLE c ();\n"),
];

#[test]
fn an_applied_file_that_was_edited_stops_a_run_with_the_difference() {
    let real = "its text changed since it was applied on TIME (checksum ";
    for (edited, difference) in [
        ("CREATE TABLE a (\r\n  b int\r\n);\r\n", "only its line endings changed: LF when applied, CRLF now"),
        ("CREATE TABLE a (\n  b int\n);", "only white space at its end changed"),
        ("CREATE TABLE a (\n  b int\n);\n-- why\n", "only comments at its end were added"),
        ("-- why\nCREATE TABLE a (\n  b int\n);\n", "only comments at its top were added"),
        ("\u{feff}CREATE TABLE a (\n  b int\n);\n", "only its byte order mark changed"),
        ("CREATE TABLE a (\n  b bigint\n);\n", real),
    ] {
        let setup = Setup::with(SCRIPTS);
        setup.job("upgrade 2").run().ok();
        setup.directory.write("1_a.up.sql", edited);
        for words in ["upgrade head", "upgrade head --plan", "downgrade base"] {
            let outcome = setup.job(words).run();
            outcome.fails(
                7,
                &format!("error: applied migrations were edited:\n  migrations/1_a.up.sql: {difference}"),
            );
            outcome.fails(
                7,
                "\n  put the files back as they were; or, if the database is as the files say, record their new checksums with `stamp current`\n",
            );
        }
        assert_eq!(setup.database.versions(), [1, 2]);

        let outcome = setup.job("stamp current --plan").run();
        let record = format!("  record  1 (a) with the checksum of its file: {difference}");
        assert!(outcome.ok().stdout.starts_with(&record), "{}", outcome.stdout);
        setup.job("upgrade head").run().fails(7, "were edited");
        let outcome = setup.job("stamp current").run();
        assert!(outcome.ok().stdout.starts_with(&record), "{}", outcome.stdout);
        assert!(outcome.stdout.ends_with("\nrecorded: the database is at 2\n"), "{}", outcome.stdout);
        setup.job("upgrade head").run().ok();
        assert_eq!(setup.database.versions(), [1, 2, 3]);
    }
}

#[test]
fn every_edited_file_is_listed() {
    let setup = Setup::with(SCRIPTS);
    setup.job("upgrade head").run().ok();
    setup.directory.write("1_a.up.sql", "SELECT 1;");
    setup.directory.write("3_c.up.sql", "SELECT 3;");
    let outcome = setup.job("upgrade head").run();
    outcome.fails(7, "\n  migrations/1_a.up.sql: its text changed");
    outcome.fails(7, "\n  migrations/3_c.up.sql: its text changed");
}

#[test]
fn a_database_built_by_other_means_is_stamped_up() {
    let setup = Setup::with(SCRIPTS);
    setup.database.execute("CREATE TABLE a (b int); CREATE TABLE b ()");
    setup.job("stamp 2").run().is(
        0,
        "  record  1 (a) as applied\n  record  2 (b) as applied\nrecorded: the database is at 2",
        "",
    );
    setup.job("upgrade head").run().is(
        0,
        "upgrade from 2 to 3: 1 migration\n  applied  3  c  N ms\ndone: 1 migration in N ms; the database is at 3 (head)",
        "",
    );
}

#[test]
fn a_stamp_down_runs_nothing() {
    let setup = Setup::with(SCRIPTS);
    setup.job("upgrade head").run().ok();
    setup.job("stamp 1").run().is(
        0,
        "  record  2 (b) as not applied\n  record  3 (c) as not applied\nrecorded: the database is at 1",
        "",
    );
    assert_eq!(setup.database.tables("public"), ["_sqlx_migrations", "a", "b", "c"]);
    setup.job("stamp base").run().is(
        0,
        "  record  1 (a) as not applied\nrecorded: the database is at base",
        "",
    );
    assert_eq!(setup.database.versions(), [0; 0]);
    setup.job("stamp base").run().is(0, "nothing to record: the database is at base", "");
}

#[test]
fn a_plan_of_a_stamp_writes_nothing() {
    let setup = Setup::with(SCRIPTS);
    setup.job("stamp head --plan").run().is(
        0,
        "  record  1 (a) as applied\n  record  2 (b) as applied\n  record  3 (c) as applied",
        "",
    );
    assert_eq!(setup.database.tables("public"), [""; 0]);
}

#[test]
fn a_stamp_does_not_drop_what_it_does_not_know() {
    let setup = Setup::with(SCRIPTS);
    setup.job("upgrade head").run().ok();
    setup.directory.remove("3_c.up.sql");
    setup.job("stamp 2").run().fails(7, "applied, but without a script here: 3 (c)");
    assert_eq!(setup.database.versions(), [1, 2, 3]);
}

#[test]
fn a_stamp_to_nowhere_is_usage() {
    let setup = Setup::with(SCRIPTS);
    setup.job("stamp 9").run().is(
        2,
        "",
        "error: no migration is called \"9\"; `history` lists those there are; +9 is that many steps up",
    );
    setup.job("stamp").run().fails(2, "REVISION: is missing");
    assert_eq!(setup.database.tables("public"), [""; 0]);
}

/// The advice for the edited file recorded the new one below it as applied, and it was never run.
#[test]
fn a_stamp_out_of_drift_records_nothing_that_is_pending() {
    let setup = Setup::with(&[SCRIPTS[0], SCRIPTS[2]]);
    setup.job("upgrade head").run().ok();
    setup.directory.write("3_c.up.sql", "CREATE TABLE c (d int);\n");
    setup.directory.write("2_b.up.sql", "CREATE TABLE b ();\n");
    setup.job("upgrade head").run().fails(7, "were edited");
    let outcome = setup.job("stamp current").run();
    assert!(outcome.ok().stdout.starts_with("  record  3 (c) with the checksum"), "{}", outcome.stdout);
    assert_eq!(setup.database.versions(), [1, 3]);
    setup.job("upgrade head").run().fails(7, "pending below the database's revision: 2 (b)");
    setup.job("upgrade head --allow-out-of-order").run().ok();
    assert!(setup.database.has("b"));
}
