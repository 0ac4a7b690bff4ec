//! Whose failure it is, and so what to do: the script's, the server's or that of the moment.

use std::time::{Duration, Instant};

use sqlx::raw_sql;

use crate::support::{Setup, tool, until};

/// What a statement's own connection to another server met was told as if ours had broken.
#[test]
fn a_connection_of_a_statements_own_is_not_ours() {
    for script in [
        "DO $$ BEGIN RAISE 'remote gone' USING ERRCODE = '08006'; END $$;",
        "-- no-transaction\nDO $$ BEGIN RAISE 'remote gone' USING ERRCODE = '08006'; END $$;",
        "CREATE EXTENSION dblink; SELECT dblink_connect('host=127.0.0.1 port=1');",
    ] {
        let setup = Setup::with(&[("1_a.sql", script)]);
        let outcome = setup.job("upgrade head").run();
        let code = if script.starts_with("--") { 6 } else { 5 };
        outcome.fails(code, "  = sqlstate: 08");
        assert!(!outcome.stderr.contains("the connection broke"), "{}", outcome.stderr);
    }
}

/// It failed where a deadlock, which is the same for a person, was tried again.
#[test]
fn a_serialization_failure_is_tried_again() {
    let setup = Setup::with(&[
        ("1_a.sql", "CREATE TABLE a AS SELECT 1 AS b;"),
        (
            "2_b.sql",
            "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;\nSELECT pg_sleep(1) FROM a;\nUPDATE a SET b = b + 1;",
        ),
    ]);
    setup.job("upgrade 1").run().ok();
    let job = setup.job("upgrade head").env("LOCK_RETRIES", "1").start();
    until("the job has its snapshot", || setup.database.is_sleeping());
    let mut other = setup.database.connection();
    setup.database.block_on(raw_sql("UPDATE a SET b = 10").execute(&mut other)).unwrap();
    let outcome = job.wait();
    outcome.ok();
    assert!(outcome.stderr.contains("could not serialize access"), "{}", outcome.stderr);
    assert_eq!(setup.database.value::<i32>("SELECT b FROM a"), 11);
    setup.directory.write("3_c.sql", "DO $$ BEGIN RAISE 'busy' USING ERRCODE = '40001'; END $$;");
    setup
        .job("upgrade head")
        .run()
        .fails(4, "= next: a concurrent transaction changed the same rows; run again");
}

/// The place was the start of the script, whatever the character was, or where it was.
#[test]
fn a_character_that_the_database_lacks_is_pointed_at() {
    let setup = Setup::with(&[]);
    let latin = format!("{}_latin", setup.database.name);
    let psql = |sql: &str| {
        let output = tool("psql", "postgres").args(["-qX", "-c", sql]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    psql(&format!(
        "CREATE DATABASE {latin} ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
    ));
    let job = || setup.job("upgrade head").env("POSTGRES_DB", &latin);
    let runs = [
        (
            "1_a.sql",
            "CREATE TABLE a (t text);\nINSERT INTO a VALUES ('abc €');",
            "statement 2 of 2: ",
            ".sql:2:28\n",
        ),
        ("1_a.sql", "-- no-transaction\nINSERT INTO a VALUES ('€');", "applying 1 (a): ", ".sql:2:24\n"),
        ("1_€.sql", "SELECT 1;", "applying 1 (€), its file name: ", "_€.sql\n"),
        ("1_€.sql", "-- no-transaction\nSELECT 1;", "applying 1 (€), its file name: ", "_€.sql\n"),
    ];
    let outcomes = runs.map(|(name, script, ..)| {
        setup.directory.write(name, script);
        let outcome = job().run();
        setup.directory.remove(name);
        outcome
    });
    psql(&format!("DROP DATABASE {latin} WITH (FORCE)"));
    for ((name, _, part, place), outcome) in runs.iter().zip(outcomes) {
        outcome.fails(5, part);
        outcome.fails(5, place);
        outcome.fails(5, if name.contains('€') { "rename the file" } else { "write it another way" });
    }
}

/// The next error came in another encoding, and was told as a broken connection.
#[test]
fn an_encoding_that_scripts_do_not_have_is_refused() {
    let setup = Setup::with(&[("1_a.sql", "SET client_encoding = 'LATIN1';\nSELECT 'ü' FROM nosuch_ü;")]);
    setup.job("upgrade head").run().fails(2, "scripts are read as UTF-8; remove it");
    setup.directory.write("1_a.sql", "SET client_encoding = 'UTF8';\nSELECT 1;");
    setup.job("upgrade head").run().ok();
}

/// All of these got advice for something else, or none.
#[test]
fn what_often_goes_wrong_has_advice_of_its_own() {
    let procedure = "CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$;\nCALL p();";
    for (script, code, advice) in [
        (
            "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;\nSELECT 1;",
            5,
            "= next: SET TRANSACTION comes before all else, and earlier migrations share the transaction; set TRANSACTION=each",
        ),
        (
            procedure,
            5,
            "= next: what commits by itself can't run in a transaction; make `-- no-transaction` the first line",
        ),
        (
            "COPY (SELECT 1) TO STDOUT;",
            2,
            "nobody reads what it sends on the connection; remove it, or copy to a file",
        ),
        (
            "\\restrict x\nSELECT 1;\n",
            2,
            "`\\restrict` or `\\unrestrict` of pg_dump's, which is for psql; remove both",
        ),
    ] {
        let setup = Setup::with(&[("1_a.sql", "CREATE TABLE a ();"), ("2_b.sql", script)]);
        setup.job("upgrade head").env("TRANSACTION", "run").run().fails(code, advice);
    }
}

/// A seed on one line of twenty megabytes gave a log of forty, and the state and the next step were cut off.
#[test]
fn however_much_is_said_the_state_and_the_next_step_are_told() {
    let long = "日本語 ".repeat(100_000);
    let raise = format!(
        "DO $$ BEGIN RAISE EXCEPTION USING MESSAGE = repeat('m', 90000), DETAIL = repeat('d', 90000), \
         HINT = repeat('h', 90000), ERRCODE = '40001'; END $$; -- {long}"
    );
    for script in [
        raise.clone(),
        format!("SELECT '{long}', nosuch;"),
        format!("SELECT '{long}', 1/(SELECT 0);"),
        format!("DO $$ BEGIN EXECUTE 'SELECT $x${long}$x$, nosuch'; END $$;"),
    ] {
        let setup = Setup::with(&[("1_a.sql", &script)]);
        let outcome = setup.job("upgrade head").run();
        assert!(outcome.stderr.len() < 4200, "{} bytes", outcome.stderr.len());
        assert!(
            outcome.stderr.contains("\n  = state: it was rolled back; the database is at base"),
            "{}",
            outcome.stderr
        );
        assert_eq!(outcome.stderr.contains("\n  = next: "), script == raise, "{}", outcome.stderr);
    }
}

/// The row and the last line told the last attempt alone, which was a tenth of what had passed.
#[test]
fn times_are_what_passed() {
    let setup = Setup::with(&[
        ("1_a.sql", "CREATE TABLE a ();"),
        ("2_b.sql", "ALTER TABLE a ADD b int;"),
        ("3_c.sql", "-- no-transaction\nALTER TABLE a ADD c int;"),
    ]);
    setup.job("upgrade 1").run().ok();
    for to in ["2", "3"] {
        let mut holder = setup.database.connection();
        let mut run = |sql| setup.database.block_on(raw_sql(sql).execute(&mut holder)).unwrap();
        run("BEGIN; LOCK TABLE a IN ACCESS SHARE MODE");
        let start = Instant::now();
        let job = setup.job(&format!("upgrade {to}")).env("LOCK_TIMEOUT", "1s").env("LOCK_RETRIES", "3");
        let job = job.env("OUTPUT", "text").start();
        std::thread::sleep(Duration::from_secs(2));
        run("ROLLBACK");
        let outcome = job.wait();
        let passed = start.elapsed().as_millis();
        let times: Vec<u128> = outcome
            .ok()
            .raw_stdout
            .split(" ms")
            .filter_map(|text| text.split(' ').next_back()?.parse().ok())
            .collect();
        let [row, waited, done] = times[..] else { panic!("{}", outcome.raw_stdout) };
        assert!(outcome.stdout.contains(" ms of it waiting for locks\n"), "{}", outcome.stdout);
        assert!(waited >= 6000 && row >= waited && done >= row && passed >= done, "{}", outcome.raw_stdout);
    }
}
