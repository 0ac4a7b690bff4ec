//! ci.yml: what waits for what, and what main pushes.

use crate::stage::Stage;
use crate::support::Run;

#[test]
fn the_gate_waits_for_every_other_job() {
    let text = include_str!("../../../../.github/workflows/ci.yml");
    let workflow: serde_yaml::Value = serde_yaml::from_str(text).unwrap();
    let jobs = workflow["jobs"].as_mapping().unwrap();
    let mut others: Vec<_> =
        jobs.keys().map(|name| name.as_str().unwrap()).filter(|name| *name != "gate").collect();
    let mut needed: Vec<_> =
        jobs["gate"]["needs"].as_sequence().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    others.sort_unstable();
    needed.sort_unstable();
    assert_eq!(needed, others);
}

/// What takes minutes, or what only GitHub has, is done by nobody here.
fn without_substance(test: &str) -> Stage {
    let stage = Stage::set(test);
    for task in ["lint", "test", "build-image"] {
        stage.instead(task, "");
    }
    let cargo = std::env::var("CARGO").unwrap();
    let own = format!(
        "case \"$1\" in install|deny) echo \"$GITHUB_JOB: $*\" >> \"$GH_STATE/tasks\";; *) exec {cargo} \"$@\";; esac"
    );
    stage.tree.scratch.program("cargo", &own);
    stage
}

/// How the job ended that branch protection names; None if it never ran.
fn gate(out: &Run) -> Option<bool> {
    let end = out.stdout.lines().find(|line| line.starts_with("[ci/ci ") && line.contains("🏁"))?;
    Some(end.contains("Job succeeded"))
}

#[test]
fn main_is_pushed_after_every_other_job_and_a_pull_request_never() {
    let stage = without_substance("order");
    let digest = stage.push_from_ci();
    let out = stage.ci_of_main().succeeded();
    let tasks = stage.github("tasks");
    let (before, push) = tasks.split_once("push: push-image\n").unwrap();
    // Without the version that is installed.
    let mut before: Vec<_> = before.lines().filter_map(|line| line.split('@').next()).collect();
    before.sort_unstable();
    assert_eq!(
        before,
        [
            "dependencies: deny --workspace --all-features check",
            "dependencies: install --locked cargo-deny",
            "image: build-image",
            "kubernetes: kind run-migrations",
            "kubernetes: test --kubernetes --install",
            "lint: lint",
            "test: test --all --install",
            "test: test --faults",
        ],
        "{}",
        out.stdout
    );
    assert_eq!(push, "push: attestation --gate own\n");
    assert_eq!(stage.repository.digest("latest"), Some(digest));

    assert_eq!(gate(&out), Some(true), "{}", out.stdout);

    let out = stage.ci_of_pull_request().succeeded();
    assert_eq!(gate(&out), Some(true), "{}", out.stdout);
    assert_eq!(stage.github("roles"), "push pusher\n", "a pull request takes no role: {}", out.stdout);
}

#[test]
fn one_job_that_fails_keeps_the_image_back_and_closes_the_gate() {
    let stage = without_substance("gate");
    stage.push_from_ci();
    stage.instead("build-image", "exit 1");
    let out = stage.ci_of_main();
    assert_ne!(out.code, Some(0), "{}", out.stdout);
    assert_eq!(gate(&out), Some(false), "{}", out.stdout);
    assert_eq!(stage.github("roles"), "", "{}", out.stdout);
}
