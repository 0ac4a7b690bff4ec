//! A script that begins with `-- no-transaction` runs statement by statement, and a row with
//! `success = false` says so until it has ended.

use sqlx::raw_sql;

use crate::support::{Setup, until};

const TABLE: (&str, &str) = ("1_a.up.sql", "CREATE TABLE a (b int);\nINSERT INTO a VALUES (1), (1);");

#[test]
fn a_concurrent_index_is_built_and_dropped() {
    let setup = Setup::with(&[
        TABLE,
        ("1_a.down.sql", "DROP TABLE a;"),
        ("2_i.up.sql", "-- no-transaction\nCREATE INDEX CONCURRENTLY i ON a (b);\nVACUUM a;\n"),
        ("2_i.down.sql", "-- no-transaction\nDROP INDEX CONCURRENTLY i;\n"),
    ]);
    setup.job("upgrade head").run().ok();
    assert!(setup.database.has("i"));
    assert_eq!(setup.database.versions(), [1, 2]);
    setup.job("downgrade base").run().ok();
    assert_eq!(setup.database.tables("public"), ["_sqlx_migrations"]);
    assert_eq!(setup.database.versions(), [0; 0]);
}

#[test]
fn a_new_enum_value_serves_the_next_statement() {
    let setup = Setup::with(&[(
        "1_a.up.sql",
        "-- no-transaction\nCREATE TYPE mood AS ENUM ('fine');\nALTER TYPE mood ADD VALUE 'better';\n\
         CREATE TABLE a AS SELECT 'better'::mood AS m;",
    )]);
    setup.job("upgrade head").run().ok();
    assert!(setup.database.has("a"));
}

#[test]
fn a_concurrent_index_that_fails_stands_halfway_and_says_what_to_do() {
    let setup = Setup::with(&[
        TABLE,
        (
            "2_i.up.sql",
            "-- no-transaction\nALTER TABLE a ADD COLUMN c int;\n\nCREATE UNIQUE INDEX CONCURRENTLY i ON a (b);\nSELECT 1;",
        ),
        ("3_c.up.sql", "CREATE TABLE c ();"),
    ]);
    setup.job("upgrade head").run().is(
        6,
        "upgrade from base to 3: 3 migrations\n  applied  1  a  N ms",
        "\
error: applying 2 (i), statement 2 of 3: could not create unique index \"i\"
 --> migrations/2_i.up.sql:4:1
  |
4 | CREATE UNIQUE INDEX CONCURRENTLY i ON a (b);
  | ^ in the statement that starts here
  = sqlstate: 23505
  = detail: Key (b)=(1) is duplicated.
  = state: the script stands halfway: 1 of its 3 statements are in effect; the database is at 1: 1 step of this run committed, 2 not
  = next: mend the cause and run again, which goes on with this statement; or bring what the script left behind to one side, \
         then `resolve 2 --done` if all of it is in effect, or `resolve 2 --retry` if none of it is",
    );
    assert!(!setup.database.value::<bool>("SELECT success FROM _sqlx_migrations WHERE version = 2"));
    assert!(!setup.database.has("i"), "an invalid index would reject the site's writes");
    setup.job("history").run().is(
        0,
        "\
pending      3  c (head)
halfway      2  i            TIME
applied      1  a (current)  TIME, N ms",
        "",
    );
    setup.job("upgrade head").run().fails(6, "could not create unique index \"i\"");
    for words in ["downgrade base", "stamp head"] {
        setup.job(words).run().fails(6, "error: the no-transaction script of 2 (i) stands halfway");
    }
    // The cause is mended; what took effect already does not run again.
    setup.database.execute("DELETE FROM a");
    setup.job("upgrade head --plan").run().ok();
    setup.job("upgrade head").run().ok();
    assert_eq!(setup.database.versions(), [1, 2, 3]);
    assert_eq!(setup.database.tables("public"), ["_sqlx_migrations", "a", "c"]);
    assert!(setup.database.value::<bool>("SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass"));
}

#[test]
fn a_first_statement_that_fails_leaves_nothing() {
    let setup =
        Setup::with(&[TABLE, ("2_b.up.sql", "-- no-transaction\nCREATE TABLE a ();\nCREATE TABLE b ();")]);
    setup.job("upgrade head").run().is(
        5,
        "upgrade from base to 2: 2 migrations\n  applied  1  a  N ms",
        "\
error: applying 2 (b), statement 1 of 2: relation \"a\" already exists
 --> migrations/2_b.up.sql:2:1
  |
2 | CREATE TABLE a ();
  | ^ in the statement that starts here
  = sqlstate: 42P07
  = state: nothing of the script took effect; the database is at 1: 1 step of this run committed, 1 not",
    );
    assert_eq!(setup.database.value::<i64>("SELECT count(*) FROM _sqlx_migrations"), 1);
    setup.directory.write("2_b.up.sql", "-- no-transaction\nCREATE TABLE b ();");
    setup.job("upgrade head").run().ok();
}

#[test]
fn a_concurrent_index_that_fails_first_leaves_nothing_either() {
    let setup = Setup::with(&[
        TABLE,
        ("2_i.up.sql", "-- no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY i ON a (b);"),
    ]);
    setup.job("upgrade head").run().fails(5, "= state: nothing of the script took effect;");
    assert!(!setup.database.has("i"));
    assert_eq!(setup.database.value::<i64>("SELECT count(*) FROM _sqlx_migrations"), 1);
}

const INVALID: &str = "SELECT count(*) FROM pg_index WHERE NOT indisvalid";

/// PostgreSQL leaves the index it was building, as `i_ccnew`.
#[test]
fn a_concurrent_rebuild_that_fails_leaves_nothing() {
    let setup = Setup::with(&[
        ("1_a.up.sql", "CREATE TABLE a (b int);\nINSERT INTO a VALUES (1);"),
        ("2_i.up.sql", "-- no-transaction\nREINDEX INDEX CONCURRENTLY i;"),
    ]);
    setup.job("upgrade 1").run().ok();
    setup.database.execute(
        "CREATE SEQUENCE calls; CREATE FUNCTION once(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS \
         $$ BEGIN IF nextval('calls') > 1 THEN RAISE 'not again'; END IF; RETURN 1; END $$; \
         CREATE INDEX i ON a (once(b))",
    );
    let outcome = setup.job("upgrade head").env("RUST_LOG", "info").run();
    outcome.fails(5, "not again");
    outcome.fails(5, " INFO dropped public.i_ccnew, which the failed build left invalid\n");
    outcome.fails(5, "= state: nothing of the script took effect;");
    assert_eq!(setup.database.value::<i64>(INVALID), 0);
    assert!(setup.database.has("i"));
}

/// It stayed, where the table has parts or a whole schema is rebuilt.
#[test]
fn a_rebuild_of_many_that_fails_leaves_no_invalid_index() {
    for (sql, code) in [("REINDEX TABLE CONCURRENTLY p", 5), ("REINDEX SCHEMA CONCURRENTLY public", 6)] {
        let setup = Setup::with(&[("1_a.up.sql", &format!("-- no-transaction\n{sql};"))]);
        setup.database.execute(
            "CREATE SEQUENCE calls; CREATE FUNCTION once(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS \
             $$ BEGIN IF nextval('calls') > 1 THEN RAISE 'not again'; END IF; RETURN 1; END $$; \
             CREATE TABLE p (b int) PARTITION BY LIST (b); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1); \
             INSERT INTO p VALUES (1); CREATE INDEX i ON p (once(b))",
        );
        setup.job("upgrade head").run().fails(code, "not again");
        assert_eq!(setup.database.value::<i64>(INVALID), 0, "{sql}");
    }
}

/// Behind the exchange it leaves the old one, as `i_ccold`, until everybody who reads is gone.
#[test]
fn a_concurrent_rebuild_that_is_cancelled_behind_its_exchange_leaves_nothing() {
    let setup = Setup::with(&[
        ("1_a.up.sql", "CREATE TABLE a (b int);\nCREATE INDEX i ON a (b);"),
        ("2_i.up.sql", "-- no-transaction\nREINDEX INDEX CONCURRENTLY i;"),
    ]);
    setup.job("upgrade 1").run().ok();
    let mut reader = setup.database.connection();
    let mut reads = |sql| setup.database.block_on(raw_sql(sql).execute(&mut reader)).unwrap();
    reads("BEGIN; SELECT FROM a");
    let job = setup.job("upgrade head").env("RUST_LOG", "info").start();
    until("the old index waits for the reader", || {
        setup.database.has("i_ccold")
            && setup.database.value(
                "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() \
                 AND query LIKE 'REINDEX%' AND wait_event_type = 'Lock')",
            )
    });
    job.signal("TERM");
    until("the statement is cancelled", || {
        setup.database.value(
            "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() \
             AND query LIKE 'REINDEX%' AND state = 'active')",
        )
    });
    reads("COMMIT");
    let outcome = job.wait();
    outcome.fails(143, " INFO dropped public.i_ccold, which the failed build left invalid\n");
    assert_eq!(setup.database.value::<i64>(INVALID), 0);
    setup.job("upgrade head").run().ok();
}

#[test]
fn a_first_statement_that_commits_in_pieces_stands_halfway_and_takes_a_person() {
    let setup = Setup::with(&[TABLE, ("2_p.up.sql", "-- no-transaction\nCALL p();\nCREATE TABLE b ();")]);
    setup.database.execute(
        "CREATE PROCEDURE p() LANGUAGE plpgsql AS \
         $$ BEGIN INSERT INTO a VALUES (2); COMMIT; PERFORM 1 / (SELECT 0); END $$",
    );
    setup
        .job("upgrade head")
        .run()
        .fails(6, "= state: the script stands halfway: its first statement may have left something behind;");
    for words in ["upgrade head", "upgrade head --plan"] {
        setup.job(words).run().fails(
            6,
            "error: the no-transaction script of 2 (p) stands halfway, and can't go on by itself: ",
        );
    }
    assert_eq!(setup.database.value::<i64>("SELECT count(*) FROM a WHERE b = 2"), 1);
    setup.database.execute("CREATE TABLE b ()");
    setup.job("resolve 2 --done").run().ok();
    setup.job("upgrade head").run().is(0, "nothing to do: the database is at 2 (head)", "");
    assert_eq!(setup.database.tables("public"), ["_sqlx_migrations", "a", "b"]);
}

#[test]
fn a_script_that_was_edited_meanwhile_does_not_go_on() {
    let setup = Setup::with(&[("1_a.up.sql", "-- no-transaction\nCREATE TABLE a ();\nSELECT none;")]);
    setup.job("upgrade head").run().fails(6, "column \"none\" does not exist");
    setup.directory.write("1_a.up.sql", "-- no-transaction\nCREATE TABLE a ();\nSELECT 1;");
    setup.job("upgrade head").run().fails(6, "can't go on by itself: the script was edited since;");
}

#[test]
fn a_syntax_error_in_a_later_statement_stands_halfway_at_its_place() {
    let setup =
        Setup::with(&[("1_a.up.sql", "-- no-transaction\nCREATE TABLE \"ü\" ();\n  CREATE TABL b ();\n")]);
    let outcome = setup.job("upgrade head").run();
    outcome.fails(6, "statement 2 of 2: syntax error at or near \"TABL\"\n --> migrations/1_a.up.sql:3:10\n");
}

#[test]
fn a_down_script_that_fails_stands_halfway() {
    let setup = Setup::with(&[
        TABLE,
        ("1_a.down.sql", "-- no-transaction\nALTER TABLE a DROP COLUMN b;\nDROP TABLE none;"),
    ]);
    setup.job("upgrade head").run().ok();
    setup
        .job("downgrade base")
        .run()
        .fails(6, "taking back 1 (a), statement 2 of 2: table \"none\" does not exist");
    assert!(!setup.database.value::<bool>("SELECT success FROM _sqlx_migrations"));
    setup.job("downgrade base").run().fails(6, "stands halfway");
}

/// sqlx's own mark is the beginning of the file, so what follows on the line does not matter.
#[test]
fn the_mark_counts_only_at_the_very_top() {
    let setup = Setup::with(&[
        TABLE,
        ("2_i.up.sql", "-- no-transaction because of the index\nCREATE INDEX CONCURRENTLY i ON a (b);"),
        ("3_j.up.sql", "\n-- no-transaction\nCREATE INDEX CONCURRENTLY j ON a (b);"),
    ]);
    setup
        .job("upgrade head")
        .run()
        .fails(5, "CREATE INDEX CONCURRENTLY cannot run inside a transaction block");
    assert_eq!(setup.database.versions(), [1, 2]);
}

#[test]
fn a_concurrent_build_is_not_cut_short_by_the_limits() {
    let setup = Setup::with(&[
        TABLE,
        ("2_i.up.sql", "-- no-transaction\nCREATE INDEX CONCURRENTLY i ON a (slow(b));"),
    ]);
    setup.database.execute(
        "CREATE FUNCTION slow(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM pg_sleep(0.2); RETURN 1; END $$",
    );
    setup.job("upgrade head").env("STATEMENT_TIMEOUT", "100ms").run().ok();
    assert!(setup.database.has("i"));
}
