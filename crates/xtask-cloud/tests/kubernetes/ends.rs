//! How runs end that don't succeed: exit code, reason, next step, and what is left in the cluster.

use serde_json::{Value, json};

use crate::support::api::{Api, Fault, Rule};
use crate::support::program::{SECOND_BEGINS, failed, run, verdict};

#[test]
fn the_exit_code_is_the_jobs_own() {
    for (code, reason) in [(5, "PodFailurePolicy"), (4, "BackoffLimitExceeded"), (2, "PodFailurePolicy")] {
        let api = Api::start(vec![], move |api, job| {
            let pod = api.pod(job, "a");
            api.running(&pod);
            api.log(
                &pod,
                r#"{"level":"ERROR","message":"applying 1 (a): no such table\n  = state: as before"}"#,
            );
            api.end(
                &pod,
                code,
                "Error",
                &failed(u8::try_from(code).unwrap(), "applying 1 (a): no such table"),
            );
            api.condition(job, "FailureTarget", reason, "why");
            api.condition(job, "Failed", reason, "why");
        });
        run(&api, "").exited(code).said(&[
            "ERROR applying 1 (a): no such table\n  = state: as before",
            &format!("error: the job ended with exit code {code}"),
        ]);
        assert_eq!(api.count("DELETE "), 0, "a failed Job stays to be looked at");
    }
}

#[test]
fn an_attempt_that_may_be_repeated_is() {
    let api = Api::start(vec![], |api, job| {
        let pod = api.pod(job, "a");
        api.running(&pod);
        api.log(&pod, "first");
        api.end(&pod, 4, "Error", &failed(4, "no lock"));
        let pod = api.pod(job, "b");
        api.running(&pod);
        api.log(&pod, "second");
        api.end(&pod, 0, "Completed", &verdict());
        api.condition(job, "Complete", "CompletionsReached", "");
    });
    let out = run(&api, "").exited(0).said(&["ended with exit code 4 (Error)"]);
    let mut lines: Vec<_> = out.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["first", "second"]);
}

/// What will not pass is given up at once, and the Job with it: it would start by itself once the cause is mended.
#[test]
fn what_will_not_pass_is_given_up_with_the_job() {
    let waiting = |reason: &str, message: &str| json!({"waiting": {"reason": reason, "message": message}});
    for (state, said) in [
        (
            waiting("ErrImagePull", "host.example/job@sha256:e3: not found"),
            ["(ErrImagePull)", "cargo xtask images"],
        ),
        (waiting("ImagePullBackOff", "401 Unauthorized"), ["401 Unauthorized", "imagePullSecrets"]),
        (
            waiting("CreateContainerConfigError", "secret \"run-migrations\" not found"),
            ["secret \"run-migrations\" not found", "k8s/secret.example.yaml"],
        ),
        (
            waiting("RunContainerError", "exec /run-migrations: exec format error"),
            ["exec format error", "--platform"],
        ),
        (
            json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}}),
            ["want of memory (exit code 137, limit 64Mi)", "limits.memory"],
        ),
    ] {
        let api = Api::start(vec![], move |api, job| {
            let pod = api.pod(job, "a");
            if state["terminated"].is_object() {
                api.end(&pod, 137, "OOMKilled", &Value::Null);
            } else {
                api.state(&pod, "Pending", state.clone());
            }
        });
        let out = run(&api, "")
            .exited(1)
            .said(&said)
            .said(&["was deleted, so that it does not start by itself later"]);
        assert_eq!(out.stdout, "");
        assert!(api.job_names().is_empty());
    }
}

#[test]
fn a_pod_that_can_not_be_made_is_explained_by_events() {
    for (message, said) in [
        ("Error creating: pods \"a\" is forbidden: exceeded quota: small", "ResourceQuota"),
        (
            "Error creating: pods \"a\" is forbidden: violates PodSecurity \"restricted:latest\"",
            "restricted standard",
        ),
    ] {
        let api = Api::start(vec![], move |api, job| {
            let uid = api.object("jobs", job)["metadata"]["uid"].clone();
            api.event("Job", "other", &json!("uid-of-another"), "FailedCreate", "not about this one");
            api.event("Job", job, &uid, "FailedCreate", message);
        });
        let out = run(&api, "").exited(1).said(&["no pod can be made", message, said]);
        assert!(!out.stderr.contains("not about this one"), "{}", out.stderr);
    }
}

#[test]
fn what_may_pass_is_waited_for_with_patience() {
    let api = Api::start(vec![], |api, job| {
        let pod = api.pod(job, "a");
        api.put_unschedulable(&pod);
    });
    run(&api, "--start-timeout 1s")
        .exited(1)
        .said(&["waiting for a node", "no node takes the pod: 0/3 nodes are available"]);
}

/// Where events may not be read, nothing else tells that a pod is refused.
#[test]
fn a_pod_that_is_never_made_is_waited_for_with_patience() {
    let message = "events is forbidden: User \"ci\" cannot list resource \"events\" in API group \"\"";
    let forbidden = Rule { on: "GET ?/events?", times: 99, fault: Fault::Refuse { code: 403, message } };
    let api = Api::start(vec![forbidden], |_, _| {});
    run(&api, "--start-timeout 1s").exited(1).said(&[
        "waiting for a pod",
        "no pod was made for the Job within 1s; next: `kubectl get events --namespace site",
        "was deleted",
    ]);
    assert!(api.job_names().is_empty());
}

#[test]
fn the_deadline_is_named() {
    let api = Api::start(vec![], |api, job| {
        let pod = api.pod(job, "a");
        api.running(&pod);
        api.wait_for("GET ?/log?follow=true");
        api.end(&pod, 143, "Error", &failed(143, "terminated"));
        // Its pods are deleted before it says so.
        api.remove("pods", &pod);
        api.condition(job, "Failed", "DeadlineExceeded", "Job was active longer than specified deadline");
    });
    run(&api, "").exited(143).said(&["activeDeadlineSeconds"]);
}

#[test]
fn a_job_that_is_deleted_by_somebody_else_is_no_success() {
    let api = Api::start(vec![], |api, job| {
        let pod = api.pod(job, "a");
        api.running(&pod);
        api.log(&pod, "upgrade from base to 2: 2 migrations");
        api.log(&pod, SECOND_BEGINS);
        api.wait_for("GET ?/log?follow=true");
        std::thread::sleep(std::time::Duration::from_millis(300));
        api.end(&pod, 143, "Error", &failed(143, "terminated"));
        api.remove("pods", &pod);
        api.remove("jobs", job);
    });
    run(&api, "")
        .exited(1)
        .said(&["was deleted by somebody else while it was followed (last seen: applying 2 (b), 2 of 2)"]);
}
