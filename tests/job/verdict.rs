//! In a cluster the last word is left where kubelet reads it, in at most 4096 bytes.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Job, Setup};

fn within_cluster(setup: &Setup, job: Job) -> Job {
    let log = setup.directory.path().join("termination-log");
    fs::write(&log, "").unwrap();
    job.env("KUBERNETES_SERVICE_HOST", "10.0.0.1").env("TERMINATION_MESSAGE_PATH", log.to_str().unwrap())
}

fn verdict(setup: &Setup) -> Value {
    let text = fs::read_to_string(setup.directory.path().join("termination-log")).unwrap();
    assert!(text.len() <= 4096, "{} bytes", text.len());
    serde_json::from_str(&text).unwrap()
}

#[test]
fn success_and_failure_leave_a_verdict() {
    let setup = Setup::with(&[("1_a.up.sql", "SELECT 1;"), ("2_b.up.sql", "SELECT 2;")]);
    within_cluster(&setup, setup.job("upgrade head")).run().ok();
    let mut left = verdict(&setup);
    for row in left["migrations"].as_array_mut().unwrap() {
        assert!(row.as_object_mut().unwrap().remove("milliseconds").unwrap().is_u64());
    }
    assert!(left.as_object_mut().unwrap().remove("database").unwrap().is_string());
    assert_eq!(
        left,
        json!({"schema_version": 1, "outcome": "done", "exit_code": 0, "command": "upgrade", "bookkeeping": "\"public\".\"_sqlx_migrations\"",
               "from": "base", "to": 2, "current": 2, "head": 2,
               "steps": 2, "done": 2, "message": "",
               "migrations": [{"version": 1, "description": "a", "status": "done"},
                              {"version": 2, "description": "b", "status": "done"}]})
    );
    setup.directory.write("3_c.up.sql", "SELECT 1 / 0;");
    setup.directory.write("4_d.up.sql", "SELECT 1;");
    within_cluster(&setup, setup.job("upgrade head")).run().fails(5, "division by zero");
    let verdict = verdict(&setup);
    assert_eq!(
        (&verdict["outcome"], &verdict["exit_code"], &verdict["current"]),
        (&json!("failed"), &json!(5), &json!(2))
    );
    assert_eq!((&verdict["steps"], &verdict["done"]), (&json!(2), &json!(0)));
    assert_eq!(verdict["migrations"], json!([{"version": 3, "description": "c", "status": "failed"}]));
    assert!(
        verdict["message"].as_str().unwrap().starts_with("applying 3 (c): division by zero\n"),
        "{verdict}"
    );
}

#[test]
fn a_long_message_is_cut_to_what_kubernetes_keeps() {
    let setup = Setup::with(&[(
        "1_a.up.sql",
        "DO $$ BEGIN RAISE EXCEPTION USING MESSAGE = repeat(E'ü\"\\n\\u0001', 5000); END $$;",
    )]);
    within_cluster(&setup, setup.job("upgrade head")).run().fails(5, "");
    assert_eq!(verdict(&setup)["exit_code"], 5);
}

#[test]
fn a_wrong_configuration_leaves_a_verdict_too() {
    let setup = Setup::with(&[]);
    within_cluster(&setup, Job::new("")).run().fails(2, "COMMAND: is missing");
    assert_eq!(verdict(&setup)["outcome"], "usage");
}

#[test]
fn arguments_that_are_none_leave_a_verdict_too() {
    let setup = Setup::with(&[]);
    within_cluster(&setup, Job::new("upgrade head --no-such-flag")).run().fails(2, "--no-such-flag");
    assert_eq!(verdict(&setup)["outcome"], "usage");
}

#[test]
fn a_verdict_that_can_not_be_left_changes_nothing() {
    let setup = Setup::with(&[("1_a.up.sql", "SELECT 1;")]);
    let job = setup.job("upgrade head").env("KUBERNETES_SERVICE_HOST", "10.0.0.1");
    let outcome = job.env("TERMINATION_MESSAGE_PATH", "/nonexistent/log").run();
    assert_eq!(outcome.ok().stderr, "");
}

#[test]
fn outside_a_cluster_the_file_is_not_ours() {
    let setup = Setup::with(&[("1_a.up.sql", "SELECT 1;")]);
    within_cluster(&setup, setup.job("upgrade head")).without("KUBERNETES_SERVICE_HOST").run().ok();
    assert_eq!(fs::read_to_string(setup.directory.path().join("termination-log")).unwrap(), "");
}
