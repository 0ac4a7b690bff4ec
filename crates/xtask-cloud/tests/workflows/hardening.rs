//! What no linter asks of a workflow, and act does not look at.

use serde_yaml::Value;

pub(crate) const WORKFLOWS: [(&str, &str); 5] = [
    ("ci", include_str!("../../../../.github/workflows/ci.yml")),
    ("gate", include_str!("../../../../.github/workflows/gate.yml")),
    ("release", include_str!("../../../../.github/workflows/release.yml")),
    ("rollback", include_str!("../../../../.github/workflows/rollback.yml")),
    ("tag", include_str!("../../../../.github/workflows/tag.yml")),
];

pub(crate) fn workflow(name: &str) -> Value {
    let (_, text) = WORKFLOWS.iter().find(|(own, _)| *own == name).unwrap();
    serde_yaml::from_str(text).unwrap()
}

/// The steps of a job, one after the other.
fn steps(job: &Value) -> Vec<Value> {
    job["steps"].as_sequence().unwrap().clone()
}

/// Every job with steps, with its name and that of its workflow in front.
fn jobs() -> Vec<(String, Value)> {
    let all = WORKFLOWS.iter().flat_map(|(name, _)| {
        let workflow = workflow(name);
        let jobs = workflow["jobs"].as_mapping().unwrap().clone();
        jobs.into_iter().map(move |(job, body)| (format!("{name}/{}", job.as_str().unwrap()), body))
    });
    // The others call the gate, and that one has.
    all.filter(|(_, job)| job["uses"].is_null()).collect()
}

/// Those of releases and rollbacks.
fn releasing() -> Vec<(String, Value)> {
    jobs()
        .into_iter()
        .filter(|(name, _)| name.starts_with("release/") || name.starts_with("rollback/"))
        .collect()
}

#[test]
fn nobody_elses_event_starts_a_workflow_with_rights() {
    for (name, events) in [
        ("ci", vec!["pull_request", "push"]),
        ("gate", vec!["workflow_call"]),
        ("release", vec!["workflow_dispatch"]),
        ("rollback", vec!["workflow_dispatch"]),
        ("tag", vec!["push"]),
    ] {
        let workflow = workflow(name);
        let own: Vec<_> =
            workflow["on"].as_mapping().unwrap().keys().map(|event| event.as_str().unwrap()).collect();
        assert_eq!(own, events, "{name}");
        assert_eq!(
            workflow["permissions"].as_mapping().unwrap().len(),
            0,
            "{name} gives rights to every job"
        );
    }
}

/// The code of a tag ran before anything had looked where the tag was.
#[test]
fn the_gate_runs_no_code_of_the_repository_and_may_only_read() {
    let (_, gate) = jobs().into_iter().find(|(name, _)| name == "gate/gate").unwrap();
    let read: Value = serde_yaml::from_str("{contents: read}").unwrap();
    assert_eq!(gate["permissions"], read);
    let steps = steps(&gate);
    assert!(steps[0]["uses"].as_str().unwrap().starts_with("actions/checkout@"));
    assert_eq!(steps[0]["with"]["ref"], "refs/heads/main");
    assert_eq!(steps.len(), 2);
    assert_eq!(script_runs(steps[1]["run"].as_str().unwrap()), None);
    for name in ["release", "rollback"] {
        let gate = &workflow(name)["jobs"]["gate"];
        assert_eq!(gate["uses"], "$/.github/workflows/gate.yml", "{name}");
        assert_eq!(gate["permissions"], read, "{name}");
        assert!(gate["needs"].is_null() && gate["if"].is_null(), "{name}");
    }
}

#[test]
fn what_runs_at_a_tag_can_do_nothing_but_start_a_workflow() {
    let job = workflow("tag")["jobs"]["start"].clone();
    let start: Value = serde_yaml::from_str("{actions: write}").unwrap();
    assert_eq!(job["permissions"], start);
    let steps = steps(&job);
    assert_eq!(steps.len(), 1);
    assert!(steps[0]["uses"].is_null());
    assert!(steps[0]["run"].as_str().unwrap().contains("--ref refs/heads/main"));
}

/// Jobs after the approval took what the tag named by then.
#[test]
fn every_job_of_a_release_or_rollback_checks_out_the_commit_that_the_gate_let_through() {
    let jobs = releasing();
    assert_eq!(jobs.len(), 5);
    for (name, job) in jobs {
        let needs: Vec<String> = serde_yaml::from_value(match &job["needs"] {
            Value::String(one) => Value::Sequence(vec![Value::String(one.clone())]),
            several => several.clone(),
        })
        .unwrap();
        assert!(needs.contains(&"gate".to_owned()), "{name} does not wait for the gate");
        let condition = job["if"].as_str().unwrap_or_default();
        assert!(
            !condition.contains("always()") || condition.contains("needs.gate.result == 'success'"),
            "{name} runs what the gate refused"
        );
        for (variable, output) in [("COMMIT", "commit"), ("REF", "ref"), ("TAG", "tag")] {
            assert_eq!(job["env"][variable], format!("${{{{ needs.gate.outputs.{output} }}}}"), "{name}");
        }
        let steps = steps(&job);
        let checkouts = steps.iter().filter(|step| {
            step["uses"].as_str().is_some_and(|action| action.starts_with("actions/checkout@"))
        });
        assert_eq!(checkouts.count(), 1, "{name}");
        assert_eq!(steps[0]["with"]["ref"], "${{ needs.gate.outputs.commit }}", "{name}");
        assert_eq!(steps[0]["with"]["fetch-depth"], 0, "{name} needs the tags");
        // `./` would be the action of the very checkout that it looks at, and `@` whatever a name stands for by then.
        assert_eq!(steps[1]["uses"], "$/.github/actions/gated", "{name}");
        for input in ["commit", "ref"] {
            assert_eq!(steps[1]["with"][input], format!("${{{{ needs.gate.outputs.{input} }}}}"), "{name}");
        }
        assert!(steps[1]["if"].is_null() && steps[1]["continue-on-error"].is_null(), "{name}");
    }
}

/// It stands in front of everything that a job runs, so it must be nobody's but the workflow's own.
#[test]
fn what_looks_at_a_checkout_runs_nothing_of_it() {
    let action = include_str!("../../../../.github/actions/gated/action.yml");
    let action: Value = serde_yaml::from_str(action).unwrap();
    let steps = action["runs"]["steps"].as_sequence().unwrap();
    assert_eq!(steps.len(), 1);
    let script = steps[0]["run"].as_str().unwrap();
    assert_eq!(script_runs(script), None);
    for (_, text) in WORKFLOWS {
        assert!(!text.contains("uses: ./"), "it would be that of the checkout");
    }
}

/// What it runs of a repository, if anything.
fn script_runs(script: &str) -> Option<&'static str> {
    let programs = ["cargo", "./", "source ", "eval", "npm", "make", "python"];
    assert!(!script.contains("${{"), "what others chose is no part of the script");
    programs.into_iter().find(|program| script.contains(program))
}

/// What was looked at and what was attested could be two images.
#[test]
fn what_is_attested_was_compared_and_is_kept_in_the_registry_too() {
    let mut number = 0;
    for (name, job) in jobs() {
        let steps = steps(&job);
        let is =
            |step: &Value, action: &str| step["uses"].as_str().is_some_and(|uses| uses.starts_with(action));
        let login = steps.iter().position(|step| step["run"] == "cargo xtask ecr-login");
        for (place, step) in steps.iter().enumerate().filter(|(_, step)| is(step, "actions/attest@")) {
            number += 1;
            assert_eq!(step["with"]["push-to-registry"], true, "{name}");
            let from = step["with"]["subject-digest"].as_str().unwrap().replace("digest", "reference");
            let mut bills = steps.iter().filter(|step| step["env"]["REFERENCE"] == from.as_str());
            let bill =
                bills.next().unwrap_or_else(|| panic!("{name}: no bill of materials names what is attested"));
            assert_eq!(bill["run"], "cargo xtask sbom \"$REFERENCE\" > run-migrations.spdx.json");
            assert!(login.is_some_and(|login| login < place), "{name} attests without a login");
        }
    }
    assert_eq!(number, 2, "a release builds nothing");
    let digest = "${{ steps.attestation.outputs.digest }}";
    let (_, push) = jobs().into_iter().find(|(name, _)| name == "ci/push").unwrap();
    assert!(steps(&push).iter().all(|step| {
        let attested = &step["with"]["subject-digest"];
        attested.is_null() || attested == digest
    }));
    let release = include_str!("../../../../.github/workflows/release.yml");
    assert!(release.contains("push-image --tag \"$TAG\" --expect \"$DIGEST\""));
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
    let manifest = include_str!("../../../../k8s/base/job.yaml");
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
