//! Connections that break and pods that go away: nothing is lost, nothing comes twice.

use std::time::Duration;

use serde_json::Value;

use crate::following::succeed;
use crate::support::api::{Api, Fault, Rule};
use crate::support::program::{REPORT, TABLE, run, verdict, whole_report};

#[test]
fn a_watch_that_is_cut_goes_on() {
    for fault in [Fault::CutAfter(0), Fault::CutAfter(1), Fault::BreakAfter(1)] {
        for on in ["GET ?/jobs?watch=true", "GET ?/pods?watch=true"] {
            let rules = vec![Rule { on, times: 2, fault: fault.clone() }];
            run(&Api::start(rules, succeed), "").exited(0).printed(&whole_report());
        }
    }
}

/// kubelet turns logs around, nodes restart, proxies time out: the stream ends, and the container goes on.
#[test]
fn a_log_stream_that_ends_early_loses_no_line() {
    for lines in 0..=5 {
        for fault in [Fault::CutAfter(lines), Fault::BreakAfter(lines)] {
            let rules = vec![Rule { on: "GET ?/log?follow=true", times: 1, fault }];
            run(&Api::start(rules, succeed), "").exited(0).printed(&whole_report());
        }
    }
}

/// A way to a node can be lost without a word to either side.
#[test]
fn a_log_stream_that_falls_silent_loses_no_line() {
    let rules = vec![Rule { on: "GET ?/log?follow=true", times: 1, fault: Fault::HangAfter(2) }];
    run(&Api::start(rules, succeed), "").exited(0).printed(&whole_report());
}

/// Somebody else's same command may replace it as soon as it is finished.
#[test]
fn a_job_that_is_gone_once_it_is_finished_has_ended_as_it_said() {
    let api = Api::start(vec![], |api, job| {
        let pod = api.pod(job, "a");
        api.running(&pod);
        for line in REPORT {
            api.log(&pod, line);
        }
        api.wait_for("GET ?/log?follow=true");
        api.condition(job, "Complete", "CompletionsReached", "");
        api.remove("jobs", job);
        std::thread::sleep(Duration::from_millis(500));
        api.end(&pod, 0, "Completed", &verdict());
    });
    run(&api, "").exited(0).printed(&whole_report());
}

#[test]
fn lines_that_come_with_the_end_are_not_lost() {
    // The container ends between two streams: what it wrote last is read afterwards.
    let rules = vec![Rule { on: "GET ?/log?follow=true", times: 1, fault: Fault::CutAfter(1) }];
    let api = Api::start(rules, |api, job| {
        let pod = api.pod(job, "a");
        api.running(&pod);
        api.log(&pod, REPORT[0]);
        api.wait_for("GET ?/log?follow=true");
        for line in &REPORT[1..] {
            api.log(&pod, line);
        }
        api.end(&pod, 0, "Completed", &verdict());
        api.condition(job, "Complete", "CompletionsReached", "");
    });
    run(&api, "").exited(0).printed(&whole_report());
}

#[test]
fn without_the_right_to_logs_the_verdict_tells_the_same() {
    let message = "pods \"a\" is forbidden: User \"ci\" cannot get resource \"pods/log\" in API group \"\"";
    let rules = vec![Rule { on: "GET ?/log?", times: 9, fault: Fault::Refuse { code: 403, message } }];
    run(&Api::start(rules, succeed), "")
        .exited(0)
        .printed(TABLE)
        .said(&["is not whole", "not allowed to get pods/log"]);
}

#[test]
fn a_pod_that_is_replaced_is_followed_on() {
    let api = Api::start(vec![], |api, job| {
        let first = api.pod(job, "a");
        api.running(&first);
        api.log(&first, REPORT[0]);
        api.wait_for("GET ?/log?follow=true");
        std::thread::sleep(Duration::from_millis(200));
        // drained: the job rolls back, and the pod goes
        api.disrupt(&first, "EvictionByEvictionAPI", "Eviction API: evicting");
        api.end(&first, 143, "Error", &Value::Null);
        // which takes its time, and is seen
        std::thread::sleep(Duration::from_millis(500));
        api.remove("pods", &first);
        succeed_as(api, job, "b");
    });
    let out = run(&api, "").exited(0).said(&["ended with exit code 143", "EvictionByEvictionAPI"]);
    assert_eq!(out.stdout, format!("{}\n{}", REPORT[0], whole_report()));
}

fn succeed_as(api: &Api, job: &str, suffix: &str) {
    let pod = api.pod(job, suffix);
    api.running(&pod);
    for line in REPORT {
        api.log(&pod, line);
    }
    api.end(&pod, 0, "Completed", &verdict());
    api.condition(job, "Complete", "CompletionsReached", "");
}

#[test]
fn an_api_server_that_stumbles_is_asked_again() {
    let stumble = Fault::Refuse { code: 500, message: "etcdserver: leader changed" };
    let rules = vec![
        Rule { on: "GET ?/pods?limit", times: 1, fault: stumble.clone() },
        Rule { on: "GET ?/log?", times: 1, fault: stumble },
    ];
    run(&Api::start(rules, succeed), "")
        .exited(0)
        .printed(&whole_report())
        .said(&["leader changed", "trying again"]);
}
