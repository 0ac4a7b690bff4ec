//! Attacks on the pipeline by somebody who may write to the repository, each played and refused. Who reads the log of a
//! refusal sees that no code of the checkout was run and that no role was taken.

use serde_json::json;

use crate::stage::Stage;
use crate::support::Run;

/// Refused by the gate, for the reason given: nobody ran any code or took any role.
fn refused(stage: &Stage, out: &Run, why: &str) {
    assert_ne!(out.code, Some(0), "{}", out.stdout);
    assert!(out.stdout.contains(why), "{why} is not in:\n{}", out.stdout);
    assert_eq!(stage.github("tasks"), "", "no code of the checkout was run");
    assert_eq!(stage.github("roles"), "", "nobody took a role");
    assert!(!stage.github("calls").contains("\"release\""), "nothing is published");
}

/// A commit that nobody has merged, checked out.
fn unmerged(stage: &Stage) -> String {
    stage.tree.git(&["checkout", "--quiet", "--detach"]);
    std::fs::write(stage.tree.root().join("migrations/99990101000000_evil.sql"), "DROP SCHEMA public;\n")
        .unwrap();
    stage.tree.git(&["add", "--all"]);
    stage.tree.git(&["commit", "--quiet", "--message", "Not for review"]);
    stage.tree.git(&["rev-parse", "HEAD"])
}

/// Puts a commit at the origin under the full name of a ref.
fn plant(stage: &Stage, commit: &str, reference: &str) {
    stage.tree.git(&["push", "--quiet", "--force", "origin", &format!("{commit}:{reference}")]);
}

/// It was refused before, too, as long as there was no tag called `origin/main`.
#[test]
fn a_tag_on_an_unmerged_commit_is_not_released() {
    let stage = Stage::set("attack_unmerged");
    let commit = unmerged(&stage);
    plant(&stage, &commit, "refs/tags/v9.9.9");
    for out in [
        stage.push_event("v9.9.9"),
        stage.dispatch("release", &json!({"tag": "v9.9.9"})),
        stage.dispatch("release", &json!({"tag": "v9.9.9", "rehearse": "true"})),
    ] {
        refused(&stage, &out, "The commit of v9.9.9 is not on main");
    }
}

/// Every ancestor of main was taken for one of its commits: of a pull request that adds something evil and reverts it
/// reviewers saw the last tree alone, and the one before it could be released.
#[test]
fn a_commit_in_the_middle_of_a_merged_branch_is_not_released() {
    let stage = Stage::set("attack_merged");
    let before = stage.tree.git(&["rev-parse", "HEAD"]);
    stage.tree.write_changelog("9.9.9");
    let mut commits = vec![unmerged(&stage)];
    stage.tree.git(&["rm", "--quiet", "migrations/99990101000000_evil.sql"]);
    stage.tree.git(&["commit", "--quiet", "--message", "Take it back"]);
    commits.push(stage.tree.git(&["rev-parse", "HEAD"]));
    stage.tree.git(&["checkout", "--quiet", "main"]);
    stage.tree.git(&["merge", "--quiet", "--no-ff", "--message", "Merge", &commits[1]]);
    let merge = stage.tree.git(&["rev-parse", "HEAD"]);
    stage.tree.git(&["push", "--quiet", "origin", "HEAD:main"]);
    for (number, commit) in commits.iter().enumerate() {
        let tag = format!("v9.9.{number}");
        plant(&stage, commit, &format!("refs/tags/{tag}"));
        let why = format!("The commit of {tag} is not on main, but on a branch that was merged into it");
        refused(&stage, &stage.push_event(&tag), &why);
        refused(&stage, &stage.dispatch("release", &json!({"tag": tag, "rehearse": "true"})), &why);
        let back = stage.dispatch("rollback", &json!({"tag": tag, "revision": "base"}));
        refused(&stage, &back, &why);
    }
    // What main has been at is let through: the merge, and what it was merged into.
    for (tag, commit) in [("v9.8.0", &before), ("v9.8.1", &merge)] {
        plant(&stage, commit, &format!("refs/tags/{tag}"));
        let out = stage.dispatch("rollback", &json!({"tag": tag, "revision": "base"}));
        assert!(out.stdout.contains(&format!("{tag} is {commit}, which is on main")), "{}", out.stdout);
    }
}

/// `git merge-base --is-ancestor HEAD origin/main` took such a tag for the branch, and released what nobody had merged.
#[test]
fn no_tag_is_taken_for_main() {
    let stage = Stage::set("attack_origin");
    let commit = unmerged(&stage);
    for name in [
        "refs/tags/v9.9.9",
        "refs/tags/origin/main",
        "refs/tags/main",
        "refs/tags/refs/heads/main",
        "refs/tags/refs/remotes/origin/main",
    ] {
        plant(&stage, &commit, name);
    }
    // Branches that git would find under shorter names.
    for name in ["refs/heads/origin/main", "refs/heads/refs/heads/main", "refs/heads/tags/v9.9.9"] {
        plant(&stage, &commit, name);
    }
    refused(&stage, &stage.push_event("v9.9.9"), "The commit of v9.9.9 is not on main");
    let back = stage.dispatch("rollback", &json!({"tag": "v9.9.9", "revision": "base"}));
    refused(&stage, &back, "The commit of v9.9.9 is not on main");
}

/// rollback.yml checked out whatever tag it was given and ran `cargo xtask` of it with main's token.
#[test]
fn the_code_of_a_tag_off_main_is_not_run_by_a_rollback() {
    let stage = Stage::set("attack_rollback");
    let commit = unmerged(&stage);
    plant(&stage, &commit, "refs/tags/v9.9.9");
    plant(&stage, &commit, "refs/tags/anything");
    plant(&stage, &commit, "refs/heads/v9.9.8");
    for (tag, why) in [
        ("v9.9.9", "The commit of v9.9.9 is not on main"),
        ("anything", "The name of the tag is not a version"),
        ("v9.9.8", "The repository has no tag v9.9.8"),
    ] {
        let out = stage.dispatch("rollback", &json!({"tag": tag, "revision": "base"}));
        refused(&stage, &out, why);
    }
    // Elsewhere than on main there is another copy of the workflow, which the roles in AWS do not trust.
    for at in ["refs/heads/side", "refs/tags/v9.9.9", "refs/tags/main", "refs/heads/refs/heads/main"] {
        let out = stage.dispatch_at(at, "rollback", &json!({"tag": "v9.9.9", "revision": "base"}));
        refused(&stage, &out, "A rollback starts on main");
    }
}

/// A tag has its own copies of the workflows, gate and all, and the roles in AWS trusted release.yml at tags `v*`.
#[test]
fn a_tag_whose_own_workflows_are_changed_gets_no_further_than_the_gate_of_main() {
    let stage = Stage::set("attack_copies");
    stage.tree.git(&["checkout", "--quiet", "--detach"]);
    let workflows = stage.tree.root().join(".github/workflows");
    let release = std::fs::read_to_string(workflows.join("release.yml")).unwrap();
    let ungated =
        release.replace("on:\n", "on:\n  push:\n    tags: [\"v*\"]\n").replace("needs: gate", "needs: []");
    std::fs::write(workflows.join("release.yml"), ungated).unwrap();
    let gate = std::fs::read_to_string(workflows.join("gate.yml")).unwrap();
    std::fs::write(workflows.join("gate.yml"), gate.replace("exit 1", "true")).unwrap();
    let tag = std::fs::read_to_string(workflows.join("tag.yml")).unwrap();
    std::fs::write(workflows.join("tag.yml"), tag.replace("run: gh", "run: cargo xtask plan || true; gh"))
        .unwrap();
    stage.tree.git(&["commit", "--quiet", "--all", "--message", "Let everything through"]);
    let commit = stage.tree.git(&["rev-parse", "HEAD"]);
    plant(&stage, &commit, "refs/tags/v9.9.9");

    // What its tag.yml may do, its author may do by hand: start a workflow of main.
    stage.push_tag("v9.9.9");
    assert!(stage.github("dispatches").contains("\"refs/heads/main\""));
    let _ = std::fs::remove_file(stage.tree.github().join("tasks"));
    stage.tree.git(&["checkout", "--quiet", "main"]);
    for inputs in [json!({"tag": "v9.9.9"}), json!({"tag": "v9.9.9", "rehearse": "true"})] {
        refused(&stage, &stage.dispatch("release", &inputs), "The commit of v9.9.9 is not on main");
    }
    let back = stage.dispatch("rollback", &json!({"tag": "v9.9.9", "revision": "base"}));
    refused(&stage, &back, "The commit of v9.9.9 is not on main");
}

/// A run at one tag released the other, and signed as the first.
#[test]
fn a_run_elsewhere_than_on_main_releases_nothing() {
    let stage = Stage::set("attack_other");
    stage.tree.write_changelog("9.9.9");
    stage.push_from_ci();
    stage.tag("v9.9.9");
    for at in [
        "refs/tags/v9.9.8",
        "refs/tags/v9.9.9",
        "refs/tags/main",
        "refs/heads/refs/heads/main",
        "refs/heads/side",
    ] {
        let out = stage.dispatch_at(at, "release", &json!({"tag": "v9.9.9"}));
        refused(&stage, &out, "A release starts on main");
        let out = stage.dispatch_at(at, "release", &json!({"rehearse": "true"}));
        refused(&stage, &out, "A rehearsal starts on main");
    }
    let out = stage.dispatch("release", &json!({"tag": ""}));
    refused(&stage, &out, "The name of the tag is not a version");
}

/// Names went into commands as they were.
#[test]
fn a_name_that_is_no_version_is_refused_and_not_repeated() {
    let stage = Stage::set("attack_names");
    let commit = stage.tree.git(&["rev-parse", "HEAD"]);
    let names =
        ["v1;id", "v1.2.3$(id)", "v1.2.3/x", "V1.2.3", "v01.2.3", "v1.2.3-", "vendor", "x##group##main"];
    for name in names {
        plant(&stage, &commit, &format!("refs/tags/{name}"));
        let out = stage.push_event(name);
        refused(&stage, &out, "The name of the tag is not a version");
    }
    // What git would not take for a tag, but a form does.
    for name in [
        "--upload-pack=id",
        "v1.2.3\n::add-mask::main",
        "v1.2.3\nv1.2.3",
        "v1.2.3 ",
        "",
        "refs/tags/v1.2.3",
        "v1.2.3^{}",
    ] {
        for workflow in ["rollback", "release"] {
            let out = stage.dispatch(workflow, &json!({"tag": name, "revision": "base"}));
            refused(&stage, &out, "The name of the tag is not a version");
            assert!(!out.stdout.contains("] ::add-mask"), "{}", out.stdout);
        }
    }
}

/// The jobs after the approval took what the tag named by then.
#[test]
fn a_tag_that_is_moved_between_the_jobs_changes_nothing_that_runs() {
    let stage = Stage::set("attack_moved");
    stage.tree.write_changelog("9.9.9");
    let digest = stage.push_from_ci();
    stage.tag("v9.9.9");
    let commit = stage.tree.git(&["rev-parse", "HEAD"]);
    let evil = unmerged(&stage);
    plant(&stage, &evil, "refs/heads/side");
    stage.tree.git(&["checkout", "--quiet", "main"]);
    let move_tag = format!("git --git-dir=\"$TEST_ORIGIN\" update-ref refs/tags/v9.9.9 {evil}");
    stage.instead("push-image", &format!("{} && {move_tag}", stage.real()));
    let out = stage.push_event("v9.9.9");
    assert_ne!(out.code, Some(0), "{}", out.stdout);
    assert!(
        out.stdout.contains(&format!("the tag was moved after the gate had let {commit} through")),
        "{}",
        out.stdout
    );
    assert_eq!(stage.repository.digest("v9.9.9"), Some(digest), "the image is that of the commit");
    assert_eq!(stage.github("roles"), "image promoter\n", "nobody became the deployer");
    assert_eq!(stage.query("SELECT count(*) FROM pg_class WHERE relname = '_sqlx_migrations'"), "0");
    assert!(!stage.github("calls").contains("\"create\""), "nothing is published");

    // A run that is repeated after that ends at the gate.
    let out = stage.push_event("v9.9.9");
    assert!(out.stdout.contains("The commit of v9.9.9 is not on main"), "{}", out.stdout);
}

/// The page was written, and the release made, for whatever the tag named last.
#[test]
fn a_tag_that_is_moved_while_the_job_runs_is_not_published() {
    let stage = Stage::set("attack_page");
    stage.tree.write_changelog("9.9.9");
    stage.push_from_ci();
    stage.tag("v9.9.9");
    let evil = unmerged(&stage);
    plant(&stage, &evil, "refs/heads/side");
    stage.tree.git(&["checkout", "--quiet", "main"]);
    let move_tag = format!("git --git-dir=\"$TEST_ORIGIN\" update-ref refs/tags/v9.9.9 {evil}");
    // After the page's own checkout.
    stage.instead("page", &format!("{move_tag}; {}", stage.real()));
    let out = stage.push_event("v9.9.9");
    assert_ne!(out.code, Some(0), "{}", out.stdout);
    assert!(out.stdout.contains("v9.9.9 is not published"), "{}", out.stdout);
    assert!(!stage.github("calls").contains("\"create\""), "nothing is published");
}

/// It was built anew, and deployed as verified, since only a promotion was compared with what had been looked at.
#[test]
fn a_verified_image_that_vanishes_is_not_replaced() {
    let stage = Stage::set("attack_vanished");
    stage.tree.write_changelog("9.9.9");
    let digest = stage.push_from_ci();
    stage.tag("v9.9.9");
    let aws = format!("{}/aws", std::env::var("TEST_AWS_BIN").unwrap());
    let delete = format!(
        "AWS_DEFAULT_REGION=eu-west-1 {aws} ecr batch-delete-image --repository-name {} --image-ids imageDigest={digest}",
        stage.repository.0
    );
    stage.instead("attestation", &format!("{} && {delete}", stage.real()));
    let out = stage.push_event("v9.9.9");
    assert_ne!(out.code, Some(0), "{}", out.stdout);
    assert!(
        out.stdout.contains(&format!("no longer holds {digest}, the image that was verified")),
        "{}",
        out.stdout
    );
    assert_eq!(stage.repository.digest("v9.9.9"), None);
    assert_eq!(stage.github("roles"), "image promoter\n", "nobody became the deployer");
}

/// Anyone may open a pull request that asks for the runner's label.
#[test]
fn a_runner_of_ones_own_is_not_used_in_a_public_repository() {
    let mut stage = Stage::set("attack_runner");
    stage.tree.write_changelog("9.9.9");
    stage.push_from_ci();
    stage.tag("v9.9.9");
    stage.set_delivery("DEPLOY_RUNNER", "self-hosted");
    stage.visibility = "public";
    refused(&stage, &stage.push_event("v9.9.9"), "DEPLOY_RUNNER is set in a public repository");
    let back = stage.dispatch("rollback", &json!({"tag": "v9.9.9", "revision": "base"}));
    refused(&stage, &back, "DEPLOY_RUNNER is set in a public repository");
}

/// Whoever has `write` sets variables, which said whether an image is verified, with which role, and what is deployed where.
#[test]
fn variables_of_the_repository_decide_nothing() {
    let mut stage = Stage::set("attack_variables");
    stage.tree.write_changelog("9.9.9");
    let digest = stage.push_from_ci();
    // Nobody has attested it.
    std::fs::remove_file(stage.tree.github().join("attestations.json")).unwrap();
    stage.tag("v9.9.9");
    stage.variables = [
        ("ATTESTATIONS", "off"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ROLE_READER", "arn:aws:iam::666666666666:role/evil"),
        ("AWS_ROLE_PROMOTER", "arn:aws:iam::666666666666:role/evil"),
        ("AWS_ROLE_DEPLOYER", "arn:aws:iam::666666666666:role/evil"),
        ("ECR_REPOSITORY", "evil"),
        ("ECR_ACCOUNT", "666666666666"),
        ("DEPLOY", "none"),
        ("KUBERNETES_MANIFESTS", "/tmp/evil.yaml"),
    ]
    .into();
    let out = stage.push_event("v9.9.9");
    assert_ne!(out.code, Some(0), "{}", out.stdout);
    let name = &stage.repository.0;
    let why = format!("{name}@{digest} is in ECR, but nobody attested it");
    assert!(out.stdout.contains(&why), "{}", out.stdout);
    assert_eq!(stage.github("roles"), "image promoter\n", "nobody became the deployer");
    assert_eq!(stage.repository.digest("v9.9.9"), None);
}
