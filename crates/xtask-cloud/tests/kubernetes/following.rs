//! A run as it should be: started, followed, attached to, left.

use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use serde_json::json;

use crate::support::api::{Api, Fault, Rule};
use crate::support::outcome::{interrupt, wait};
use crate::support::program::{DIGEST, REPORT, TABLE, command, run, verdict, whole_report};

pub(crate) fn soon() {
    sleep(Duration::from_millis(30));
}

/// The cluster does what it should.
pub(crate) fn succeed(api: &Api, job: &str) {
    let pod = api.pod(job, "a");
    soon();
    api.state(&pod, "Pending", json!({"waiting": {"reason": "ContainerCreating"}}));
    soon();
    api.running(&pod);
    api.log(&pod, r#"{"timestamp":"2026-11-23T12:00:10Z","level":"INFO","message":"waiting for the server at db:5432","target":"x"}"#);
    for line in REPORT {
        soon();
        api.log(&pod, line);
    }
    api.end(&pod, 0, "Completed", &verdict());
    api.condition(job, "SuccessCriteriaMet", "CompletionsReached", "");
    soon();
    api.condition(job, "Complete", "CompletionsReached", "");
}

#[test]
fn a_run_is_followed_to_its_end() {
    let api = Api::start(vec![], succeed);
    let out = run(&api, "").exited(0).printed(&whole_report());
    let out = out.said(&[
        "Started migrate-upgrade-",
        "in namespace site of http://127.0.0.1",
        "scheduled on node-1",
        " INFO waiting for the server at db:5432",
    ]);
    assert!(!out.stderr.contains("12:00:1"), "the times of the log are not shown: {}", out.stderr);
    let names = api.job_names();
    let job = api.object("jobs", &names[0]);
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], format!("host.example/job@{DIGEST}"));
    assert_eq!(container["args"], json!(["upgrade", "head"]));
}

#[test]
fn a_run_that_is_under_way_is_attached_to() {
    let api = Api::start(vec![], |api, job| {
        api.wait_for("GET ?/pods?watch=true");
        succeed(api, job);
    });
    run(&api, "--detach").exited(0).said(&["Detached", "to attach", "kubectl delete job migrate-upgrade-"]);
    let name = api.job_names().remove(0);
    let detached = run(&api, "--detach").exited(0).said(&["Attached to"]);
    assert_eq!(detached.stdout, format!("{name}\n"));
    run(&api, "").exited(0).printed(&whole_report());
    assert_eq!(api.count("POST "), 1, "{:?}", api.requests());
}

#[test]
fn a_finished_run_says_nothing_about_the_present_and_runs_again() {
    let api = Api::start(vec![], succeed);
    run(&api, "").exited(0);
    run(&api, "").exited(0).printed(&whole_report()).said(&["in the place of a finished one"]);
    assert_eq!(api.count("POST "), 2);
    assert_eq!(api.count("DELETE "), 1);
}

#[test]
fn another_revision_is_another_job() {
    let api = Api::start(vec![], succeed);
    run(&api, "upgrade 20260608081522").exited(0);
    run(&api, "upgrade 20260608093047").exited(0);
    run(&api, "--yes downgrade base").exited(0);
    let names = api.job_names();
    assert_eq!(names.len(), 3);
    assert!(names[0].starts_with("migrate-downgrade-"), "{names:?}");
}

#[test]
fn ctrl_c_detaches_and_says_how_to_come_back() {
    let api = Api::start(vec![], |api, job| {
        let pod = api.pod(job, "a");
        api.running(&pod);
        api.log(&pod, REPORT[0]);
    });
    let child = command(&api, "").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    api.wait_for("GET ?/log?follow=true");
    sleep(Duration::from_millis(300));
    interrupt(&child);
    let out =
        wait(child).exited(130).said(&["Detached the Job goes on without us", "the same command again"]);
    assert_eq!(out.stdout, format!("{}\n", REPORT[0]));
    assert!(out.stderr.contains(&format!("kubectl delete job {} --namespace site", api.job_names()[0])));
    assert_eq!(api.count("DELETE "), 0);
}

/// A node that is gone may hold the last lines back; nobody has to wait for them.
#[test]
fn ctrl_c_ends_the_wait_for_the_last_lines() {
    let rules = vec![Rule { on: "GET ?/log?", times: 99, fault: Fault::HangAfter(1) }];
    let api = Api::start(rules, succeed);
    let child = command(&api, "").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Its pods are listed once more when the Job is finished.
    api.wait_for("GET ?/pods?&labelSelector=");
    sleep(Duration::from_millis(300));
    let start = std::time::Instant::now();
    interrupt(&child);
    let out = wait(child).exited(0);
    assert!(start.elapsed() < Duration::from_secs(15), "it waited on: {}", out.stderr);
    assert!(out.stdout.ends_with(TABLE), "the verdict tells what the log did not: {}", out.stdout);
}

#[test]
fn an_answer_that_is_lost_is_no_second_run() {
    let rules = vec![Rule { on: "POST ", times: 1, fault: Fault::Lose }];
    let api = Api::start(rules, succeed);
    run(&api, "").exited(0).printed(&whole_report()).said(&["Started migrate-upgrade-"]);
    assert_eq!(api.job_names().len(), 1);
}

#[test]
fn a_dry_run_needs_no_cluster() {
    let api = Api::start(vec![], succeed);
    let out = run(&api, "--dry-run --namespace other").exited(0);
    let job: serde_json::Value = serde_yaml_of(&out.stdout);
    assert_eq!(job["metadata"]["namespace"], "other");
    assert_eq!(job["kind"], "Job");
    assert!(api.requests().is_empty());
    // What would run, to the letter.
    let (here, there) = (run(&api, "--dry-run").exited(0), run(&api, "--dry-run=server").exited(0));
    assert_eq!(here.stdout, there.stdout);
    there.said(&["the API server accepts it"]);
    assert_eq!(api.count("POST /apis/batch/v1/namespaces/site/jobs?&dryRun=All"), 1, "{:?}", api.requests());
    assert!(api.job_names().is_empty());
}

fn serde_yaml_of(text: &str) -> serde_json::Value {
    serde_yaml::from_str(text).unwrap()
}
