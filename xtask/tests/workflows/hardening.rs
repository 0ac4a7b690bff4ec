//! What no linter asks of a workflow, and act does not look at.

use serde_yaml::Value;

const WORKFLOWS: [(&str, &str); 3] = [
    ("ci", include_str!("../../../.github/workflows/ci.yml")),
    ("release", include_str!("../../../.github/workflows/release.yml")),
    ("rollback", include_str!("../../../.github/workflows/rollback.yml")),
];

fn workflow(name: &str) -> Value {
    let (_, text) = WORKFLOWS.iter().find(|(own, _)| *own == name).unwrap();
    serde_yaml::from_str(text).unwrap()
}

/// Every job, with its name and that of its workflow in front.
fn jobs() -> Vec<(String, Value)> {
    let all = WORKFLOWS.iter().flat_map(|(name, _)| {
        let workflow = workflow(name);
        let jobs = workflow["jobs"].as_mapping().unwrap().clone();
        jobs.into_iter().map(move |(job, body)| (format!("{name}/{}", job.as_str().unwrap()), body))
    });
    all.collect()
}

#[test]
fn releases_and_rollbacks_stand_in_one_line_and_none_is_dropped_or_stopped() {
    let line: Value = serde_yaml::from_str("{group: database, queue: max}").unwrap();
    assert_eq!(workflow("release")["concurrency"], line);
    assert_eq!(workflow("rollback")["concurrency"], line);
}

#[test]
fn no_job_waits_for_ever() {
    let jobs = jobs();
    let endless: Vec<_> =
        jobs.iter().filter(|(_, job)| job["timeout-minutes"].is_null()).map(|(name, _)| name).collect();
    assert_eq!(endless, Vec::<&String>::new());
}

#[test]
fn the_job_in_the_cluster_ends_before_the_workflow_that_follows_it() {
    let manifest = include_str!("../../../k8s/base/job.yaml");
    let manifest: Value = serde_yaml::from_str(manifest).unwrap();
    let deadline = manifest["spec"]["activeDeadlineSeconds"].as_u64().unwrap() / 60;
    for (name, job) in [("release", "deploy"), ("rollback", "downgrade")] {
        let limit = workflow(name)["jobs"][job]["timeout-minutes"].as_u64().unwrap();
        // A runner compiles before it begins. GitHub's own runners are taken away after 360 minutes.
        assert!(deadline + 30 <= limit && limit < 360, "{job}: {deadline} and {limit} minutes");
        let steps = workflow(name)["jobs"][job]["steps"].clone();
        let mut durations =
            steps.as_sequence().unwrap().iter().map(|step| &step["with"]["role-duration-seconds"]);
        let seconds = durations.find_map(Value::as_u64).unwrap();
        // `setup github` makes the deployer's role for as long.
        assert!(limit * 60 <= seconds && seconds == 21600, "{job}: {limit} minutes and {seconds} seconds");
    }
}

#[test]
fn the_kubeconfig_of_a_runner_of_ones_own_is_left_alone() {
    let mut number = 0;
    for (_, text) in WORKFLOWS {
        for line in text.lines().filter(|line| line.contains("aws eks update-kubeconfig")) {
            assert!(line.ends_with("--kubeconfig \"$RUNNER_TEMP/kubeconfig\""), "{line}");
            number += 1;
        }
    }
    assert_eq!(number, 2);
}

#[test]
fn what_reaches_ecr_or_the_cluster_comes_from_no_cache() {
    let jobs = jobs();
    let cached: Vec<_> = jobs
        .iter()
        .filter(|(_, job)| {
            let steps = job["steps"].as_sequence().unwrap();
            steps.iter().any(|step| step["uses"].as_str().is_some_and(|action| action.contains("cache")))
        })
        .map(|(name, job)| (&**name, job["permissions"]["id-token"].is_null()))
        .collect();
    assert!(!cached.is_empty());
    for (name, is_powerless) in cached {
        assert!(name.starts_with("ci/") && is_powerless, "{name} uses a cache, and gets a token of AWS");
    }
}
