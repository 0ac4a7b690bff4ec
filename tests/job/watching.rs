//! A step that lasts is watched: what the server tells of its progress, as a line that stays on a terminal, now and then in a
//! log.

use serde_json::Value;

use crate::support::Setup;

/// Some pages with some rows each, of which every one takes its time where it is asked for.
const TABLE: &str = "
CREATE TABLE a (b int, filler char(1500)) WITH (autovacuum_enabled = off);
INSERT INTO a SELECT n, '' FROM generate_series(1, 100) AS n;
CREATE FUNCTION slow(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM pg_sleep(0.04); RETURN $1; END $$;
CREATE FUNCTION slow_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.04); RETURN NEW; END $$;";

const SLOWLY: &str = "SET vacuum_cost_limit = 1;\nSET vacuum_cost_delay = 100;";

/// The percentages that a log has of something.
fn percentages(log: &str, phase: &str) -> Vec<u8> {
    let lines = log.lines().filter(|line| line.starts_with(" INFO applying 2 (b)"));
    let lines = lines.filter_map(|line| line.split_once("; ")?.1.strip_prefix(phase));
    lines.filter_map(|rest| rest.rsplit(", ").next()?.strip_suffix(" %")?.parse().ok()).collect()
}

#[test]
fn what_has_a_progress_view_is_told_in_percent() {
    let file = "current_setting('data_directory') || '/rows_' || current_database()";
    let cases = [
        ("building index: ", "CREATE INDEX i ON a (slow(b));".to_owned()),
        ("building index: ", "-- no-transaction\nCREATE INDEX CONCURRENTLY i ON a (slow(b));".to_owned()),
        ("vacuum: scanning heap", format!("-- no-transaction\n{SLOWLY}\nVACUUM a;")),
        ("analyze: acquiring sample rows", format!("{SLOWLY}\nANALYZE a;")),
        (
            "rewriting: ",
            "-- no-transaction\nCREATE INDEX i ON a ((b % 100)) WHERE slow(b) > 50;\nVACUUM FULL a;"
                .to_owned(),
        ),
        (
            "copying",
            format!(
                "CREATE TABLE c (LIKE a);\nCREATE TRIGGER t BEFORE INSERT ON c FOR EACH ROW EXECUTE FUNCTION slow_row();\n\
                 DO $$ BEGIN EXECUTE format('COPY a TO %L', {file}); EXECUTE format('COPY c FROM %L', {file});\n\
                 EXECUTE format('COPY c TO PROGRAM %L', 'cat > ' || {file} || ' && rm ' || {file}); END $$;"
            ),
        ),
    ];
    let runs = cases.map(|(phase, script)| {
        let setup = Setup::with(&[("1_a.sql", TABLE), ("2_b.sql", &script)]);
        (setup.job("upgrade head").without("RUST_LOG").start(), setup, phase, script)
    });
    for (job, _setup, phase, script) in runs {
        let outcome = job.wait();
        let told = percentages(&outcome.ok().stderr, phase);
        assert!(
            !told.is_empty() && told.iter().all(|percent| *percent <= 100),
            "{script}\n{}",
            outcome.stderr
        );
    }
}

/// A run that waits: for twelve seconds, and for nobody else.
fn waiting() -> Setup {
    let setup = Setup::with(&[("1_a.sql", "CREATE TABLE a ();"), ("2_b.sql", "ALTER TABLE a ADD b int;")]);
    setup.job("upgrade 1").run().ok();
    setup.database.execute("BEGIN; LOCK TABLE a IN ACCESS SHARE MODE");
    setup
}

#[test]
fn a_log_says_once_whom_it_waits_for() {
    let setup = waiting();
    let job = setup.job("upgrade head").env("LOCK_TIMEOUT", "4s").env("LOG_FORMAT", "json");
    let outcome = job.without("RUST_LOG").run();
    outcome.fails(4, "");
    let lines = outcome.stderr.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let messages: Vec<_> = lines.map(|line| line["message"].as_str().unwrap().to_owned()).collect();
    let waits = messages.iter().filter(|text| text.contains(" s; waiting for pid N, role ")).count();
    assert_eq!(waits, 1, "{messages:?}");
}

/// Nothing to wait for and no progress view: a minute of silence looked like a hang.
#[test]
fn whatever_takes_more_than_a_second_is_named() {
    let setup = Setup::with(&[
        ("1_a.sql", "SELECT pg_sleep(1.5);"),
        ("2_b.sql", "-- no-transaction\nSELECT 1;\nSELECT pg_sleep(0.8);\nSELECT pg_sleep(0.8);\nSELECT 2;"),
    ]);
    let outcome = setup.job("upgrade head").without("RUST_LOG").run();
    let told: Vec<_> =
        outcome.ok().stderr.lines().filter(|line| line.starts_with(" INFO applying")).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0], " INFO applying 1 (a): 1 s");
    assert!(
        told[1].starts_with(" INFO applying 2 (b), statement ") && told[1].ends_with(" of 4: 1 s"),
        "{told:?}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_has_a_line_that_stays() {
    let setup = waiting();
    let job = setup.job("upgrade head").env("LOCK_TIMEOUT", "4s").env("NO_COLOR", "1").without("RUST_LOG");
    let outcome = job.on_a_terminal().run();
    assert_eq!(outcome.code, Some(4));
    // Each begins where the one before began, and the last is taken away before the error is printed.
    let mut lines = outcome.stdout.split("\r\x1b[2K").skip(1).collect::<Vec<_>>();
    let rest = lines.pop().unwrap();
    assert!(lines.len() >= 2, "{:?}", outcome.stdout);
    let is_wait = |line: &&str| line.contains(" s; waiting for pid N, role ") && !line.contains('\n');
    assert!(lines.iter().all(is_wait), "{:?}", outcome.stdout);
    assert!(rest.starts_with("error: applying 2 (b): canceling statement"), "{:?}", outcome.stdout);
    assert!(!outcome.stdout.contains("INFO"), "{:?}", outcome.stdout);
}
