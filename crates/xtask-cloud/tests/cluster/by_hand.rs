//! The manifests without our program, and an application that waits for its schema.

use serde_json::json;

use crate::support::await_some;
use crate::support::site::{Site, migrations};

#[test]
fn kubectl_applies_the_job_and_applies_it_again() {
    let site = Site::new("by-hand");
    let overlay = site.overlay().display().to_string();
    for _ in 0..2 {
        site.kubectl(&["delete", "job", "run-migrations", "--ignore-not-found"]);
        site.kubectl(&["apply", "-k", &overlay]);
        site.kubectl(&["wait", "--for=condition=Complete", "job/run-migrations", "--timeout=120s"]);
    }
    assert_eq!(site.applied(), migrations());
    let log = site.kubectl(&["logs", "job/run-migrations"]);
    assert!(log.contains("nothing to do"), "{log}");
}

#[test]
fn an_application_waits_for_its_schema() {
    let site = Site::new("waiting");
    let mut pod = site.job()["spec"]["template"].clone();
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = json!("application");
    let mut waits = pod["spec"]["containers"][0].clone();
    waits["name"] = json!("schema");
    waits["args"] = json!(["current", "--check", "--wait", "10m"]);
    pod["spec"]["initContainers"] = json!([waits]);
    // Stands in for the application.
    pod["spec"]["containers"][0]["args"] = json!(["--help"]);
    site.apply(&pod);
    let phase = || site.kubectl(&["get", "pod", "application", "--output", "jsonpath={.status.phase}"]);
    let init = "jsonpath={.status.initContainerStatuses[0].state.running.startedAt}";
    await_some("the init container", || {
        (!site.kubectl(&["get", "pod", "application", "--output", init]).is_empty()).then_some(())
    });
    assert_eq!(phase(), "Pending");
    site.run("").exited(0);
    await_some("the application", || (phase() == "Succeeded").then_some(()));
}
