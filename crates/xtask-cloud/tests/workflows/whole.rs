//! Jobs with all of their substance, which compile the workspace once more or need a Docker daemon:
//! `cargo xtask test --all`.

use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::stage::{Stage, program};
use crate::support::emulator::Repository;
use crate::support::{root, run};

/// What lints and tests is no part of these tests' own build.
fn build_dev() {
    let mut cargo = Command::new(env!("CARGO"));
    run(cargo.args(["build", "--quiet", "--workspace", "--bin", "xtask-dev"]).current_dir(root()))
        .succeeded();
}

#[test]
fn lint_passes_and_a_bad_script_is_shown_beside_its_line() {
    build_dev();
    let stage = Stage::set("lint");
    // What is linted is what is committed, not what act can read.
    for name in ["gate.yml", "release.yml", "rollback.yml"] {
        let path = Path::new(".github/workflows").join(name);
        std::fs::copy(root().join(&path), stage.tree.root().join(&path)).unwrap();
    }
    // But for this one, which act has to read.
    let gate = "uses: ./.github/workflows/gate.yml";
    stage.tree.replace(
        ".github/workflows/ci.yml",
        gate,
        &format!("{gate} # zizmor: ignore[self-repository]"),
    );
    stage.tree.commit("Put the workflows back");
    // The natural inverse of a first migration is no finding.
    for (direction, change) in [("up", "ADD COLUMN city text"), ("down", "DROP COLUMN city")] {
        let path = format!("migrations/99990101000000_add_contact_city.{direction}.sql");
        std::fs::write(stage.tree.root().join(path), format!("ALTER TABLE contacts {change};\n")).unwrap();
    }
    stage.tree.commit("Ask for the city");
    let out = stage.ci_job("lint").succeeded();
    assert!(out.stdout.contains("✅ Lint: all"), "{}", out.stdout);
    let script = "-- Add an index.\nCREATE INDEX messages_read ON messages (read);\n";
    std::fs::write(stage.tree.root().join("migrations/99990102000000_bad.up.sql"), script).unwrap();
    stage.tree.commit("Forbid writes while an index is built");
    let out = stage.ci_job("lint");
    assert_ne!(out.code, Some(0), "{}", out.stdout);
    for said in ["::error file=migrations/99990102000000_bad.up.sql,line=2,title=squawk::", "❌ Lint: 1 of"]
    {
        assert!(out.stdout.contains(said), "{said} is not in:\n{}", out.stdout);
    }
}

/// All of the tests would be this one too. So the job's own commands run on this checkout, which is compiled, on a part:
/// their servers, the installation of what is missing, the count and the page are real.
#[test]
fn the_tests_run_and_leave_a_page() {
    let stage = Stage::set("test");
    build_dev();
    let (checkout, xtask) = (root().display(), program("xtask-dev"));
    let xtask = xtask.display();
    let script = format!(
        "case \"$*\" in *--faults*) part='--only kill:each:3' ;; *) part='website:: images::' ;; esac\n\
         cd {checkout} && exec {xtask} \"$@\" $part"
    );
    stage.instead("test", &script);
    let out = stage.ci_job("test").succeeded();
    assert_eq!(stage.github("tasks"), "test: test --all --install\ntest: test --faults\n");
    assert!(out.stdout.contains("## ✅ Tests: "), "{}", out.stdout);
    assert!(out.stdout.contains("test website::"), "the job was tried: {}", out.stdout);
    assert!(out.stdout.contains("SIGKILL"), "and killed: {}", out.stdout);
}

/// They build one image, and compile in one directory.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

const IMAGE: &str = "run-migrations-test-workflow";

#[test]
fn the_image_is_built() {
    let _alone = alone();
    let stage = Stage::set("image");
    let out = stage.ci_job("image").succeeded();
    assert!(out.stdout.contains(&format!("{IMAGE}:latest")), "{}", out.stdout);
    let help = run(Command::new("docker").args(["run", "--rm", IMAGE, "--help"])).succeeded();
    assert!(help.stdout.contains("run-migrations"), "{}", help.stdout);
    run(Command::new("docker").args(["image", "rm", IMAGE])).succeeded();
}

#[test]
fn main_attests_what_it_builds_once_for_each_digest_and_nothing_else() {
    let _alone = alone();
    let mut stage = Stage::set("push");
    stage.push_at_once();
    stage.ci_job("push").succeeded();
    let digest = stage.repository.digest("latest").unwrap();
    let attested = stage.github("attestations.json");
    assert_eq!(attested, told(&stage, &digest, "ci.yml", "refs/heads/main"));

    // A run that broke off between its two attestations.
    let half = forget_provenance(&stage);
    let again = stage.ci_job("push").succeeded();
    assert!(again.stdout.contains("it is the image that this commit builds"), "{}", again.stdout);
    let attested = half + &attested;
    assert_eq!(stage.github("attestations.json"), attested);
    stage.ci_job("push").succeeded();
    assert_eq!(stage.github("attestations.json"), attested, "what is attested is not attested again");
    assert_eq!(stage.github("roles"), "push pusher\n".repeat(3));

    // Somebody else was first.
    let other = Repository::created("workflow-first", "MUTABLE");
    stage.set_delivery("ECR_REPOSITORY", &other.0);
    stage.repository = other;
    stage.push_from_ci();
    std::fs::remove_file(stage.tree.github().join("attestations.json")).unwrap();
    let out = stage.ci_job("push");
    assert_ne!(out.code, Some(0), "{}", out.stdout);
    assert!(out.stdout.contains("it is not known to be this commit's"), "{}", out.stdout);
    assert_eq!(stage.github("attestations.json"), "");
    run(Command::new("docker").args(["image", "rm", IMAGE])).succeeded();
}

/// Leaves GitHub with the bill of materials alone, which it returns.
fn forget_provenance(stage: &Stage) -> String {
    let attested = stage.github("attestations.json");
    let half: String = attested.lines().take(1).map(|line| format!("{line}\n")).collect();
    std::fs::write(stage.tree.github().join("attestations.json"), &half).unwrap();
    half
}

/// What GitHub knows once a bill of materials, and then where it was built, are attested.
fn told(stage: &Stage, digest: &str, workflow: &str, reference: &str) -> String {
    let commit = stage.tree.git(&["rev-parse", "HEAD"]);
    let line = |sbom: &str| {
        format!(
            "{{\"digest\": \"{digest}\", \"workflow\": \"site/run-migrations/.github/workflows/{workflow}\", \
             \"ref\": \"{reference}\", \"commit\": \"{commit}\", \"sbom\": \"{sbom}\", \"registry\": true}}\n"
        )
    };
    line("run-migrations.spdx.json") + &line("")
}
