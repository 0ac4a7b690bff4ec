//! Runs that can't succeed: the exit code is the job's own, and what Kubernetes would try for hours is given up.

use serde_json::json;

use crate::support::site::Site;

#[test]
fn a_failing_migration_is_tried_once() {
    let site = Site::new("failing");
    site.query("CREATE TABLE contacts (id bigint)");
    let out = site.run("").exited(5).said(&[
        "error: the job ended with exit code 5",
        "relation \"contacts\" already exists",
        "42P07",
    ]);
    assert!(!out.stdout.contains("  applied  "), "{}", out.stdout);
    assert_eq!(site.applied(), 0);
    assert_eq!(site.kubectl(&["get", "pods", "--output", "name"]).lines().count(), 1);
}

#[test]
fn a_wrong_password_is_tried_once() {
    let site = Site::new("password");
    site.kubectl(&["delete", "secret", "run-migrations"]);
    let wrong = ["--from-literal=username=nobody-such", "--from-literal=password=wrong"];
    site.kubectl(&[&["create", "secret", "generic", "run-migrations"], &wrong[..]].concat());
    let out = site.run("").exited(8);
    assert!(!format!("{}{}", out.stdout, out.stderr).contains("wrong"), "{}", out.stderr);
    assert_eq!(site.kubectl(&["get", "pods", "--output", "name"]).lines().count(), 1);
}

#[test]
fn a_placeholder_is_no_password() {
    let site = Site::new("placeholder");
    site.kubectl(&["delete", "secret", "run-migrations"]);
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../k8s/secret.example.yaml");
    site.kubectl(&["apply", "-f", example]);
    site.run("").exited(2);
}

/// Each of them leaves no Job behind that would start by itself once the cause is mended.
#[test]
fn what_will_not_pass_is_given_up_with_its_reason() {
    let site = Site::new("given-up");
    let pinned = format!("host.invalid/run-migrations@sha256:{}", "0".repeat(64));
    for (words, said) in [
        (format!("--image {pinned} --start-timeout 10s"), ["the image can't be pulled", "host.invalid"]),
        ("--image not-loaded:anywhere".to_owned(), ["ErrImageNeverPull", "load the image into the nodes"]),
    ] {
        site.run(&words).exited(1).said(&said).said(&["was deleted, so that it does not start by itself"]);
    }
    site.kubectl(&["delete", "secret", "run-migrations"]);
    site.run("").exited(1).said(&["secret \"run-migrations\" not found", "k8s/secret.example.yaml"]);
    site.create_secret("run-migrations");
    site.kubectl(&["create", "quota", "none", "--hard=pods=0"]);
    site.run("").exited(1).said(&["no pod can be made", "exceeded quota", "ResourceQuota"]);
    site.await_no_job();
    site.kubectl(&["delete", "quota", "none"]);
    site.run("").exited(0);
}

#[test]
fn a_missing_key_of_the_secret_is_named() {
    let site = Site::new("key");
    site.kubectl(&[
        "patch",
        "secret",
        "run-migrations",
        "--type=json",
        "--patch",
        r#"[{"op": "remove", "path": "/data/password"}]"#,
    ]);
    site.run("").exited(1).said(&["couldn't find key password", "k8s/secret.example.yaml"]);
}

#[test]
fn a_pod_that_breaks_the_standard_is_explained() {
    let patch = json!({"op": "add", "path": "/spec/template/spec/hostPID", "value": true});
    let site = Site::with("security", &[patch]);
    let enforce = "pod-security.kubernetes.io/enforce=restricted";
    site.kubectl(&["label", "namespace", &site.namespace, enforce, "--overwrite"]);
    site.run("").exited(1).said(&["no pod can be made", "violates PodSecurity", "take out of the overlay"]);
}

#[test]
fn a_pod_that_no_node_takes_is_given_up_after_a_while() {
    let nowhere = json!({"op": "add", "path": "/spec/template/spec/nodeSelector/nowhere", "value": "true"});
    let site = Site::with("nowhere", &[nowhere]);
    site.run("--start-timeout 3s").exited(1).said(&["no node takes the pod", "make room"]);
    site.await_no_job();
}

#[test]
fn the_deadline_is_named() {
    let deadline = json!({"op": "replace", "path": "/spec/activeDeadlineSeconds", "value": 20});
    let site = Site::with("deadline", &[deadline]);
    let _lock = site.hold_run_lock();
    site.run("").exited(143).said(&["activeDeadlineSeconds"]);
    assert_eq!(site.applied(), 0);
}

#[test]
fn a_program_that_gets_too_little_memory_is_given_up() {
    let memory = |of: &str, value: &str| json!({"op": "replace", "path": format!("/spec/template/spec/containers/0/resources/{of}/memory"), "value": value});
    let site = Site::with("memory", &[memory("limits", "1Mi"), memory("requests", "1Mi")]);
    site.run("").exited(1).said(&["OOM-killed", "raise resources.limits.memory"]);
    site.await_no_job();
}
