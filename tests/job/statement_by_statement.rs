//! What a no-transaction script may count on when one of its statements fails: it is told what is in effect, and goes on
//! from there.

use crate::support::Setup;

const FIRST: (&str, &str) =
    ("1_a.up.sql", "CREATE TABLE a (b int);\nCREATE MATERIALIZED VIEW v AS SELECT * FROM a;");

#[test]
fn the_same_error_from_inside_a_procedure_is_partially_applied() {
    let setup = Setup::with(&[FIRST, ("2_b.up.sql", "-- no-transaction\nCALL p();")]);
    setup.database.execute(
        "CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN CREATE TABLE c (); COMMIT; DROP TABLE nosuch; END $$",
    );
    setup.job("upgrade head").run().fails(6, "may have left something behind");
    assert!(setup.database.has("c"));
}

#[test]
fn what_is_in_effect_may_not_be_edited() {
    let text = |first: &str| format!("-- no-transaction\n{first};\nCREATE TABLE c ();\nSELECT none;");
    let setup = Setup::with(&[("1_a.up.sql", &text("CREATE TABLE b (c int)"))]);
    setup.job("upgrade head").run().fails(6, "column \"none\" does not exist");
    for (script, why) in [
        (
            text("CREATE TABLE b (c bigint)"),
            "statement 1 (CREATE TABLE b (c bigint)) was edited after it had begun;",
        ),
        (text("SELECT 1;\nCREATE TABLE b (c int)"), "statement 1 (SELECT 1) was edited after it had begun;"),
        (
            "-- no-transaction\nCREATE TABLE b (c int);".to_owned(),
            "2 of its statements began, and by now it has only 1;",
        ),
        (
            text("CREATE TABLE b (c int)").replace("-- no-transaction", ""),
            "its script no longer begins with `-- no-transaction`;",
        ),
    ] {
        setup.directory.write("1_a.up.sql", &script);
        setup.job("upgrade head").run().fails(6, &format!("can't continue by itself: {why}"));
    }
    assert_eq!(setup.database.tables("public"), ["_run_migrations_progress", "_sqlx_migrations", "b", "c"]);
}
