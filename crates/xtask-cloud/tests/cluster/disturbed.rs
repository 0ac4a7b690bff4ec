//! Runs that are evicted, left, found again and deleted.

use std::io::{BufRead, BufReader};

use serde_json::json;

use crate::support::await_some;
use crate::support::outcome::{interrupt, wait};
use crate::support::programs::{kubectl, output};
use crate::support::site::{Site, migrations};

fn evict(site: &Site, pod: &str) {
    let path = format!("/api/v1/namespaces/{}/pods/{pod}/eviction", site.namespace);
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": site.namespace}});
    output(kubectl(&site.namespace).args(["create", "--raw", &path, "-f", "-"]), &eviction.to_string());
}

#[test]
fn an_evicted_pod_is_replaced_and_followed_on() {
    let site = Site::new("eviction");
    let lock = site.hold_run_lock();
    let run = site.start("");
    let first = site.await_pod_at_lock(None);
    evict(&site, &first);
    let second = site.await_pod_at_lock(Some(&first));
    assert_ne!(first, second);
    drop(lock);
    let out = wait(run).exited(0).said(&["EvictionByEvictionAPI"]);
    assert!(out.stdout.contains("(head)"), "{}", out.stdout);
    assert_eq!(site.applied(), migrations());
    let failed = "jsonpath={.items[0].status.failed}";
    assert_eq!(site.kubectl(&["get", "jobs", "--output", failed]), "", "an eviction is not counted");
}

#[test]
fn a_run_is_left_found_again_and_seen_to_its_end() {
    let site = Site::new("attach");
    let lock = site.hold_run_lock();
    let detached =
        site.run("--detach").exited(0).said(&["Started migrate-upgrade-", "to attach", "kubectl delete job"]);
    let job = detached.stdout.trim().to_owned();
    let pod = site.await_pod_at_lock(None);

    let mut follower = site.start("");
    // What comes when it follows.
    let mut said = BufReader::new(follower.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.any(|line| line.contains(&format!("to {job} in namespace"))));
    assert!(said.any(|line| line.contains("waiting for the run lock")));
    interrupt(&follower);
    assert!(said.any(|line| line.contains("the Job goes on without us")));
    assert_eq!(follower.wait().unwrap().code(), Some(130));
    assert_eq!(site.await_pod_at_lock(None), pod, "it goes on");

    let last = site.start("");
    drop(lock);
    let out = wait(last).exited(0).said(&["Attached to"]);
    assert_eq!(out.stdout.matches("  applied  ").count(), migrations(), "{}", out.stdout);
    assert_eq!(site.kubectl(&["get", "jobs", "--output", "name"]), format!("job.batch/{job}"));
}

#[test]
fn a_job_that_somebody_deletes_is_no_success() {
    let site = Site::new("deleted");
    let _lock = site.hold_run_lock();
    let run = site.start("");
    site.await_pod_at_lock(None);
    site.kubectl(&["delete", "jobs", "--all", "--wait=false"]);
    wait(run).exited(1).said(&["was deleted by somebody else while it was followed"]);
    await_some("the end of the session", || {
        let sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'run-migrations%' \
                        AND datname = current_database()";
        (site.query(sessions) == "0").then_some(())
    });
    assert_eq!(site.applied(), 0);
}

/// A Job of the run's name was attached to whatever it ran.
#[test]
fn another_job_of_the_same_name_is_left_alone() {
    let site = Site::new("stranger");
    let mut stranger: serde_json::Value =
        serde_yaml::from_str(&site.run("--dry-run").exited(0).stdout).unwrap();
    // It runs nothing, but is under way.
    stranger["spec"]["suspend"] = json!(true);
    let name = stranger["metadata"]["name"].as_str().unwrap().to_owned();
    let create = |job: &serde_json::Value, manager: &str| {
        let mut create = kubectl(&site.namespace);
        output(create.args(["create", "-f", "-", "--field-manager", manager]), &job.to_string());
    };
    create(&stranger, "run-migrations");
    site.run("--detach").exited(0).said(&["Attached to"]);
    site.kubectl(&["delete", "job", &name]);
    create(&stranger, "somebody");
    site.run("").exited(1).said(&["is not this run", "manager is \"somebody\", not \"run-migrations\""]);
    site.kubectl(&["delete", "job", &name]);
    stranger["spec"]["template"]["spec"]["containers"][0]["args"][0] = json!("downgrade");
    create(&stranger, "run-migrations");
    for words in ["", "--detach"] {
        site.run(words).exited(1).said(&["is not this run", "args[0] is \"downgrade\", not \"upgrade\""]);
    }
    assert_eq!(site.kubectl(&["get", "jobs", "--output", "name"]), format!("job.batch/{name}"));
}
