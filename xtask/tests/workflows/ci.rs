//! ci.yml.

use crate::stage::Stage;

#[test]
fn what_main_pushes_is_attested_once_for_each_digest() {
    let stage = Stage::set("push");
    // The jobs before it are the whole of the tests, this one among them.
    stage.tree.replace(
        ".github/workflows/ci.yml",
        "    needs: [lint, dependencies, test, image]\n    runs-on",
        "    runs-on",
    );
    stage.tree.commit("Push at once");
    let digest = stage.push_from_ci();
    std::fs::remove_file(stage.tree.github().join("attestations.json")).unwrap();
    stage.ci("push").succeeded();
    assert_eq!(stage.github("roles"), "push pusher\n");
    assert_eq!(stage.repository.digest("latest"), Some(digest.clone()));
    let attested = stage.github("attestations.json");
    let lines: Vec<serde_json::Value> =
        attested.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> =
        lines.iter().map(|line| (line["digest"].as_str().unwrap(), line["sbom"].as_str().unwrap())).collect();
    assert_eq!(told, [(&*digest, "run-migrations.spdx.json"), (&*digest, "")]);
    stage.ci("push").succeeded();
    assert_eq!(stage.github("attestations.json"), attested, "what is attested is not attested again");
}

#[test]
fn the_gate_waits_for_every_other_job() {
    let text = include_str!("../../../.github/workflows/ci.yml");
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

#[test]
fn lint_passes_on_the_tree() {
    let stage = Stage::set("lint");
    let out = stage.ci("lint").succeeded();
    assert!(out.stdout.contains("✅ Lint: all"), "{}", out.stdout);
}
