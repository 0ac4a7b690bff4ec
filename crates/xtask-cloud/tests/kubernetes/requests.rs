//! What is refused before or by the API server, and that no more is asked than the Role of k8s/release allows.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use crate::following::succeed;
use crate::support::api::{Api, Fault, Rule};
use crate::support::outcome::wait;
use crate::support::program::{DIGEST, run};

fn refusing(on: &'static str, code: u16, message: &'static str) -> Api {
    Api::start(vec![Rule { on, times: 99, fault: Fault::Refuse { code, message } }], succeed)
}

#[test]
fn refusals_name_the_right_that_is_missing() {
    let create =
        "jobs.batch is forbidden: User \"ci\" cannot create resource \"jobs\" in API group \"batch\"";
    let pods = "pods is forbidden: User \"ci\" cannot list resource \"pods\" in API group \"\"";
    for (on, code, message, said) in [
        ("POST ", 403, create, "not allowed to create jobs"),
        ("GET ?/pods?limit", 403, pods, "not allowed to list and watch pods"),
        ("POST ", 403, "exceeded quota: count/jobs.batch", "raise the ResourceQuota"),
        ("POST ", 404, "namespaces \"site\" not found", "kubectl create namespace site"),
        ("POST ", 422, "Job.batch \"x\" is invalid: spec.backoffLimit", "the API server finds the Job wrong"),
        ("GET ?/jobs/", 401, "Unauthorized", "sign in again"),
    ] {
        let out = run(&refusing(on, code, message), "").exited(1).said(&[message, said]);
        assert_eq!(out.stdout, "");
        let goes_on = out.stderr.contains("the Job goes on without us");
        assert_eq!(goes_on, on.contains("pods"), "{}", out.stderr);
    }
    let out = run(&refusing("POST ", 403, create), "").exited(1);
    assert!(out.stderr.contains("kubectl apply -k k8s/release --namespace site"), "{}", out.stderr);
}

#[test]
fn without_events_a_run_is_followed_all_the_same() {
    let message = "events is forbidden: User \"ci\" cannot list resource \"events\" in API group \"\"";
    run(&refusing("GET ?/events?", 403, message), "")
        .exited(0)
        .said(&["list and watch events", "goes on without"]);
}

#[test]
fn what_can_be_known_before_is_refused_before() {
    let api = Api::start(vec![], succeed);
    for (words, said) in [
        ("downgrade -1", "depends on where the database is"),
        ("downgrade base", "pass --yes"),
        ("upgrade head --detach", "put it before the command"),
        ("--context nowhere", "no usable context \"nowhere\""),
        ("--start-timeout soon", "is no duration"),
        ("--platform linux/arm64", "--platform: the image of a run in a cluster is built already"),
        ("--postgres-image postgres:16", "--postgres-image: a run in a cluster starts no local PostgreSQL"),
        ("--manifests k8s/secret.example.yaml --dry-run", "cannot be used multiple times"),
    ] {
        let out = run(&api, words);
        assert!(matches!(out.code, Some(1 | 2)), "{words}: {out:?}");
        out.said(&[said]);
    }
    assert!(api.requests().is_empty(), "{:?}", api.requests());
}

/// What was typed in the wrong place, beside what else is wrong.
#[test]
fn all_mistakes_are_told_in_one_go() {
    let api = Api::start(vec![], succeed);
    run(&api, "--namespace Bad_NS --start-timeout 0s --platform linux/arm64 downgrade -1 --yes --json")
        .exited(1)
        .said(&[
            "6 settings are wrong",
            "--yes: not an option of the job; put it before the command",
            "--json: not an option",
            "--platform: the image",
            "--namespace: no namespace is called \"Bad_NS\"",
            "--start-timeout: the start timeout \"0s\"",
            "COMMAND: revision -1 depends on where the database is",
        ]);
    assert!(api.requests().is_empty(), "{:?}", api.requests());
}

#[test]
fn what_is_of_a_cluster_alone_is_refused_elsewhere_if_it_was_typed() {
    let here = |words: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask-cloud"));
        command.arg("run-migrations").args(words.split_whitespace()).env("KUBERNETES_NAMESPACE", "site");
        wait(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    };
    let out = here("--context live --manifests k8s --start-timeout 1m --dry-run=server current --yes")
        .exited(1)
        .said(&[
            "5 settings are wrong",
            "--yes: not an option of the job",
            "--context: this goes with --on kubernetes",
            "--manifests: this",
            "--start-timeout: this",
            "--dry-run=server: this goes with --on kubernetes; no server is asked here",
        ]);
    assert!(!out.stderr.contains("--namespace"), "{}", out.stderr);
    here("--namespace other --dry-run").exited(1).said(&["a setting is wrong: --namespace: this goes with"]);
    here("--dry-run").exited(0).said(&["Would run"]);
}

/// Whoever set a variable had a Job of theirs run with the deployer's rights.
#[test]
fn a_workflow_runs_no_manifests_of_elsewhere() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let outside = std::env::temp_dir().join(format!("job-{}.yaml", std::process::id()));
    std::fs::copy(root.join("k8s/base/job.yaml"), &outside).unwrap();
    let dots = "../".repeat(root.ancestors().count());
    let run = |manifests: &str, in_workflow: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask-cloud"));
        let image = format!("host.example/job@{DIGEST}");
        command
            .args([
                "run-migrations",
                "--on",
                "kubernetes",
                "--dry-run",
                "--namespace",
                "site",
                "--image",
                &image,
            ])
            .env("KUBERNETES_MANIFESTS", manifests)
            .env("GITHUB_ACTIONS", in_workflow)
            .env_remove("GITHUB_STEP_SUMMARY")
            .stdin(Stdio::null());
        wait(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    };
    let refused = "are not in the checkout, where they are reviewed; a workflow runs no others";
    let above = format!("k8s/{dots}{}", outside.display());
    for manifests in [outside.to_str().unwrap(), &above, root.join("k8s/base/job.yaml").to_str().unwrap()] {
        run(manifests, "true").exited(1).said(&[refused]);
        run(manifests, "false").exited(0);
    }
    run("k8s/base/job.yaml", "true").exited(0);
    std::fs::remove_file(outside).unwrap();
}

/// The verbs of the requests, as RBAC counts them, are those of the Role and no more.
#[test]
fn the_role_of_the_workflow_is_enough() {
    let role = include_str!("../../../../k8s/release/role.yaml");
    let role: serde_json::Value = serde_yaml::from_str(role).unwrap();
    let words = |value: &serde_json::Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let mut allowed = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        for resource in words(&rule["resources"]) {
            allowed.extend(words(&rule["verbs"]).into_iter().map(|verb| format!("{verb} {resource}")));
        }
    }
    let api = Api::start(vec![], succeed);
    run(&api, "").exited(0);
    run(&api, "").exited(0);
    let asked: BTreeSet<_> = api.requests().iter().map(|request| right(request)).collect();
    let beyond: Vec<_> = asked.difference(&allowed).collect();
    assert!(beyond.is_empty(), "{beyond:?}");
    let idle: Vec<_> = allowed.difference(&asked).collect();
    assert!(idle.is_empty(), "the Role allows what is not needed: {idle:?}");
}

fn right(request: &str) -> String {
    let (method, target) = request.split_once(' ').unwrap();
    let (path, query) = target.split_once('?').unwrap();
    let words: Vec<_> = path.split('/').skip_while(|word| *word != "namespaces").skip(2).collect();
    let verb = match (method, words.len()) {
        ("POST", _) => "create",
        ("DELETE", _) => "delete",
        (_, 1) if query.contains("watch=true") => "watch",
        (_, 1) => "list",
        _ => "get",
    };
    match words.as_slice() {
        [resource, _, below] => format!("{verb} {resource}/{below}"),
        [resource, ..] => format!("{verb} {resource}"),
        [] => format!("{verb} {path}"),
    }
}
