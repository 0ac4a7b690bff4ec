//! What decides who may do what stands in a file of main. The gate's own script reads it here, in a repository of the
//! test's own, without act.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::hardening::{WORKFLOWS, workflow};
use crate::support::{Run, Scratch, run};

/// Before anybody has set anything.
const EMPTY: &str = include_str!("../../src/setup/delivery.env");
/// As this repository has it.
const OWN: &str = include_str!("../../../../.github/delivery.env");

const GOOD: &str = "\
REPOSITORY=site/run-migrations
AWS_REGION=eu-west-1
ECR_REPOSITORY=site/run-migrations
AWS_ROLE_PUSHER=arn:aws:iam::123456789012:role/pusher
AWS_ROLE_PROMOTER=arn:aws:iam::123456789012:role/promoter
AWS_ROLE_READER=arn:aws:iam::123456789012:role/reader
AWS_ROLE_DEPLOYER=arn:aws:iam::123456789012:role/deployer
DEPLOY=kubernetes
";

/// A repository that is its own origin, with this file on main.
struct Main(Scratch);

impl Main {
    fn with(delivery: &str) -> Self {
        let main = Self(Scratch::new());
        main.git("init --quiet --initial-branch main");
        main.commit(delivery);
        main
    }

    fn git(&self, words: &str) -> String {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=test", "-c", "user.email=test@localhost"]).args(words.split(' '));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GIT_")) {
            git.env_remove(name);
        }
        run(git.current_dir(self.0.path())).succeeded().stdout.trim().to_owned()
    }

    fn file(&self) -> std::path::PathBuf {
        self.0.path().join(".github/delivery.env")
    }

    fn commit(&self, delivery: &str) {
        std::fs::create_dir_all(self.file().parent().unwrap()).unwrap();
        std::fs::write(self.file(), delivery).unwrap();
        self.commit_all();
    }

    fn commit_all(&self) {
        self.git("add --all .github");
        self.git("commit --quiet --allow-empty --message Change");
        self.git("update-ref refs/remotes/origin/main HEAD");
    }

    /// The gate, for a run that was started at main as it is.
    fn gate(&self, kind: &str, tag: &str) -> (Run, BTreeMap<String, String>) {
        self.gate_of(kind, tag, &self.git("rev-parse main"))
    }

    /// The gate, for a run that was started at this commit.
    fn gate_of(&self, kind: &str, tag: &str, commit: &str) -> (Run, BTreeMap<String, String>) {
        let output = self.0.write("output", "");
        let gate = workflow("gate")["jobs"]["gate"].clone();
        let step = gate["steps"].as_sequence().unwrap().iter().find(|step| step["id"] == "gate").unwrap();
        let mut bash = Command::new("bash");
        bash.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"].as_str().unwrap()])
            .current_dir(self.0.path())
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap())
            .env("GITHUB_OUTPUT", &output)
            .env("GITHUB_STEP_SUMMARY", self.0.path().join("summary"))
            .env("GITHUB_REPOSITORY", "site/run-migrations");
        for (name, value) in step["env"].as_mapping().unwrap() {
            let (name, value) = (name.as_str().unwrap(), value.as_str().unwrap());
            bash.env(
                name,
                match name {
                    "KIND" => kind,
                    "TAG" => tag,
                    "REVISION" => "base",
                    "RUN_REF" => "refs/heads/main",
                    "RUN_COMMIT" => commit,
                    "VISIBILITY" => "private",
                    _ => value,
                },
            );
        }
        let run = run(&mut bash);
        let output = std::fs::read_to_string(output).unwrap();
        let output = output.lines().filter_map(|line| line.split_once('='));
        (run, output.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }
}

/// Whoever has `write` may set variables of the repository: with ATTESTATIONS=off, or the role of an account of theirs, an
/// image of theirs was verified and deployed.
#[test]
fn no_workflow_reads_a_variable_of_the_repository() {
    for (name, text) in WORKFLOWS {
        for (number, line) in text.lines().enumerate() {
            let is_read = line.contains("vars.") || line.contains("vars[") || line.contains("toJSON(vars");
            assert!(!is_read, "{name}.yml, line {}: {line}", number + 1);
        }
    }
    // Nor any that is not listed here.
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.github/workflows");
    assert_eq!(std::fs::read_dir(here).unwrap().count(), WORKFLOWS.len());
}

#[test]
fn what_nobody_has_filled_in_takes_no_role_and_releases_nothing() {
    let main = Main::with(EMPTY);
    let (run, output) = main.gate("push", "");
    run.succeeded();
    assert_eq!(output["AWS_ROLE_PUSHER"], "");
    assert_eq!((&*output["DEPLOY"], &*output["ATTESTATIONS"], &*output["account"]), ("none", "on", ""));
    let (run, _) = main.gate("rehearsal", "");
    assert_ne!(run.code, Some(0));
    assert!(run.stdout.contains(".github/delivery.env does not set AWS_REGION"), "{}", run.stdout);
}

/// Before it is merged: afterwards the gate would refuse every release.
#[test]
fn the_file_of_this_repository_is_understood() {
    let (run, _) = Main::with(OWN).gate("push", "");
    run.succeeded();
}

#[test]
fn what_is_set_is_handed_on_and_every_key_is() {
    let main = Main::with(&format!("# A comment\n\n{GOOD}KUBERNETES_MANIFESTS=k8s/overlays/site_1"));
    let (run, output) = main.gate("rehearsal", "");
    run.succeeded();
    assert_eq!(output["AWS_ROLE_READER"], "arn:aws:iam::123456789012:role/reader");
    assert_eq!(output["account"], "123456789012");
    assert_eq!(output["KUBERNETES_MANIFESTS"], "k8s/overlays/site_1", "the last line has no end");
    let gate = workflow("gate");
    for line in EMPTY.lines().filter(|line| !line.starts_with('#')) {
        let Some((key, _)) = line.split_once('=').filter(|(key, _)| *key != "REPOSITORY") else { continue };
        let step = format!("${{{{ steps.gate.outputs.{key} }}}}");
        assert_eq!(gate["jobs"]["gate"]["outputs"][key], step.as_str());
        let job = format!("${{{{ jobs.gate.outputs.{key} }}}}");
        assert_eq!(gate["on"]["workflow_call"]["outputs"][key]["value"], job.as_str());
    }
}

#[test]
fn a_line_that_is_not_understood_stops_everything() {
    let other = "AWS_ROLE_PUSHER=arn:aws:iam::210987654321:role/pusher";
    for (line, why) in [
        ("ATTESTATIONS=of", "ATTESTATIONS is not understood"),
        ("ATTESTATIONS=off # for now", "ATTESTATIONS is not understood"),
        ("ATTESTATIONS=\"off\"", "ATTESTATIONS is not understood"),
        ("ATTESTATION=off", "the key is not known"),
        ("PATH=/tmp", "the key is not known"),
        (" DEPLOY=none", "it is neither KEY=value nor a comment"),
        ("DEPLOY=none", "DEPLOY is there already"),
        ("deploy=none", "it is neither KEY=value nor a comment"),
        ("EKS_CLUSTER=a b", "EKS_CLUSTER is not understood"),
        ("EKS_CLUSTER=--help", "EKS_CLUSTER is not understood"),
        ("EKS_CLUSTER=$(id)", "EKS_CLUSTER is not understood"),
        ("ENVIRONMENT=a\r", "ENVIRONMENT is not understood"),
        ("ENVIRONMENT= a", "ENVIRONMENT is not understood"),
        ("DEPLOY_RUNNER=[self-hosted]", "DEPLOY_RUNNER is not understood"),
        ("KUBERNETES_NAMESPACE=Site", "KUBERNETES_NAMESPACE is not understood"),
        ("KUBERNETES_MANIFESTS=/tmp/job.yaml", "KUBERNETES_MANIFESTS is not understood"),
        ("KUBERNETES_MANIFESTS=k8s/../../job.yaml", "KUBERNETES_MANIFESTS is not understood"),
        ("KUBERNETES_MANIFESTS=k8s//job.yaml", "KUBERNETES_MANIFESTS is not understood"),
        ("::add-mask::a", "it is neither KEY=value nor a comment"),
    ] {
        let (run, output) = Main::with(&format!("{GOOD}{line}\n")).gate("rehearsal", "");
        assert_ne!(run.code, Some(0), "{line}");
        let lines = GOOD.lines().count() + 1;
        let why =
            format!("::error title=Refused::.github/delivery.env of main has no good line {lines}: {why}");
        assert!(run.stdout.contains(&why), "{line}: {}", run.stdout);
        assert!(run.stdout.lines().all(|line| line.starts_with("::error title=Refused::")), "{}", run.stdout);
        assert!(output.is_empty(), "{line}: {output:?}");
    }
    for (line, why) in [
        (other, "The roles of .github/delivery.env are of several accounts"),
        ("AWS_ROLE_PUSHER=pusher", "AWS_ROLE_PUSHER is not understood"),
        ("AWS_ROLE_PUSHER=arn:aws:sts::123456789012:role/x", "AWS_ROLE_PUSHER is not understood"),
    ] {
        let text = GOOD.replace("AWS_ROLE_PUSHER=arn:aws:iam::123456789012:role/pusher", line);
        let (run, _) = Main::with(&text).gate("push", "");
        assert!(run.code != Some(0) && run.stdout.contains(why), "{line}: {}", run.stdout);
    }
    for (key, kind) in
        [("AWS_ROLE_READER", "rehearsal"), ("AWS_ROLE_DEPLOYER", "rehearsal"), ("AWS_REGION", "push")]
    {
        let text: String =
            GOOD.lines().filter(|line| !line.starts_with(key)).map(|line| format!("{line}\n")).collect();
        let (run, _) = Main::with(&text).gate(kind, "");
        let why = format!("delivery.env does not set {key}");
        assert!(run.code != Some(0) && run.stdout.contains(&why), "{key}: {}", run.stdout);
    }
}

/// An older tag may have another file, and whoever makes a tag chooses which.
#[test]
fn the_file_is_mains_whatever_the_tag_has() {
    let main = Main::with(&format!("{GOOD}ATTESTATIONS=off\n"));
    main.git("tag v1.0.0");
    main.commit(&format!("{GOOD}ATTESTATIONS=on\n"));
    // Nor is it what the checkout happens to hold.
    std::fs::write(main.file(), "ATTESTATIONS=off\n").unwrap();
    let (run, output) = main.gate("rollback", "v1.0.0");
    run.succeeded();
    assert_eq!(output["ATTESTATIONS"], "on");
    assert_eq!(output["commit"], main.git("rev-parse v1.0.0"));
}

/// Whoever has `write` may run an older run again for a month: it went by what main had said then, an image that nobody
/// had attested included.
#[test]
fn the_file_is_mains_of_now_when_an_older_run_is_run_again() {
    let main = Main::with(&format!("{GOOD}ATTESTATIONS=off\n"));
    main.git("tag v1.0.0");
    let older = main.git("rev-parse main");
    main.commit(&format!("{}ATTESTATIONS=on\n", GOOD.replace("role/pusher", "role/other")));
    for (kind, tag) in [("release", "v1.0.0"), ("rollback", "v1.0.0"), ("rehearsal", ""), ("push", "")] {
        let (run, output) = main.gate_of(kind, tag, &older);
        run.succeeded();
        assert_eq!(output["ATTESTATIONS"], "on", "{kind}");
        assert_eq!(output["AWS_ROLE_PUSHER"], "arn:aws:iam::123456789012:role/other", "{kind}");
        assert_eq!(output["commit"], older, "{kind}");
    }
}

#[test]
fn a_link_is_no_file_and_a_commit_is_what_its_bytes_say() {
    let main = Main::with(GOOD);
    // A commit that says it is another one.
    let first = main.git("rev-parse main");
    main.commit(&format!("{GOOD}ATTESTATIONS=off\n"));
    let second = main.git("rev-parse main");
    main.git(&format!("update-ref refs/heads/main {first}"));
    main.git(&format!("update-ref refs/remotes/origin/main {first}"));
    main.git(&format!("replace {first} {second}"));
    let (run, output) = main.gate("rehearsal", "");
    run.succeeded();
    assert_eq!(output.get("ATTESTATIONS"), None);

    let main = Main::with(GOOD);
    // One that nobody has merged becomes a parent of main.
    main.git("checkout --quiet --orphan evil");
    main.git("commit --quiet --message Evil");
    main.git("tag v9.9.9");
    let evil = main.git("rev-parse HEAD");
    main.git("checkout --quiet main");
    let grafts = format!("{} {evil}\n", main.git("rev-parse main"));
    std::fs::create_dir_all(main.0.path().join(".git/info")).unwrap();
    std::fs::write(main.0.path().join(".git/info/grafts"), grafts).unwrap();
    let (run, _) = main.gate("release", "v9.9.9");
    assert!(run.stdout.contains("The commit of v9.9.9 is not on main"), "{}\n{}", run.stdout, run.stderr);

    let main = Main::with(GOOD);
    std::fs::rename(main.file(), main.0.path().join(".github/other")).unwrap();
    std::os::unix::fs::symlink("other", main.file()).unwrap();
    main.commit_all();
    let (run, _) = main.gate("rehearsal", "");
    assert!(run.stdout.contains("main has no file .github/delivery.env"), "{}", run.stdout);
}

/// A fork has the file, and would ask for the roles of the repository that it is a copy of.
#[test]
fn a_fork_pushes_and_releases_nothing() {
    let main = Main::with(&GOOD.replace("site/run-migrations\nAWS", "other/run-migrations\nAWS"));
    let (run, output) = main.gate("push", "");
    run.succeeded();
    assert!(!output.contains_key("AWS_ROLE_PUSHER") && output["account"].is_empty(), "{output:?}");
    let (run, _) = main.gate("rehearsal", "");
    assert!(run.stdout.contains("is for the repository other/run-migrations"), "{}", run.stdout);
}

/// The registry of another account would be looked into, and its images run.
#[test]
fn what_asks_the_registry_is_told_the_account_of_the_roles() {
    for (name, job, gate) in [
        ("ci", "push", "delivery"),
        ("release", "image", "gate"),
        ("release", "deploy", "gate"),
        ("rollback", "plan", "gate"),
        ("rollback", "downgrade", "gate"),
    ] {
        let environment = &workflow(name)["jobs"][job]["env"];
        for (variable, output) in [("ECR_ACCOUNT", "account"), ("ECR_REPOSITORY", "ECR_REPOSITORY")] {
            let from = format!("${{{{ needs.{gate}.outputs.{output} }}}}");
            assert_eq!(environment[variable], from.as_str(), "{name}/{job}");
        }
    }
}

/// Every job looks again, as a tag may have gone since: git then takes another one that is called like it.
#[test]
fn a_tag_that_is_gone_is_not_another_one_of_a_longer_name() {
    let action = include_str!("../../../../.github/actions/gated/action.yml");
    let action: serde_yaml::Value = serde_yaml::from_str(action).unwrap();
    let script = action["runs"]["steps"][0]["run"].as_str().unwrap();
    let main = Main::with(GOOD);
    let commit = main.git("rev-parse HEAD");
    let gated = |reference: &str| {
        let mut bash = Command::new("bash");
        bash.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script]).current_dir(main.0.path());
        run(bash.env("COMMIT", &commit).env("REF", reference))
    };
    main.git("tag --annotate v1.0.0 --message Release");
    gated("refs/tags/v1.0.0").succeeded();
    gated("refs/heads/main").succeeded();
    main.git("update-ref refs/tags/refs/tags/v1.0.0 HEAD");
    main.git("tag --delete v1.0.0");
    let out = gated("refs/tags/v1.0.0");
    assert!(out.code != Some(0) && out.stdout.contains("the tag was moved"), "{}", out.stdout);
    main.git("tag v1.0.0");
    main.commit(EMPTY);
    let out = gated("refs/heads/main");
    assert!(out.code != Some(0) && out.stdout.contains("the checkout is not"), "{}", out.stdout);
}
