//! OUTPUT=json: stdout is one JSON document, however the run ends.

use serde_json::{Value, json};

use crate::support::{Job, Outcome, Setup};

const SCRIPTS: &[(&str, &str)] = &[
    ("1_a.up.sql", "CREATE TABLE a (b int);"),
    ("1_a.down.sql", "DROP TABLE a;"),
    ("2_b.up.sql", "CREATE TABLE b ();"),
    ("2_b.down.sql", "DROP TABLE b;"),
];

/// The document, its times and durations made the same.
fn document(outcome: &Outcome) -> Value {
    fn normalise(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match name.as_str() {
                        "milliseconds" => {
                            assert!(value.is_u64(), "{value}");
                            *value = json!("N");
                        }
                        "applied_at" => {
                            let shape: String = value
                                .as_str()
                                .unwrap()
                                .chars()
                                .map(|c| if c.is_ascii_digit() { '0' } else { c })
                                .collect();
                            *value = json!(shape);
                        }
                        "database" => *value = json!("DATABASE"),
                        _ => normalise(value),
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(normalise),
            _ => {}
        }
    }
    let mut document = outcome.json();
    assert_eq!(document["exit_code"], json!(outcome.code));
    normalise(&mut document);
    document
}

#[test]
fn success_of_every_command_is_one_document() {
    let setup = Setup::with(SCRIPTS);
    let run = |words: &str| document(setup.job(words).env("OUTPUT", "json").run().ok());
    let step = |version: u32, description: &str, direction: &str, status: &str| {
        json!({"version": version, "description": description, "direction": direction, "transactional": true,
               "status": status, "milliseconds": "N"})
    };
    assert_eq!(
        run("upgrade head"),
        json!({"schema_version": 1, "outcome": "done", "exit_code": 0, "command": "upgrade", "database": "DATABASE", "bookkeeping": "\"public\".\"_sqlx_migrations\"", "from": "base",
               "to": 2, "current": 2, "head": 2,
               "steps": [step(1, "a", "up", "done"), step(2, "b", "up", "done")]})
    );
    let row = |version: u32, description: &str, status: &str, last: bool| {
        json!({"version": version, "description": description, "status": status, "applied_at": "0000-00-00T00:00:00Z",
               "milliseconds": "N", "is_current": last, "is_head": last})
    };
    assert_eq!(
        run("history"),
        json!({"schema_version": 1, "outcome": "done", "exit_code": 0, "command": "history", "database": "DATABASE", "bookkeeping": "\"public\".\"_sqlx_migrations\"", "current": 2, "head": 2,
               "migrations": [row(1, "a", "applied", false), row(2, "b", "applied", true)]})
    );
    assert_eq!(
        run("current"),
        json!({"schema_version": 1, "outcome": "done", "exit_code": 0, "command": "current", "database": "DATABASE", "bookkeeping": "\"public\".\"_sqlx_migrations\"", "current": 2, "head": 2,
               "migrations": [row(2, "b", "applied", true)]})
    );
    assert_eq!(
        run("downgrade -1"),
        json!({"schema_version": 1, "outcome": "done", "exit_code": 0, "command": "downgrade", "database": "DATABASE", "bookkeeping": "\"public\".\"_sqlx_migrations\"", "from": 2, "to": 1,
               "current": 1, "head": 2, "steps": [step(2, "b", "down", "done")]})
    );
    assert_eq!(
        run("upgrade 1"),
        json!({"schema_version": 1, "outcome": "done", "exit_code": 0, "command": "upgrade", "database": "DATABASE", "bookkeeping": "\"public\".\"_sqlx_migrations\"", "from": 1, "to": 1,
               "current": 1, "head": 2, "steps": []})
    );
    assert_eq!(
        run("upgrade head --plan")["steps"],
        json!([{"version": 2, "description": "b", "direction": "up", "transactional": true, "status": "planned"}])
    );
    assert_eq!(
        run("stamp base"),
        json!({"schema_version": 1, "outcome": "done", "exit_code": 0, "command": "stamp", "database": "DATABASE", "bookkeeping": "\"public\".\"_sqlx_migrations\"", "from": 1, "to": "base",
               "current": "base", "head": 2, "recorded": ["1 (a) as not applied"]})
    );
}

#[test]
fn a_failed_migration_is_told_with_its_place() {
    let setup = Setup::with(SCRIPTS);
    setup.directory.write("3_c.up.sql", "CREATE TABLE c ();\nSELECT 'ü', none;\n");
    let outcome = setup.job("upgrade head").env("OUTPUT", "json").run();
    assert_eq!(outcome.code, Some(5));
    assert_eq!(
        document(&outcome)["error"],
        json!({"message": "applying 3 (c), statement 2 of 2: column \"none\" does not exist", "version": 3,
               "file": "migrations/3_c.up.sql", "line": 2, "column": 13, "text": "SELECT 'ü', none;", "sqlstate": "42703",
               "state": "it was rolled back; the database is at 2: 2 steps of this run committed, 1 not"})
    );
    let statuses: Vec<Value> =
        outcome.json()["steps"].as_array().unwrap().iter().map(|step| step["status"].clone()).collect();
    assert_eq!(statuses, ["done", "done", "failed"]);

    setup.job("downgrade base").run().ok();
    let outcome = setup.job("upgrade head").env("OUTPUT", "json").env("TRANSACTION", "run").run();
    let statuses: Vec<Value> =
        outcome.json()["steps"].as_array().unwrap().iter().map(|step| step["status"].clone()).collect();
    assert_eq!(statuses, ["rolled_back", "rolled_back", "failed"]);
    assert_eq!(outcome.json()["current"], "base");
}

/// The log held the whole error in one string, with `\\n` for its lines.
#[test]
fn a_failure_in_a_json_log_has_fields() {
    let setup = Setup::with(SCRIPTS);
    setup.directory.write("3_c.up.sql", "CREATE TABLE c ();\nSELECT none;\n");
    let outcome = setup.job("upgrade head").env("LOG_FORMAT", "json").run();
    assert_eq!(outcome.code, Some(5));
    let record: Value = serde_json::from_str(outcome.stderr.lines().last().unwrap()).unwrap();
    for (field, value) in [
        ("level", json!("ERROR")),
        ("exit_code", json!(5)),
        ("version", json!(3)),
        ("file", json!("migrations/3_c.up.sql")),
        ("line", json!(2)),
        ("column", json!(8)),
        ("sqlstate", json!("42703")),
        ("state", json!("it was rolled back; the database is at 2: 2 steps of this run committed, 1 not")),
        ("message", json!("applying 3 (c), statement 2 of 2: column \"none\" does not exist")),
    ] {
        assert_eq!(record[field], value, "{record}");
    }
}

#[test]
fn every_class_of_failure_is_one_document() {
    let setup = Setup::with(SCRIPTS);
    let failed = |job: Job, code: i32, name: &str| {
        let outcome = job.env("OUTPUT", "json").env("LOG_FORMAT", "json").without("RUST_LOG").run();
        assert_eq!(outcome.code, Some(code), "{name}: {}", outcome.stderr);
        let document = document(&outcome);
        assert_eq!(document["outcome"], name);
        assert!(
            document["error"]["message"].as_str().is_some_and(|message| !message.is_empty()),
            "{document}"
        );
        for line in outcome.stderr.lines() {
            assert!(serde_json::from_str::<Value>(line).is_ok(), "{name}: {line}");
        }
    };
    failed(Job::new(""), 2, "usage");
    failed(setup.job("upgrade nowhere"), 2, "usage");
    failed(setup.job("resolve --done"), 2, "usage");
    let unreachable = setup.job("upgrade head").env("POSTGRES_HOST", "127.0.0.1").env("POSTGRES_PORT", "1");
    failed(unreachable.env("CONNECT_TIMEOUT", "50ms"), 3, "unreachable");
    failed(setup.job("upgrade head").env("POSTGRES_PASSWORD", "wrong"), 8, "refused");
    failed(setup.job("current --check"), 9, "pending");
    setup.directory.write("3_c.up.sql", "SELECT none;");
    failed(setup.job("upgrade head"), 5, "failed");
    let mut holder = setup.database.connection();
    setup.database.block_on(sqlx::migrate::Migrate::lock(&mut holder)).unwrap();
    failed(setup.job("upgrade head").env("RUN_LOCK_TIMEOUT", "50ms"), 4, "locked");
    setup.database.block_on(sqlx::migrate::Migrate::unlock(&mut holder)).unwrap();
    setup.directory.write("3_c.up.sql", "-- no-transaction\nCREATE TABLE c ();\nSELECT none;");
    failed(setup.job("upgrade head"), 6, "halfway");
    failed(setup.job("upgrade head"), 6, "halfway");
    setup.job("resolve --done").run().ok();
    setup.directory.write("3_c.up.sql", "SELECT 3;");
    failed(setup.job("upgrade head"), 7, "disagreement");
}

#[test]
fn arguments_that_are_none_are_one_document_too() {
    let outcome = Job::new("upgrade head --no-such-flag").env("OUTPUT", "json").run();
    assert_eq!(outcome.code, Some(2));
    assert_eq!(outcome.json()["outcome"], "usage");
}

#[test]
fn an_interrupted_run_is_one_document() {
    let setup = Setup::with(&[("1_a.up.sql", "SELECT pg_sleep(600);")]);
    let job = setup.job("upgrade head").env("OUTPUT", "json").start();
    crate::support::until("the job sleeps", || setup.database.is_sleeping());
    job.signal("TERM");
    let document = document(&job.wait());
    assert_eq!((&document["outcome"], &document["exit_code"]), (&json!("terminated"), &json!(143)));
}

#[test]
fn a_script_for_psql_stays_a_script() {
    let setup = Setup::with(SCRIPTS);
    let text = setup.job("upgrade --sql base:head").run();
    let json = setup.job("upgrade --sql base:head").env("OUTPUT", "json").run();
    assert_eq!(text.ok().stdout, json.ok().stdout);
}
