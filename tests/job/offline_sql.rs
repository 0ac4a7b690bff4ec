//! `--sql` prints a psql script that ends in the same schema, versions and checksums as the job.

use std::fs;
use std::process::{Command, Stdio};

use crate::scripts::TRICKY;
use crate::support::{Database, Directory, Job, Setup, quoted, tool};

/// What `psql` did with the script of a range.
pub(crate) struct Psql {
    pub(crate) code: Option<i32>,
    pub(crate) stderr: String,
}

/// Prints the script without knowing any database, and gives it to psql with the flags it asks for.
pub(crate) fn psql(directory: &Directory, words: &str, database: &Database) -> Psql {
    let printed = Job::new(words).within(directory).run();
    assert_eq!(printed.ok().stderr, "");
    let path = directory.path().join("script.sql");
    fs::write(&path, &printed.raw_stdout).unwrap();
    let mut psql: Command = tool("psql", &database.name);
    let output = psql
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f"])
        .arg(&path)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Psql { code: output.status.code(), stderr: String::from_utf8(output.stderr).unwrap() }
}

/// Version, description, success and checksum of every row.
pub(crate) fn rows(database: &Database) -> Vec<String> {
    database.column(
        "SELECT format('%s|%s|%s|%s', version, description, success, checksum) FROM _sqlx_migrations ORDER BY version",
    )
}

#[track_caller]
fn ok(done: &Psql) {
    assert_eq!(done.code, Some(0), "{}", done.stderr);
}

#[test]
fn psql_ends_where_the_job_does() {
    let mut scripts = TRICKY.to_vec();
    scripts.extend([
        ("20_path.up.sql", "CREATE SCHEMA s; SET search_path = s; CREATE TABLE here (); SET standard_conforming_strings = on;"),
        ("21_after.up.sql", "CREATE TABLE there ();"),
        ("22_role.up.sql", "SET ROLE pg_read_all_data;\n-- no more"),
        ("23_variables.up.sql", "CREATE TABLE v AS SELECT (ARRAY[1,2,3])[1:2] AS a, ':USER' AS b, '`id`' AS c;"),
    ]);
    let setup = Setup::with(&scripts);
    let by_psql = setup.database.another();
    setup.job("upgrade head").run().ok();
    ok(&psql(&setup.directory, "upgrade --sql base:head", &by_psql));
    assert_eq!(rows(&by_psql), rows(&setup.database));
    assert_eq!(by_psql.dump(), setup.database.dump());
    let history = Job::new("history").within(&setup.directory).on(&by_psql).run();
    assert!(!history.ok().stdout.contains("drifted"), "{}", history.stdout);
    Job::new("upgrade head").within(&setup.directory).on(&by_psql).run().is(
        0,
        "nothing to do: the database is at 23 (head)",
        "",
    );
    assert_eq!(by_psql.value::<String>("SELECT b || c FROM v"), ":USER`id`");
}

const SCRIPTS: &[(&str, &str)] = &[
    ("1_a.up.sql", "CREATE TABLE a (b int);"),
    ("1_a.down.sql", "DROP TABLE a;"),
    ("2_b.up.sql", "CREATE TABLE b ();"),
    ("2_b.down.sql", "DROP TABLE b;"),
    ("3_i.up.sql", "-- no-transaction\nCREATE INDEX CONCURRENTLY i ON a (b);"),
    ("3_i.down.sql", "-- no-transaction\nDROP INDEX CONCURRENTLY i;"),
];

#[test]
fn up_and_down_in_parts() {
    let setup = Setup::with(SCRIPTS);
    for (words, versions) in [
        ("upgrade --sql base:1", &[1][..]),
        ("upgrade --sql 1:head", &[1, 2, 3]),
        ("upgrade --sql head:head", &[1, 2, 3]),
        ("downgrade --sql head:1", &[1]),
        ("upgrade --sql 1:head", &[1, 2, 3]),
        ("downgrade --sql head:base", &[]),
        ("upgrade --sql :", &[1, 2, 3]),
    ] {
        ok(&psql(&setup.directory, words, &setup.database));
        assert_eq!(setup.database.versions(), versions, "{words}");
        assert_eq!(setup.database.has("i"), versions.contains(&3), "{words}");
        let is_ours = setup.job("upgrade current").run();
        is_ours.ok();
    }
}

#[test]
fn it_aborts_unless_the_bookkeeping_is_exactly_where_the_range_begins() {
    let setup = Setup::with(SCRIPTS);
    let refused = |words: &str, part: &str| {
        let done = psql(&setup.directory, words, &setup.database);
        assert_eq!(done.code, Some(3), "{words}: {}", done.stderr);
        assert!(done.stderr.contains(part), "{words}: {}", done.stderr);
    };
    setup.job("upgrade 1").run().ok();
    refused("upgrade --sql base:head", "the database is not at base: the bookkeeping differs at 1");
    refused("upgrade --sql base:head", "If this script has run before, there is nothing left to do; ");
    refused("upgrade --sql 2:head", "the database is not at 2: the bookkeeping differs at 2");
    refused("downgrade --sql 2:base", "the database is not at 2: the bookkeeping differs at 2");
    assert_eq!(setup.database.versions(), [1]);
    assert!(!setup.database.has("b"));
    setup.directory.write("1_a.up.sql", "CREATE TABLE a (b bigint);");
    refused("upgrade --sql 1:head", "the database is not at 1: the bookkeeping differs at 1");
    setup.job("stamp current").run().ok();
    setup.database.execute("UPDATE _sqlx_migrations SET success = false");
    refused("upgrade --sql 1:head", "the database is not at 1: the bookkeeping differs at 1");
}

#[test]
fn it_finds_the_bookkeeping_on_the_search_path() {
    let setup = Setup::with(SCRIPTS);
    ok(&psql(&setup.directory, "upgrade --sql base:1", &setup.database));
    setup.database.execute("CREATE SCHEMA s; ALTER TABLE _sqlx_migrations SET SCHEMA s");
    let done = psql(&setup.directory, "upgrade --sql 1:head", &setup.database);
    assert_eq!(done.code, Some(3), "{}", done.stderr);
    assert!(
        done.stderr
            .contains("there is no _sqlx_migrations on the search path of this role (\"$user\", public)")
            && done.stderr.contains("SET search_path = THAT_SCHEMA"),
        "{}",
        done.stderr
    );
    let name = quoted(&setup.database.name);
    setup.database.execute(&format!("ALTER DATABASE {name} SET search_path = public, s"));
    ok(&psql(&setup.directory, "upgrade --sql 1:head", &setup.database));
    assert_eq!(setup.database.column::<i64>("SELECT version FROM s._sqlx_migrations ORDER BY 1"), [1, 2, 3]);
    assert!(!setup.database.has("public._sqlx_migrations"));
}

#[test]
fn it_aborts_while_another_run_holds_the_lock() {
    let setup = Setup::with(SCRIPTS);
    let mut holder = setup.database.connection();
    setup.database.block_on(sqlx::migrate::Migrate::lock(&mut holder)).unwrap();
    let done = psql(&setup.directory, "upgrade --sql base:head", &setup.database);
    assert_eq!(done.code, Some(3));
    assert!(done.stderr.contains("another run holds the lock of this database"), "{}", done.stderr);
    assert_eq!(setup.database.tables("public"), [""; 0]);
}

#[test]
fn a_script_that_fails_leaves_what_was_before_it() {
    let setup = Setup::with(&[
        ("1_a.up.sql", "CREATE TABLE a ();"),
        ("2_b.up.sql", "CREATE TABLE b ();\nSELECT 1 / 0;"),
    ]);
    let done = psql(&setup.directory, "upgrade --sql base:head", &setup.database);
    assert_eq!(done.code, Some(3));
    assert!(done.stderr.contains("division by zero"), "{}", done.stderr);
    assert_eq!(setup.database.tables("public"), ["_sqlx_migrations", "a"]);
    assert_eq!(setup.database.versions(), [1]);
}

#[test]
fn it_needs_no_database_and_shows_the_flags_psql_needs() {
    let directory = Directory::with(SCRIPTS);
    let printed = Job::new("upgrade --sql base:head").within(&directory).run();
    assert!(printed.ok().stdout.contains("--   psql -X -v ON_ERROR_STOP=1 -f "), "{}", printed.stdout);
    assert_eq!(printed.stderr, "");
    for (words, error) in [
        (
            "upgrade --sql head:base",
            "error: upgrade only goes up, and base is below 3; use downgrade to go there",
        ),
        (
            "downgrade --sql base:head",
            "error: downgrade only goes down, and head (3) is above base; use upgrade to go there",
        ),
        (
            "upgrade --sql base:9",
            "error: no migration is called \"9\"; `history` lists those there are; +9 is that many steps up",
        ),
        ("upgrade --sql head", "error: 1 setting is wrong:\n  --sql: expected FROM:TO, such as base:head"),
        (
            "upgrade --sql current:head",
            "error: 1 setting is wrong:\n  --sql: current depends on the database; name a version, head or base",
        ),
    ] {
        Job::new(words).within(&directory).run().is(2, "", error);
    }
}
