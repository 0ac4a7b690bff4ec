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
  = state: the script is partially applied: 1 of its 3 statements is in effect; the database is at 1: 1 step of this run committed, 2 not
  = next: fix the cause and run again, which continues with this statement; or finish the script by hand and run \
         `resolve 2 --done`, or undo what it did and run `resolve 2 --retry`",
    );
    assert!(!setup.database.value::<bool>("SELECT success FROM _sqlx_migrations WHERE version = 2"));
    assert!(!setup.database.has("i"), "an invalid index would reject the site's writes");
    setup.job("history").run().is(
        0,
        "\
pending           3  c (head)
partially applied 2  i            TIME
applied           1  a (current)  TIME, N ms",
        "",
    );
    setup.job("upgrade head").run().fails(6, "could not create unique index \"i\"");
    for words in ["downgrade base", "stamp head"] {
        setup.job(words).run().fails(6, "error: the no-transaction script of 2 (i) is partially applied");
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
    setup.job("upgrade head").run().fails(
        6,
        "= state: the script is partially applied: its first statement may have left something behind;",
    );
    for words in ["upgrade head", "upgrade head --plan"] {
        setup.job(words).run().fails(
            6,
            "error: the no-transaction script of 2 (p) is partially applied and can't continue by itself: ",
        );
    }
    assert_eq!(setup.database.value::<i64>("SELECT count(*) FROM a WHERE b = 2"), 1);
    setup.database.execute("CREATE TABLE b ()");
    setup.job("resolve 2 --done").run().ok();
    setup.job("upgrade head").run().is(0, "nothing to do: the database is at 2 (head)", "");
    assert_eq!(setup.database.tables("public"), ["_sqlx_migrations", "a", "b"]);
}

/// The failure asks to fix the statement, and the fixed script was refused.
#[test]
fn what_has_not_been_applied_may_be_edited() {
    let setup = Setup::with(&[("1_a.up.sql", "-- no-transaction\nCREATE TABLE a ();\nSELECT none;")]);
    setup.job("upgrade head").run().fails(6, "column \"none\" does not exist");
    let edited = "-- no-transaction\nCREATE TABLE a (b int);\nSELECT 1;";
    setup.directory.write("1_a.up.sql", edited);
    let outcome = setup.job("upgrade head").run();
    outcome.fails(
        6,
        "can't continue by itself: statement 1 (CREATE TABLE a (b int)) was edited after it had begun;",
    );
    setup
        .directory
        .write("1_a.up.sql", "-- no-transaction\n-- fixed\nCREATE TABLE a ();\nCREATE TABLE b ();");
    setup.job("upgrade head").run().ok();
    assert_eq!(setup.database.tables("public"), ["_sqlx_migrations", "a", "b"]);
    // The checksum is that of the script as it ran in the end.
    setup.job("upgrade head").run().is(0, "nothing to do: the database is at 1 (head)", "");
}

/// A typo was reported as partially applied, and wanted `resolve`.
#[test]
fn what_the_server_refuses_before_it_begins_leaves_nothing() {
    let refused = [
        "CREATE INDEX CONCURRENTLY i ON nosuch (a)",
        "CREATE INDEX CONCURRENTLY i ON a (nosuch)",
        "CREATE INDEX CONCURRENTLY ON nosuch (a)",
        "DROP INDEX CONCURRENTLY nosuch",
        "DROP INDEX CONCURRENTLY a_b_key",
        "VACUUM nosuch",
        "CALL nosuch()",
        "REINDEX TABLE CONCURRENTLY nosuch",
        "REINDEX INDEX CONCURRENTLY nosuch",
        "REINDEX TABLE nosuch",
        "CLUSTER nosuch",
        "REFRESH MATERIALIZED VIEW CONCURRENTLY v",
        "REFRESH MATERIALIZED VIEW CONCURRENTLY nosuch",
        "ALTER TABLE a DETACH PARTITION nosuch CONCURRENTLY",
        "DROP DATABASE nosuch",
        "CREATE INDEX CONCURRENTLY i ON a (b",
    ];
    let setup = Setup::with(&[(
        "1_a.sql",
        "CREATE TABLE a (b int UNIQUE);\nCREATE MATERIALIZED VIEW v AS SELECT b FROM a;",
    )]);
    setup.job("upgrade head").run().ok();
    for statement in refused {
        setup.directory.write("2_b.sql", format!("-- no-transaction\n{statement};"));
        let outcome = setup.job("upgrade head").run();
        outcome
            .fails(5, "= state: nothing of the script took effect; the database is at 1, as before this run");
        assert_eq!(setup.database.versions(), [1], "{statement}");
        assert_eq!(setup.database.tables("public"), ["_sqlx_migrations", "a"], "{statement}");
    }
    // Behind a statement that is in effect, the next run goes on.
    setup
        .directory
        .write("2_b.sql", "-- no-transaction\nCREATE TABLE c ();\nDROP INDEX CONCURRENTLY nosuch;");
    setup
        .job("upgrade head")
        .run()
        .fails(6, "fix the cause and run again, which continues with this statement; or ");
    setup
        .directory
        .write("2_b.sql", "-- no-transaction\nCREATE TABLE c ();\nDROP INDEX CONCURRENTLY IF EXISTS nosuch;");
    setup.job("upgrade head").run().ok();
}

/// As TimescaleDB does for continuous aggregates: the statement's words tell nothing.
#[test]
fn what_refuses_a_transaction_is_run_alone() {
    let setup =
        Setup::with(&[TABLE, ("2_c.sql", "-- no-transaction\nCREATE TABLE c ();\nCREATE TABLE d ();")]);
    setup.job("upgrade 1").run().ok();
    setup.database.execute(
        "CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
           IF EXISTS (SELECT FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation
                       WHERE l.pid = pg_catalog.pg_backend_pid() AND c.relname = '_run_migrations_progress')
              AND EXISTS (SELECT FROM pg_catalog.pg_class WHERE relname = '_run_migrations_progress') THEN
             RAISE EXCEPTION 'this cannot run inside a transaction block' USING ERRCODE = '25001';
           END IF; END $$;
         CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION refuse()",
    );
    let outcome = setup.job("upgrade head").run();
    setup.database.execute("DROP EVENT TRIGGER refuse");
    outcome.ok();
    assert_eq!(setup.database.tables("public"), ["_sqlx_migrations", "a", "c", "d"]);
}

/// What follows such a statement is not recorded, and the second run said that it had not happened.
#[test]
fn what_follows_an_unknown_statement_may_be_in_effect() {
    let script = "-- no-transaction\nCREATE TABLE c ();\nSELECT 1;\nCREATE TABLE d ();\nSELECT 1 / 0;";
    let setup = Setup::with(&[("1_a.sql", script)]);
    setup.job("upgrade head").run().fails(6, "3 of its 4 statements are in effect");
    setup.job("upgrade head").run().fails(
        6,
        "statement 2 (SELECT 1) began and its end is not recorded: it and what follows it may or may not be in effect",
    );
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
        .fails(6, "reverting 1 (a), statement 2 of 2: table \"none\" does not exist");
    assert!(!setup.database.value::<bool>("SELECT success FROM _sqlx_migrations"));
    setup.job("downgrade base").run().fails(6, "is partially applied");
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

/// It was dropped, even when it was whole by then: invalid and new was taken for ours.
#[test]
fn an_index_that_another_session_builds_meanwhile_is_left_alone() {
    for (theirs, ours) in [("dba_index", ""), ("i", "i")] {
        let script = format!("-- no-transaction\nCREATE INDEX CONCURRENTLY {ours} ON a (b);");
        let setup = Setup::with(&[TABLE, ("2_i.up.sql", &script)]);
        setup.job("upgrade 1").run().ok();
        setup.database.execute(
            "CREATE FUNCTION slow(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM pg_sleep(2); RETURN 1; END $$",
        );
        let mut holder = setup.database.connection();
        let mut hold = |sql| setup.database.block_on(raw_sql(sql).execute(&mut holder)).unwrap();
        hold("BEGIN; LOCK TABLE a IN SHARE UPDATE EXCLUSIVE MODE");
        let waiting = || {
            setup
                .database
                .value::<i64>("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'a'::regclass")
        };
        let build = format!("CREATE INDEX CONCURRENTLY {theirs} ON a (slow(b))");
        let options = setup.database.options();
        let dba = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut connection = sqlx::ConnectOptions::connect(&options).await?;
                raw_sql(sqlx::AssertSqlSafe(build)).execute(&mut connection).await
            })
        });
        until("the other build waits", || waiting() == 1);
        let job = setup.job("upgrade head").start();
        until("the job waits as well", || waiting() == 2);
        hold("COMMIT");
        until("the other build has begun", || setup.database.has(theirs));
        job.signal("TERM");
        let outcome = job.wait();
        outcome
            .fails(6, &format!(" WARN public.{theirs} is not dropped: another session may be building it\n"));
        dba.join().unwrap().unwrap();
        let valid = format!("SELECT indisvalid FROM pg_index WHERE indexrelid = '{theirs}'::regclass");
        assert!(setup.database.value::<bool>(&valid));
    }
}

/// They waited for ACCESS EXCLUSIVE without a limit, and the site behind them.
#[test]
fn what_takes_the_table_for_itself_has_its_limit_and_is_repeated() {
    for sql in ["VACUUM FULL p1", "VACUUM (FULL) p1", "ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY"] {
        let setup = Setup::with(&[
            (
                "1_p.up.sql",
                "CREATE TABLE p (b int) PARTITION BY LIST (b);\nCREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);",
            ),
            ("2_b.up.sql", &format!("-- no-transaction\n{sql};")),
        ]);
        setup.job("upgrade 1").run().ok();
        let mut holder = setup.database.connection();
        let mut hold = |sql| setup.database.block_on(raw_sql(sql).execute(&mut holder)).unwrap();
        hold("BEGIN; LOCK TABLE p, p1 IN SHARE UPDATE EXCLUSIVE MODE");
        let job = setup.job("upgrade head").env("LOCK_TIMEOUT", "300ms").env("LOCK_RETRIES", "3").start();
        let waits = || {
            setup.database.value(
                "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation IN ('p'::regclass, 'p1'::regclass))",
            )
        };
        until("the job waits for the table", waits);
        until("the job gives up for now", || !waits());
        hold("COMMIT");
        assert!(
            job.wait()
                .ok()
                .stderr
                .contains("canceling statement due to lock timeout; rolled back, trying again in ")
        );
        assert_eq!(setup.database.versions(), [1, 2], "{sql}");
    }
}

/// It stood halfway and was not repeated, with the code for a person.
#[test]
fn bookkeeping_that_is_locked_at_the_end_of_a_script_is_repeated() {
    const STATE: &str = "the script is partially applied: 2 of its 2 statements are in effect;";
    for (retries, signal, code) in [("0", false, 4), ("9", true, 143), ("9", false, 0)] {
        let script = "-- no-transaction\nCREATE TABLE b ();\nINSERT INTO b SELECT FROM pg_sleep(1);";
        let setup = Setup::with(&[TABLE, ("2_b.up.sql", script)]);
        setup.job("upgrade 1").run().ok();
        let mut holder = setup.database.connection();
        let mut hold = |sql| setup.database.block_on(raw_sql(sql).execute(&mut holder)).unwrap();
        let waits = || {
            setup.database.value(
                "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = '_sqlx_migrations'::regclass)",
            )
        };
        let job = setup.job("upgrade head").env("LOCK_TIMEOUT", "1s").env("LOCK_RETRIES", retries).start();
        until("the script is under way", || setup.database.is_sleeping());
        hold("BEGIN; LOCK TABLE _sqlx_migrations IN SHARE MODE");
        until("the job waits for its bookkeeping", waits);
        if signal {
            job.signal("TERM");
        }
        until("the job gives up, or for now", || !waits());
        hold("COMMIT");
        let outcome = job.wait();
        if code != 0 {
            outcome.fails(code, STATE);
        }
        setup.job("upgrade head").run().ok();
        assert_eq!(setup.database.versions(), [1, 2], "{code}");
        assert_eq!(outcome.code, Some(code), "{}", outcome.stderr);
    }
}
