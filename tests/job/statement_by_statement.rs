//! What a no-transaction script may count on when one of its statements fails: it is told what is in effect, and goes on
//! from there.

use crate::support::Setup;

const FIRST: (&str, &str) =
    ("1_a.up.sql", "CREATE TABLE a (b int);\nCREATE MATERIALIZED VIEW v AS SELECT * FROM a;");

/// A typo in the first statement stood halfway, and took a person.
#[test]
fn what_the_server_refuses_before_it_runs_leaves_nothing() {
    for (statement, message) in [
        ("CREATE INDEX CONCURRENTLY i ON nosuch (b)", "relation \"nosuch\" does not exist"),
        ("CREATE INDEX CONCURRENTLY i ON a (nosuch)", "column \"nosuch\" does not exist"),
        ("DROP INDEX CONCURRENTLY nosuch", "index \"nosuch\" does not exist"),
        ("DROP INDEX CONCURRENTLY a", "\"a\" is not an index"),
        ("VACUUM nosuch", "relation \"nosuch\" does not exist"),
        ("CALL nosuch()", "procedure nosuch() does not exist"),
        ("DO $$ BEGIN nonsense; END $$", "syntax error at or near \"nonsense\""),
        ("CLUSTER nosuch", "relation \"nosuch\" does not exist"),
        ("REINDEX TABLE nosuch", "relation \"nosuch\" does not exist"),
        ("REINDEX TABLE CONCURRENTLY nosuch", "relation \"nosuch\" does not exist"),
        ("REINDEX SCHEMA CONCURRENTLY nosuch", "schema \"nosuch\" does not exist"),
        ("REFRESH MATERIALIZED VIEW CONCURRENTLY nosuch", "relation \"nosuch\" does not exist"),
        ("REFRESH MATERIALIZED VIEW CONCURRENTLY v", "cannot refresh materialized view"),
        ("ALTER TABLE nosuch DETACH PARTITION a CONCURRENTLY", "relation \"nosuch\" does not exist"),
    ] {
        let setup =
            Setup::with(&[FIRST, ("2_b.up.sql", &format!("-- no-transaction\n{statement};\nSELECT 1;"))]);
        let outcome = setup.job("upgrade head").run();
        outcome.fails(5, message);
        outcome.fails(5, "= state: nothing of the script took effect;");
        assert_eq!(setup.database.versions(), [1], "{statement}");
        assert!(!setup.database.has("_run_migrations_progress"), "{statement}");
        setup.directory.write("2_b.up.sql", "-- no-transaction\nSELECT 1;");
        setup.job("upgrade head").run().ok();
    }
}

/// What a procedure says itself may come behind its first commit.
#[test]
fn the_same_error_from_inside_a_procedure_stands_halfway() {
    let setup = Setup::with(&[FIRST, ("2_b.up.sql", "-- no-transaction\nCALL p();")]);
    setup.database.execute(
        "CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN CREATE TABLE c (); COMMIT; DROP TABLE nosuch; END $$",
    );
    setup.job("upgrade head").run().fails(6, "may have left something behind");
    assert!(setup.database.has("c"));
}

/// The typo could not be corrected: the run that went on wanted the script that had failed.
#[test]
fn what_has_not_run_yet_may_be_edited() {
    let text =
        |rest: &str| format!("-- no-transaction\nCREATE TABLE b (c int);\nINSERT INTO b VALUES (1);\n{rest}");
    let setup = Setup::with(&[FIRST, ("2_b.up.sql", &text("CREATE INDEX CONCURRENTLY i ON b (nosuch);"))]);
    setup.job("upgrade head").run().fails(6, "2 of its 3 statements are in effect");
    setup.directory.write("2_b.up.sql", &text("CREATE INDEX CONCURRENTLY i ON b (c);\nCREATE TABLE d ();"));
    setup.job("upgrade head --plan").run().ok();
    setup.job("upgrade head").run().ok();
    assert!(setup.database.has("i") && setup.database.has("d"));
    assert_eq!(
        setup.database.value::<i64>("SELECT count(*) FROM b"),
        1,
        "what is in effect does not run again"
    );
    setup.job("upgrade head").run().is(0, "nothing to do: the database is at 2 (head)", "");
    setup.job("history").run().ok();
}

#[test]
fn what_is_in_effect_may_not_be_edited() {
    let text = |first: &str| format!("-- no-transaction\n{first};\nCREATE TABLE c ();\nSELECT none;");
    let setup = Setup::with(&[("1_a.up.sql", &text("CREATE TABLE b (c int)"))]);
    setup.job("upgrade head").run().fails(6, "column \"none\" does not exist");
    for (script, why) in [
        (text("CREATE TABLE b (c bigint)"), "statement 1, which is in effect, was edited since;"),
        (text("SELECT 1;\nCREATE TABLE b (c int)"), "statement 1, which is in effect, was edited since;"),
        (
            "-- no-transaction\nCREATE TABLE b (c int);".to_owned(),
            "statement 2, which is in effect, was edited since;",
        ),
        (
            text("CREATE TABLE b (c int)").replace("-- no-transaction", ""),
            "its script no longer begins with `-- no-transaction`;",
        ),
    ] {
        setup.directory.write("1_a.up.sql", &script);
        setup.job("upgrade head").run().fails(6, &format!("can't go on by itself: {why}"));
    }
    assert_eq!(setup.database.tables("public"), ["_run_migrations_progress", "_sqlx_migrations", "b", "c"]);
}

/// The second run said that the call may or may not be in effect, and nothing of what came behind it.
#[test]
fn behind_what_may_have_changed_the_session_nothing_is_claimed() {
    let setup = Setup::with(&[(
        "1_a.up.sql",
        "-- no-transaction\nCREATE TABLE b ();\nSELECT set_config('a.b', 'c', false);\nCREATE TABLE c ();\nSELECT none;",
    )]);
    setup.job("upgrade head").run().fails(6, "3 of its 4 statements are in effect");
    setup
        .job("upgrade head")
        .run()
        .fails(6, "nothing after it is recorded: they may or may not be in effect;");
}

/// An extension's hook, such as that of TimescaleDB's continuous aggregates, refuses what PostgreSQL itself would
/// allow in a transaction. An event trigger stands in for it.
#[test]
fn a_statement_that_refuses_a_transaction_runs_alone() {
    let setup = Setup::with(&[(
        "1_a.up.sql",
        "-- no-transaction\nCREATE TABLE b ();\nCREATE MATERIALIZED VIEW w AS SELECT 1;\nCREATE MATERIALIZED VIEW w AS SELECT 1;",
    )]);
    setup.database.execute(
        "CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF current_query() LIKE 'BEGIN;%' THEN \
         RAISE 'it cannot run inside a transaction block' USING ERRCODE = '25001'; END IF; END $$; \
         CREATE EVENT TRIGGER hook ON ddl_command_start WHEN TAG IN ('CREATE MATERIALIZED VIEW') \
         EXECUTE FUNCTION refuse()",
    );
    let outcome = setup.job("upgrade head").run();
    outcome.fails(6, "statement 3 of 3: relation \"w\" already exists");
    outcome.fails(6, "2 of its 3 statements are in effect");
    assert!(setup.database.has("w"));
}
