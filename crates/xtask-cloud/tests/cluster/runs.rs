//! Runs as they should be.

use serde_json::json;

use crate::support::site::{Site, migrations};

#[test]
fn an_empty_database_is_brought_to_head_and_back() {
    let site = Site::new("runs");
    let out = site.run("").exited(0).said(&["Started migrate-upgrade-", "scheduled on "]);
    assert_eq!(out.stdout.matches("  applied  ").count(), migrations(), "{}", out.stdout);
    assert!(out.stdout.contains("(head)"), "{}", out.stdout);
    assert_eq!(site.applied(), migrations());

    let again = site.run("upgrade head").exited(0).said(&["in the place of a finished one"]);
    assert!(again.stdout.contains("nothing to do"), "{}", again.stdout);

    let current = site.run("current").exited(0);
    assert!(current.stdout.contains("(head)"), "{}", current.stdout);

    site.run("downgrade base").exited(1).said(&["say --yes"]);
    let back = site.run("--yes downgrade base").exited(0);
    assert_eq!(back.stdout.matches("reverted").count(), migrations(), "{}", back.stdout);
    assert_eq!(site.applied(), 0);
    site.run("current --check").exited(9);
}

#[test]
fn the_api_server_checks_a_run_without_making_it() {
    let site = Site::new("dry-run");
    let out = site.run("--dry-run=server").exited(0).said(&["the API server accepts it"]);
    assert!(out.stdout.contains("kind: Job"), "{}", out.stdout);
    assert_eq!(site.kubectl(&["get", "jobs", "--output", "name"]), "");
}

/// What a Job says of its pods is only warned about; the pods themselves are refused.
#[test]
fn the_manifests_meet_the_restricted_standard() {
    let site = Site::new("standard");
    let enforce = "pod-security.kubernetes.io/enforce=restricted";
    site.kubectl(&["label", "namespace", &site.namespace, enforce, "--overwrite"]);
    let mut pod = site.job()["spec"]["template"].clone();
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = json!("checked");
    pod["spec"]["hostNetwork"] = json!(false);
    site.apply(&pod);
    site.kubectl(&["delete", "pod", "checked", "--wait=false"]);
}
