//! What a person sees who sits before it.

use crate::following::succeed;
use crate::support::api::Api;
use crate::support::program::{REPORT, typing};

#[test]
fn a_downgrade_asks_and_takes_a_yes() {
    let api = Api::start(vec![], succeed);
    let out = typing(&api, "downgrade base", "yes\n").exited(0);
    assert!(
        out.stdout.contains("run downgrade base in namespace site of http://127.0.0.1"),
        "{}",
        out.stdout
    );
    assert!(out.stdout.contains("yes or no"), "{}", out.stdout);
    assert_eq!(api.job_names().len(), 1);
}

#[test]
fn everything_but_a_yes_is_a_no() {
    for answer in ["no\n", "y\n", "\n", "\u{4}"] {
        let api = Api::start(vec![], succeed);
        let out = typing(&api, "downgrade base", answer).exited(1);
        assert!(out.stdout.contains("aborted: not confirmed"), "{answer:?}: {}", out.stdout);
        assert!(api.requests().is_empty(), "{:?}", api.requests());
    }
}

/// The line of status comes and goes between what stays.
#[test]
fn one_line_tells_how_far_it_is() {
    let api = Api::start(vec![], |api, job| {
        let pod = api.pod(job, "a");
        std::thread::sleep(std::time::Duration::from_millis(400));
        api.running(&pod);
        api.wait_for("GET ?/log?follow=true");
        for line in &REPORT[..2] {
            api.log(&pod, line);
        }
        std::thread::sleep(std::time::Duration::from_millis(600));
        api.log(&pod, REPORT[2]);
        api.log(&pod, REPORT[3]);
        api.end(&pod, 0, "Completed", &crate::support::program::verdict());
        api.condition(job, "Complete", "CompletionsReached", "");
    });
    let out = typing(&api, "", "").exited(0);
    let shown = out.stdout.replace("\r\n", "\n");
    for passing in ["scheduled on node-1", "applying 2 of 2"] {
        assert!(shown.contains(passing), "{passing:?} is not in:\n{shown}");
        assert!(!shown.contains(&format!("{passing}\n")), "it is a line of its own:\n{shown}");
    }
    for line in REPORT {
        assert!(shown.contains(&format!("{line}\n")), "{line:?} is not in:\n{shown}");
    }
}
