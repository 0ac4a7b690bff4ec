//! sqlx's own `Migrator` as the oracle: it and the job see the same state and make the same schema.

use migration_core::Checksum;
use sqlx::migrate::{MigrateError, Migrator};

use crate::offline_sql::rows;
use crate::scripts::TRICKY;
use crate::support::{Database, Directory, Job, Setup};

fn migrator(database: &Database, directory: &Directory) -> Migrator {
    database.block_on(Migrator::new(directory.migrations())).unwrap()
}

fn sqlx_runs(database: &Database, directory: &Directory) -> Result<(), MigrateError> {
    let mut connection = database.connection();
    database.block_on(migrator(database, directory).run(&mut connection))
}

fn sqlx_undoes(database: &Database, directory: &Directory, target: i64) -> Result<(), MigrateError> {
    let mut connection = database.connection();
    database.block_on(migrator(database, directory).undo(&mut connection, target))
}

const SCRIPTS: &[(&str, &str)] = &[
    ("1_a.up.sql", "CREATE TABLE a (b int);"),
    ("1_a.down.sql", "DROP TABLE a;"),
    ("2_it's_\"b\".up.sql", "CREATE TABLE b ();"),
    ("2_it's_\"b\".down.sql", "DROP TABLE b;"),
    ("3_i.up.sql", "-- no-transaction\nCREATE INDEX CONCURRENTLY i ON a (b);"),
    ("3_i.down.sql", "-- no-transaction\nDROP INDEX CONCURRENTLY i;"),
    ("0004_only.sql", "CREATE TABLE up_only ();"),
];

#[test]
fn what_sqlx_applied_the_job_sees_as_applied() {
    let setup = Setup::with(SCRIPTS);
    sqlx_runs(&setup.database, &setup.directory).unwrap();
    setup.job("history").run().is(
        0,
        "\
applied      4  only (current, head)  TIME, N ms
applied      3  i                     TIME, N ms
applied      2  it's \"b\"              TIME, N ms
applied      1  a                     TIME, N ms",
        "",
    );
    setup.job("upgrade head").run().is(0, "nothing to do: the database is at 4 (head)", "");
    setup.directory.remove("0004_only.sql");
    setup.database.execute("DELETE FROM _sqlx_migrations WHERE version = 4");
    setup.job("downgrade base").run().ok();
    assert_eq!(setup.database.tables("public"), ["_sqlx_migrations", "up_only"]);
}

#[test]
fn what_the_job_applied_sqlx_accepts_and_undoes() {
    let setup = Setup::with(&SCRIPTS[..6]);
    setup.job("upgrade head").run().ok();
    let before = rows(&setup.database);
    sqlx_runs(&setup.database, &setup.directory).unwrap();
    assert_eq!(rows(&setup.database), before);
    sqlx_undoes(&setup.database, &setup.directory, 1).unwrap();
    setup.job("current").run().is(0, "1\n  pending  2  it's \"b\"\n  pending  3  i", "");
    setup.job("upgrade head").run().ok();
    sqlx_undoes(&setup.database, &setup.directory, 0).unwrap();
    setup.job("current").run().ok();
    assert_eq!(setup.database.tables("public"), ["_sqlx_migrations"]);
}

#[test]
fn both_see_the_same_drift() {
    let setup = Setup::with(SCRIPTS);
    setup.job("upgrade head").run().ok();
    setup.directory.write("1_a.up.sql", "CREATE TABLE a (b int);\r\n");
    setup.job("upgrade head").run().fails(7, "1_a.up.sql");
    let error = sqlx_runs(&setup.database, &setup.directory).unwrap_err();
    assert!(matches!(error, MigrateError::VersionMismatch(1)), "{error}");
    setup.job("stamp current").run().ok();
    sqlx_runs(&setup.database, &setup.directory).unwrap();
}

#[test]
fn a_script_that_stands_halfway_is_dirty_to_sqlx() {
    let setup = Setup::with(&[("1_a.up.sql", "-- no-transaction\nCREATE TABLE a ();\nSELECT none;")]);
    setup.job("upgrade head").run().fails(6, "partially applied");
    let error = sqlx_runs(&setup.database, &setup.directory).unwrap_err();
    assert!(matches!(error, MigrateError::Dirty(1)), "{error}");
}

#[test]
fn a_stamped_database_is_up_to_date_for_sqlx() {
    let setup = Setup::with(SCRIPTS);
    setup.job("stamp head").run().ok();
    sqlx_runs(&setup.database, &setup.directory).unwrap();
    assert_eq!(setup.database.tables("public"), ["_sqlx_migrations"]);
}

/// Of the tricky scripts, those that sqlx can run: it sends a script without a transaction as one
/// message, which is one transaction all the same unless it holds a single statement.
#[test]
fn both_make_the_same_schema_of_tricky_scripts() {
    for transaction in ["each", "run"] {
        let scripts: Vec<_> = TRICKY.iter().copied().filter(|(name, _)| !name.starts_with("9_")).collect();
        let setup = Setup::with(&scripts);
        let by_sqlx = setup.database.another();
        setup.job("upgrade head").env("TRANSACTION", transaction).run().ok();
        sqlx_runs(&by_sqlx, &setup.directory).unwrap();
        assert_eq!(rows(&setup.database), rows(&by_sqlx));
        assert_eq!(setup.database.dump(), by_sqlx.dump());
    }
}

/// sqlx leaves a script's search path to the next one; the job does not. That alone makes this
/// difference.
#[test]
fn a_leaked_search_path_is_the_one_difference() {
    let setup = Setup::with(&[
        ("1_a.up.sql", "CREATE SCHEMA s; SET search_path = s, public; CREATE TABLE a ();"),
        ("2_b.up.sql", "CREATE TABLE b ();"),
    ]);
    let by_sqlx = setup.database.another();
    setup.job("upgrade head").run().ok();
    sqlx_runs(&by_sqlx, &setup.directory).unwrap();
    assert_eq!(setup.database.tables("s"), ["a"]);
    assert_eq!(by_sqlx.tables("s"), ["a", "b"]);
    by_sqlx.execute("ALTER TABLE s.b SET SCHEMA public");
    assert_eq!(setup.database.dump(), by_sqlx.dump());
}

#[test]
fn both_use_the_same_lock_whatever_the_database_is_called() {
    let database = Database::called(" ü'Z");
    let directory = Directory::with(SCRIPTS);
    let mut holder = database.connection();
    database.block_on(sqlx::migrate::Migrate::lock(&mut holder)).unwrap();
    let job = Job::new("upgrade head").within(&directory).on(&database);
    job.env("RUN_LOCK_TIMEOUT", "50ms").run().fails(4, "application test");
}

#[test]
fn checksums_are_sqlx_s() {
    let text = "CREATE TABLE x ();\n";
    let sqlx = sqlx::migrate::Migration::new(
        1,
        "x".into(),
        sqlx::migrate::MigrationType::ReversibleUp,
        sqlx::SqlSafeStr::into_sql_str(sqlx::AssertSqlSafe(text.to_owned())),
        false,
    );
    assert_eq!(Checksum::of(text), Checksum::from_bytes(sqlx.checksum.to_vec()));
}

/// All of it is in histories that sqlx-cli has applied.
#[test]
fn what_sqlx_takes_is_taken() {
    let scripts = [
        ("0_zero.sql", "CREATE TABLE zero ();"),
        ("1_empty.sql", ""),
        ("2_comment.sql", "-- later\n/* ; */ ;\n"),
        ("3_nothing.sql", "-- no-transaction\n-- and nothing else\n"),
        ("4_own.sql", "BEGIN;\nCREATE TABLE four ();\nCOMMIT;\n"),
        ("5_open.sql", "-- begins\nSTART TRANSACTION;\nCREATE TABLE five ();"),
        ("6_end.up.sql", "CREATE TABLE six ();\nEND;"),
        ("6_other_words.down.sql", "BEGIN; DROP TABLE six; COMMIT;"),
        ("7_up_only.sql", "CREATE TABLE seven ();"),
        ("7_up_only.down.sql", "DROP TABLE seven;"),
        ("8_lonely.down.sql", "SELECT none;"),
        ("schema.sql", "SELECT none;"),
    ];
    let (ours, theirs) = (Setup::with(&scripts), Setup::with(&scripts));
    let outcome = ours.job("upgrade head").run();
    outcome.ok();
    assert_eq!(
        outcome.stderr,
        " WARN migrations/schema.sql is ignored: its name does not begin with a version\n \
         WARN migrations/6_other_words.down.sql is used for 6_end.up.sql, which has another description\n \
         WARN migrations/7_up_only.down.sql is used for 7_up_only.sql, whose name says that it has no way back\n \
         WARN migrations/8_lonely.down.sql is ignored: it has no up script beside it\n"
    );
    sqlx_runs(&theirs.database, &theirs.directory).unwrap();
    assert_eq!(ours.database.versions(), theirs.database.versions());
    assert_eq!(ours.database.tables("public"), theirs.database.tables("public"));
    let checksums = "SELECT string_agg(version || description || encode(checksum, 'hex'), ',' ORDER BY version) \
                     FROM _sqlx_migrations";
    assert_eq!(ours.database.value::<String>(checksums), theirs.database.value::<String>(checksums));
    // Each takes what the other has left.
    theirs.job("upgrade head").run().ok();
    theirs.job("downgrade 5").run().ok();
    ours.job("downgrade 5").run().ok();
    assert_eq!(ours.database.tables("public"), theirs.database.tables("public"));
}
