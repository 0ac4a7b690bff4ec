//! `release`: everything is checked, then the tag; `attestation`: who vouches for the image; `plan`
//! and `page`: what a reader gets.

use serde_json::json;

use crate::support::emulator::{Repository, address};
use crate::support::run;
use crate::support::tree::Tree;

const RUNS: &str = "repos/site/run-migrations/actions/workflows/ci.yml/runs";

/// The tag an image of this tree has.
fn identity(tree: &Tree) -> String {
    let out = run(&mut tree.xtask("push-image --dry-run", "127.0.0.1:9")).succeeded();
    out.stderr.trim().rsplit("identity ").next().unwrap().to_owned()
}

#[test]
fn everything_that_is_missing_is_said_at_once_and_nothing_tagged() {
    let tree = Tree::copy();
    let repository = Repository::created("release-missing", "MUTABLE");
    tree.git(&["checkout", "--quiet", "-b", "side"]);
    std::fs::write(tree.root().join("new.txt"), "x").unwrap();
    tree.answer(RUNS, &json!({"workflow_runs": [{"status": "in_progress", "html_url": "https://run"}]}));
    let mut command = tree.xtask("release 9.9.9", &address());
    run(command.env("ECR_REPOSITORY", &repository.0)).failed(&[
        "v9.9.9 is not released; nothing was changed",
        "committed: 1 changes are not",
        "main: this is side",
        "changelog: CHANGELOG.md has no section `## [9.9.9]`",
        "CI: ci.yml still runs: https://run",
        "holds no image of this commit",
        "tag v9.9.9 is new",
    ]);
    assert_eq!(tree.git(&["tag", "--list"]), "");
}

#[test]
fn a_release_is_a_tag_and_is_made_once() {
    let tree = Tree::copy();
    let repository = Repository::created("release", "MUTABLE");
    tree.write_changelog("9.9.9");
    repository.image(&identity(&tree), "linux/amd64", b"one");
    tree.answer(RUNS, &json!({"workflow_runs": [{"status": "completed", "conclusion": "success", "html_url": "https://run"}]}));
    let release = |words: &str| {
        let mut command = tree.xtask(&format!("release {words}"), &address());
        run(command.env("ECR_REPOSITORY", &repository.0))
    };
    release("9.9.9 --dry-run").succeeded().said(&["Would tag"]);
    assert_eq!(tree.git(&["tag", "--list"]), "");
    assert_eq!(release("9.9.9").succeeded().stdout, "v9.9.9\n");
    let head = tree.git(&["rev-parse", "HEAD"]);
    assert!(tree.git(&["ls-remote", "origin", "refs/tags/v9.9.9^{}"]).starts_with(&head));
    release("9.9.9").failed(&["v9.9.9 is released already"]);
    // A tag that could not be pushed is pushed by the next attempt.
    tree.git(&["push", "--quiet", "--delete", "origin", "v9.9.9"]);
    assert_eq!(release("v9.9.9").succeeded().stdout, "v9.9.9\n");
    assert!(tree.git(&["ls-remote", "origin", "refs/tags/v9.9.9^{}"]).starts_with(&head));
}

#[test]
fn an_image_of_another_machine_is_known_by_its_commit() {
    let tree = Tree::copy();
    let repository = Repository::created("release-elsewhere", "MUTABLE");
    let commit = tree.git(&["rev-parse", "HEAD"]);
    // What the changelog says goes into no image.
    tree.write_changelog("9.9.9");
    repository.image("latest", "linux/amd64", b"one");
    let check = || {
        let mut command = tree.xtask("release 9.9.9 --dry-run", &address());
        run(command.env("ECR_REPOSITORY", &repository.0))
    };
    check().failed(&["holds no image of this commit"]);
    let digest = repository.image_of(&commit, "other", "linux/amd64", b"two");
    let said = check().stderr;
    assert!(said.contains(&format!("{digest}, built from {commit}")), "{said}");
    std::fs::write(tree.root().join("migrations/99990101000000_new.sql"), "SELECT 1;\n").unwrap();
    tree.commit("Add a migration");
    check().failed(&["holds no image of this commit; CI pushes it"]);

    // A checkout of one commit alone can't tell what lies between.
    tree.clone_shallow();
    check().failed(&[
        "holds no image of this commit, unless it is sha256:",
        "this clone is shallow and lacks the commit",
        "`git fetch --unshallow` brings it",
    ]);
}

#[test]
fn who_attested_an_image_decides() {
    let tree = Tree::copy();
    let repository = Repository::created("attested", "MUTABLE");
    let attestation = |words: &str| {
        let mut command = tree.xtask(&format!("attestation {words}"), &address());
        run(command.env("ECR_REPOSITORY", &repository.0))
    };
    assert_eq!(attestation("").succeeded().said(&["Not there"]).stdout, "");
    for gate in ["required", "off"] {
        attestation(&format!("--gate {gate}"))
            .failed(&["ECR holds no image of these inputs", "gh run rerun"]);
    }
    let commit = tree.git(&["rev-parse", "HEAD"]);
    let digest = repository.image_of(&commit, &identity(&tree), "linux/amd64", b"one");
    assert_eq!(attestation("").succeeded().said(&["Not attested"]).stdout, "");
    attestation("--gate required").failed(&["is in ECR, but nobody attested it", &digest]);
    let told = |workflow: &str, reference: &str, sbom: &str| {
        let workflow = format!("site/run-migrations/.github/workflows/{workflow}");
        let line =
            json!({"digest": digest, "workflow": workflow, "ref": reference, "sbom": sbom}).to_string();
        std::fs::write(tree.github().join("attestations.json"), line).unwrap();
    };
    // A run that broke off before it said where the image was built can be run again.
    told("ci.yml", "refs/heads/main", "run-migrations.spdx.json");
    assert_eq!(attestation("").succeeded().said(&["Not attested"]).stdout, "");
    attestation("--gate required").failed(&["is in ECR, but nobody attested it", &digest]);
    let attest = |workflow: &str, reference: &str| told(workflow, reference, "");
    attest("other.yml", "refs/heads/main");
    attestation("").failed(&["is attested, but not by this repository's ci.yml on main"]);
    attest("ci.yml", "refs/heads/side");
    attestation("--gate required").failed(&["is attested, but not by"]);
    attest("ci.yml", "refs/heads/main");
    assert!(attestation("--gate required").succeeded().stdout.trim().ends_with(&digest));
    // One that is named, as a rollback does with what its release names.
    let place = format!("{}/{}", address(), repository.0);
    let absent = format!("sha256:{}", "0".repeat(64));
    for gate in ["off", "required"] {
        let named = attestation(&format!("--gate {gate} {place}@{digest}")).succeeded();
        assert_eq!(named.stdout.trim(), format!("{place}@{digest}"));
        for (reference, why) in [
            (format!("{place}:v9.9.9"), "REFERENCE: image"),
            (format!("{}/other@{digest}", address()), "nothing else may run"),
            (format!("registry.example/{}@{digest}", repository.0), "nothing else may run"),
            (format!("{place}@{absent}"), "ECR does not hold"),
        ] {
            attestation(&format!("--gate {gate} {reference}")).failed(&[why]);
        }
    }
    // A tag has its own copy of every workflow, which was trusted with what a release had to build.
    for (workflow, reference) in [
        ("release.yml", "refs/tags/v9.9.9"),
        ("release.yml", "refs/heads/main"),
        ("ci.yml", "refs/tags/v9.9.9"),
    ] {
        attest(workflow, reference);
        attestation("").failed(&["is attested, but not by"]);
    }
}

#[test]
fn an_attested_image_is_this_trees_only_if_its_commit_has_the_same_inputs() {
    let tree = Tree::copy();
    let repository = Repository::created("attested-inputs", "MUTABLE");
    let asked = |gate: &str| {
        let mut command = tree.xtask(&format!("attestation --gate {gate}"), &address());
        run(command.env("ECR_REPOSITORY", &repository.0))
    };
    let attestation = || asked("required");
    // That nobody is asked who built it does not make it the image of another commit.
    let refused = |why: &[&str]| {
        asked("off").failed(why);
        attestation().failed(why);
    };
    let first = tree.git(&["rev-parse", "HEAD"]);
    let put = |commit: &str, layer: &[u8]| {
        let digest = repository.image_of(commit, &identity(&tree), "linux/amd64", layer);
        let workflow = "site/run-migrations/.github/workflows/ci.yml";
        let line = json!({"digest": digest, "workflow": workflow, "ref": "refs/heads/main"}).to_string();
        std::fs::write(tree.github().join("attestations.json"), line).unwrap();
    };
    // What the changelog says goes into no image.
    tree.write_changelog("9.9.9");
    put(&first, b"one");
    attestation().succeeded().said(&["attested by this repository's ci.yml on main, built from", &first]);
    // Nor does what locks the crates of other programs, or of drivers that are not built.
    for package in ["aws-sdk-ecr", "libsqlite3-sys"] {
        crate::evidence::relock(&tree, package);
        tree.commit("Update crates");
        put(&first, b"one");
        attestation().succeeded().said(&["attested by this repository's ci.yml on main, built from", &first]);
    }
    crate::evidence::relock(&tree, "sqlx-postgres");
    tree.commit("Update a crate of the job");
    put(&first, b"one");
    refused(&["is not known to be the image of these inputs", "which has other inputs"]);
    tree.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    tree.git(&["push", "--quiet", "--force", "origin", "HEAD:main"]);

    // Somebody gives an earlier image the tag of the next commit's.
    std::fs::write(tree.root().join("migrations/99990101000000_new.sql"), "SELECT 1;\n").unwrap();
    tree.commit("Add a migration");
    put(&first, b"one");
    refused(&["is not known to be the image of these inputs", &first, "which has other inputs"]);
    for (commit, why) in [
        ("0123456789abcdef0123456789abcdef01234567", "this repository has no commit 0123456789abcdef"),
        ("--output=x", "\"--output=x\" is no commit"),
        ("unknown", "it does not say which commit it was built from"),
    ] {
        put(commit, b"two");
        refused(&["is not known to be the image of these inputs", why]);
    }

    // A workflow that checks out one commit alone.
    tree.clone_shallow();
    put(&first, b"three");
    refused(&["this clone is shallow and lacks the commit", &first, "fetch-depth: 0"]);
    let head = tree.git(&["rev-parse", "HEAD"]);
    put(&head, b"four");
    attestation().succeeded().said(&["built from", &head]);
}

/// With `off` nothing was looked at but whether the image is there.
#[test]
fn an_image_that_nobody_has_to_attest_is_still_one_of_main_with_these_inputs() {
    let tree = Tree::copy();
    let repository = Repository::created("unattested", "MUTABLE");
    let attestation = |reference: &str| {
        let mut command = tree.xtask(&format!("attestation --gate off {reference}"), &address());
        run(command.env("ECR_REPOSITORY", &repository.0))
    };
    let first = tree.git(&["rev-parse", "HEAD"]);
    let older = repository.image_of(&first, "older", "linux/amd64", b"older");
    std::fs::write(tree.root().join("migrations/99990101000000_new.sql"), "SELECT 1;\n").unwrap();
    tree.commit("Add a migration");
    let older = format!("{}/{}@{older}", address(), repository.0);
    attestation(&older).failed(&["is not known to be the image of these inputs", "which has other inputs"]);
    let identity = identity(&tree);
    repository.image_of("unknown", &identity, "linux/amd64", b"one");
    attestation("").failed(&["it does not say which commit it was built from"]);
    tree.git(&["checkout", "--quiet", "--detach"]);
    tree.git(&["commit", "--quiet", "--allow-empty", "--message", "Nobody has seen this"]);
    let unmerged = tree.git(&["rev-parse", "HEAD"]);
    repository.image_of(&unmerged, &identity, "linux/amd64", b"two");
    attestation("").failed(&["which is not on main"]);
    tree.git(&["checkout", "--quiet", "main"]);
    let head = tree.git(&["rev-parse", "HEAD"]);
    repository.image_of(&head, &identity, "linux/amd64", b"three");
    attestation("").succeeded().said(&["who attested it; it says that it was built from", &head]);
}

/// A role in an account of somebody else's let a workflow verify, and deploy, what was in the registry there.
#[test]
fn in_a_workflow_image_and_credentials_are_of_the_account_that_is_named() {
    let tree = Tree::copy();
    let repository = Repository::created("account", "MUTABLE");
    let head = tree.git(&["rev-parse", "HEAD"]);
    let digest = repository.image_of(&head, &identity(&tree), "linux/amd64", b"one");
    let in_workflow = |words: &str, account: &str| {
        let mut command = tree.xtask(words, &address());
        command
            .env("ECR_REPOSITORY", &repository.0)
            .env("ECR_ACCOUNT", account)
            .env("GITHUB_ACTIONS", "true");
        command.env("GITHUB_ACTIONS", "true").env("KUBERNETES_NAMESPACE", "site");
        run(&mut command)
    };
    let ours = format!("{}/{}@{digest}", address(), repository.0);
    let deploy = |image: &str| {
        format!("run-migrations --on kubernetes --dry-run --manifests k8s/base/job.yaml --image {image}")
    };
    let other = "the credentials are of the account 123456789012, and the registry is of 210987654321";
    for words in ["attestation --gate off", "push-image --tag v9.9.9", &deploy(&ours)] {
        in_workflow(words, "210987654321").failed(&[other]);
        in_workflow(words, "123456789012").succeeded();
    }
    for image in [
        ours.replace(&repository.0, "other"),
        ours.replace(&address(), "210987654321.dkr.ecr.eu-west-1.amazonaws.com"),
        "run-migrations:latest".to_owned(),
    ] {
        in_workflow(&deploy(&image), "123456789012").failed(&["and a workflow runs nothing else"]);
    }
}

/// A run at one tag that checked out another one signed as the first.
#[test]
fn an_image_is_of_the_commit_whose_run_attested_it() {
    let tree = Tree::copy();
    let repository = Repository::created("attested-commit", "MUTABLE");
    let first = tree.git(&["rev-parse", "HEAD"]);
    // What the changelog says goes into no image.
    tree.write_changelog("9.9.9");
    let second = tree.git(&["rev-parse", "HEAD"]);
    let digest = repository.image_of(&second, &identity(&tree), "linux/amd64", b"one");
    let workflow = "site/run-migrations/.github/workflows/ci.yml";
    let attestation = |of: &str| {
        let line = json!({"digest": digest, "workflow": workflow, "ref": "refs/heads/main", "commit": of});
        std::fs::write(tree.github().join("attestations.json"), line.to_string()).unwrap();
        let mut command = tree.xtask("attestation --gate required", &address());
        run(command.env("ECR_REPOSITORY", &repository.0))
    };
    std::fs::create_dir_all(tree.github()).unwrap();
    attestation(&first).failed(&["is attested, but not by", &format!("in a run of {second}")]);
    attestation(&second).succeeded().said(&["built from", &second]);
}

/// Of a branch that is merged only the last commit was
/// reviewed and tested, and yet every one of them was taken for one of main.
#[test]
fn an_image_of_a_commit_that_main_was_never_at_is_not_taken() {
    let tree = Tree::copy();
    let repository = Repository::created("attested-branch", "MUTABLE");
    let attestation = |commit: &str| {
        let digest = repository.image_of(commit, &identity(&tree), "linux/amd64", commit.as_bytes());
        let workflow = "site/run-migrations/.github/workflows/ci.yml";
        let line =
            json!({"digest": digest, "workflow": workflow, "ref": "refs/heads/main", "commit": commit});
        std::fs::write(tree.github().join("attestations.json"), line.to_string()).unwrap();
        let mut command = tree.xtask("attestation --gate required", &address());
        run(command.env("ECR_REPOSITORY", &repository.0))
    };
    std::fs::create_dir_all(tree.github()).unwrap();
    tree.git(&["checkout", "--quiet", "-b", "side"]);
    let mut commits = Vec::new();
    for text in ["evil", "evil reverted"] {
        std::fs::write(tree.root().join("notes.txt"), text).unwrap();
        tree.git(&["add", "--all"]);
        tree.git(&["commit", "--quiet", "--message", text]);
        commits.push(tree.git(&["rev-parse", "HEAD"]));
    }
    tree.git(&["checkout", "--quiet", "main"]);
    attestation(&commits[0]).failed(&["which is not on main"]);
    tree.git(&["merge", "--quiet", "--no-ff", "--message", "Merge", "side"]);
    tree.git(&["push", "--quiet", "origin", "HEAD:main"]);
    for commit in &commits {
        attestation(commit).failed(&[&format!("it was built from {commit}, which is not on main")]);
    }
    // To git a tag may be called like the branch.
    tree.git(&["tag", "origin/main", &commits[0]]);
    attestation(&commits[0]).failed(&["which is not on main"]);
    for main in ["HEAD", "HEAD^1"] {
        attestation(&tree.git(&["rev-parse", main])).succeeded().said(&["built from"]);
    }
    tree.git(&["update-ref", "-d", "refs/remotes/origin/main"]);
    attestation(&commits[0]).failed(&["this clone lacks refs/remotes/origin/main; `git fetch origin"]);
}

#[test]
fn a_file_that_a_release_has_is_not_uploaded_again() {
    let tree = Tree::copy();
    let calls = |what: &str| {
        let calls = std::fs::read_to_string(tree.github().join("calls")).unwrap();
        calls.matches(&format!("[\"release\", \"{what}\"")).count()
    };
    let digest = |of: u8| format!("registry.example/job@sha256:{}", of.to_string().repeat(64));
    tree.git(&["push", "--quiet", "origin", "HEAD:refs/tags/v9.9.9"]);
    for (of, edited, uploaded) in [(1, 0, 0), (1, 1, 0), (2, 2, 1)] {
        let words = format!("page --tag v9.9.9 --publish --image {}", digest(of));
        run(&mut tree.xtask(&words, "127.0.0.1:9")).succeeded();
        assert_eq!((calls("create"), calls("edit"), calls("upload")), (1, edited, uploaded));
        let image = std::fs::read_to_string(tree.github().join("releases/v9.9.9/image.txt")).unwrap();
        assert_eq!(image.trim(), digest(of));
    }
}

#[test]
fn a_plan_holds_what_the_job_reads_since_the_last_version() {
    let tree = Tree::copy();
    let plan = |words: &str| run(&mut tree.xtask(&format!("plan {words}"), "127.0.0.1:9")).succeeded().stdout;
    std::fs::create_dir(tree.root().join("migrations/old")).unwrap();
    std::fs::write(tree.root().join("migrations/old/1_gone.sql"), "SELECT 1;\n").unwrap();
    tree.commit("Keep an old script");
    for tag in ["v1.2.3", "v1.2.3-rc.1", "vendor-2020"] {
        tree.git(&["tag", tag]);
    }
    assert!(plan("").contains("no migration since v1.2.3\n"), "{}", plan(""));
    for way in ["up", "down"] {
        let path = format!("migrations/99990101000000_größe.{way}.sql");
        std::fs::write(tree.root().join(path), "SELECT 1;\n").unwrap();
    }
    tree.commit("Add a size");
    assert!(plan("").contains("1 migration since v1.2.3\n\n"), "{}", plan(""));
    let back = plan("--down-to base");
    assert!(back.contains("| größe |") && !back.contains("gone"), "{back}");
    tree.git(&["tag", "v1.3.0"]);
    assert!(plan("").contains("no migration since v1.3.0"), "{}", plan(""));
}
