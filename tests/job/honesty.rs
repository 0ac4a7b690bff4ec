//! What a run says of itself is so, whatever a script, a role or a trigger does to it. Each test
//! tells of a way in which it once was not.

use crate::support::{Setup, quoted};

/// With `standard_conforming_strings` off, `'a\'` does not end where the job thought; the hidden
/// COMMIT made a table that "was rolled back".
#[test]
fn a_role_s_own_reading_of_backslashes_does_not_count() {
    let setup = Setup::with(&[(
        "1_a.up.sql",
        "CREATE TABLE hidden (t int);\nSELECT 'a\\'; SELECT '; COMMIT; --';\nSELECT 1/0;",
    )]);
    let role = setup.database.role("secret");
    let name = quoted(&role.name);
    setup.database.execute(&format!(
        "ALTER ROLE {name} SET standard_conforming_strings = off; GRANT CREATE ON SCHEMA public TO {name}"
    ));
    setup.job("upgrade head").role(&role).run().fails(5, "it was rolled back; the database is at base");
    assert!(!setup.database.has("hidden"));
}

/// A column called `case` looked like the start of a CASE, so that the body of the function had no
/// end, and the COMMIT behind it passed for a part of it.
#[test]
fn a_commit_behind_a_function_s_body_is_seen() {
    let setup = Setup::with(&[(
        "1_a.up.sql",
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1 AS case; END;\nCREATE TABLE hidden ();\nCOMMIT;\nSELECT 1/0;",
    )]);
    setup.job("upgrade head").run().fails(2, "1_a.up.sql:3 has \"COMMIT\"");
    assert!(!setup.database.has("hidden"));
}

/// The update of no row is no error to PostgreSQL: the report said "applied", and nothing was recorded.
#[test]
fn a_trigger_that_swallows_the_bookkeeping_is_refused() {
    let setup = Setup::with(&[("1_a.up.sql", "CREATE TABLE a ();"), ("2_b.up.sql", "CREATE TABLE b ();")]);
    setup.job("upgrade 1").run().ok();
    setup.database.execute(
        "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE TRIGGER swallow BEFORE INSERT ON _sqlx_migrations FOR EACH ROW EXECUTE FUNCTION swallow()",
    );
    let outcome = setup.job("upgrade head").run();
    outcome.fails(
        8,
        "\"_sqlx_migrations\" can't be used: it has the trigger swallow, which could run anything with ",
    );
    assert!(!setup.database.has("b"));
}

#[test]
fn a_script_that_deletes_its_own_row_has_not_been_applied() {
    let setup = Setup::with(&[(
        "1_a.up.sql",
        "-- no-transaction\nCREATE TABLE a ();\nDELETE FROM _sqlx_migrations WHERE version = 1;\n",
    )]);
    setup.job("upgrade head").run().fails(6, "the bookkeeping was not written for version 1: 0 rows changed");
    assert_eq!(setup.database.versions(), [0; 0]);
}

/// It fails in the commit, after our own record, and was taken for a failure of ours.
#[test]
fn a_deferred_constraint_outside_a_transaction_belongs_to_its_statement() {
    let setup = Setup::with(&[
        (
            "1_a.up.sql",
            "CREATE TABLE p (id int PRIMARY KEY);\nCREATE TABLE c (id int REFERENCES p DEFERRABLE INITIALLY DEFERRED);",
        ),
        ("2_b.up.sql", "-- no-transaction\nINSERT INTO c VALUES (1);\nCREATE TABLE later ();\n"),
    ]);
    let outcome = setup.job("upgrade head").run();
    outcome.fails(5, "applying 2 (b), statement 1 of 2: insert or update on table \"c\" violates");
    outcome.fails(5, "nothing of the script took effect; the database is at 1");
    assert_eq!(setup.database.versions(), [1]);
    assert!(!setup.database.has("_run_migrations_progress"));
}

/// PostgreSQL folds ASCII letters alone; the index was looked for under another name, not found,
/// and taken to be gone.
#[test]
fn an_invalid_index_with_any_name_is_dropped() {
    for index in ["ÄI", "U&\"\\0069x\"", "\"Odd \"\"name\"", ""] {
        let setup = Setup::with(&[
            ("1_a.up.sql", "CREATE TABLE dup (a int);\nINSERT INTO dup VALUES (1), (1);"),
            (
                "2_i.up.sql",
                &format!("-- no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY {index} ON dup (a);\n"),
            ),
        ]);
        setup.job("upgrade head").run().fails(5, "nothing of the script took effect");
        let left: i64 = setup.database.value("SELECT count(*) FROM pg_index WHERE NOT indisvalid");
        assert_eq!(left, 0, "{index}");
        assert_eq!(setup.database.versions(), [1]);
    }
}

/// The job got no lock on its own table, ran nothing, and said that a script stood halfway.
#[test]
fn a_script_that_never_began_does_not_stand_halfway() {
    let setup = Setup::with(&[
        ("1_a.up.sql", "CREATE TABLE a ();"),
        ("2_b.up.sql", "-- no-transaction\nCREATE TABLE b ();\n"),
    ]);
    setup.job("upgrade 1").run().ok();
    setup.database.execute("BEGIN; LOCK TABLE _sqlx_migrations IN SHARE ROW EXCLUSIVE MODE");
    let outcome = setup.job("upgrade head").env("LOCK_TIMEOUT", "100ms").run();
    setup.database.execute("ROLLBACK");
    outcome.fails(4, "nothing of the script was run; the database is at 1");
    setup.job("upgrade head").run().ok();
}

/// A table is needed beside the bookkeeping; that there may be none is known before anything runs.
#[test]
fn a_role_that_may_not_record_progress_is_told_before_anything_runs() {
    let setup = Setup::with(&[
        ("1_a.up.sql", "CREATE TABLE a ();"),
        ("2_b.up.sql", "SELECT 1;"),
        ("3_c.up.sql", "-- no-transaction\nSELECT 1;\n"),
    ]);
    setup.job("upgrade 1").run().ok();
    let role = setup.database.role("secret");
    let name = quoted(&role.name);
    setup.database.execute(&format!("GRANT ALL ON _sqlx_migrations TO {name}"));
    let outcome = setup.job("upgrade head").role(&role).run();
    outcome.fails(8, "GRANT CREATE ON SCHEMA \"public\" TO \"DATABASE_role_1\"");
    assert_eq!(setup.database.versions(), [1]);
}

/// The record of a script that stopped belongs to the role that began it; another one could not
/// even resolve it.
#[test]
fn another_role_finds_the_way_out() {
    let setup = Setup::with(&[("1_a.up.sql", "-- no-transaction\nSELECT 1;\nSELECT 1/0;\n")]);
    setup.job("upgrade head").run().fails(6, "1 of its 2 statements is in effect");
    let role = setup.database.role("secret");
    setup.database.execute(&format!("GRANT ALL ON _sqlx_migrations TO {}", quoted(&role.name)));
    setup.job("upgrade head").role(&role).run().fails(6, "how far it came can't be read");
    setup.job("resolve 1 --retry").role(&role).run().ok();
    assert_eq!(setup.database.versions(), [0; 0]);
}

/// A prepared statement of the first attempt was still there in the second.
#[test]
fn every_attempt_starts_with_a_clean_session() {
    let setup = Setup::with(&[
        ("1_a.up.sql", "CREATE TABLE big ();"),
        ("2_b.up.sql", "PREPARE p AS SELECT 1;\nALTER TABLE big ADD COLUMN c int;"),
    ]);
    setup.job("upgrade 1").run().ok();
    setup.database.execute("BEGIN; LOCK TABLE big IN ACCESS SHARE MODE");
    let mut job = setup.job("upgrade head").env("LOCK_RETRIES", "1").env("LOCK_TIMEOUT", "200ms").start();
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert!(!job.is_over());
    setup.database.execute("ROLLBACK");
    job.wait().ok();
}

/// The hint of a wait that was over long ago hid what had really gone wrong.
#[test]
fn who_was_in_the_way_is_named_only_where_that_was_the_reason() {
    let setup = Setup::with(&[
        ("1_a.up.sql", "CREATE TABLE big (c int);\nINSERT INTO big VALUES (1);"),
        ("2_b.up.sql", "ALTER TABLE big ADD CHECK (c > 1);"),
    ]);
    setup.job("upgrade 1").run().ok();
    setup.database.execute("BEGIN; LOCK TABLE big IN ACCESS SHARE MODE");
    let job = setup.job("upgrade head").env("LOCK_TIMEOUT", "1m").start();
    std::thread::sleep(std::time::Duration::from_millis(2500));
    setup.database.execute("ROLLBACK");
    let outcome = job.wait();
    outcome.fails(5, "is violated by some row");
    assert!(!outcome.stderr.contains("it waited for"), "{}", outcome.stderr);
}

/// What a script raises about connections of its own was taken for the end of the job's session.
#[test]
fn a_script_that_speaks_of_a_broken_connection_has_failed() {
    for code in ["08001", "08006", "53300", "57P01"] {
        let raise = format!("DO $$BEGIN RAISE 'no way there' USING ERRCODE = '{code}'; END$$;");
        let setup = Setup::with(&[("1_a.sql", &raise)]);
        setup.job("upgrade head").run().fails(5, "it was rolled back; the database is at base");
    }
    let subscription =
        "-- no-transaction\nCREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1 port=1' PUBLICATION p;\n";
    let setup = Setup::with(&[("1_a.sql", subscription)]);
    let outcome = setup.job("upgrade head").run();
    outcome.fails(5, "nothing of the script took effect; the database is at base");
    setup.job("upgrade head").run().fails(5, "nothing of the script took effect");
}
