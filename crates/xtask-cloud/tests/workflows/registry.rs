//! Attestations are kept in the registry too, where a cluster can look for them.

use crate::stage::Stage;

/// They were on GitHub alone. What builds an image, and compares it, needs Docker, and is stood in for here; the login, the
/// bill of materials and what is attached to the image are real.
#[test]
fn main_attaches_both_attestations_to_the_image() {
    let stage = Stage::set("registry");
    stage.push_at_once();
    let digest = stage.push_from_ci();
    std::fs::remove_file(stage.tree.github().join("attestations.json")).unwrap();
    let registry = crate::support::emulator::address();
    let outputs = format!(
        "{{ echo found=true; echo attested=false; echo name={registry}/{name}; echo digest={digest}; \
         echo reference={registry}/{name}@{digest}; }} >> \"$GITHUB_OUTPUT\"",
        name = stage.repository.0
    );
    stage.instead("attestation", &outputs);
    let out = stage.ci_job("push").succeeded();
    let attested = stage.github("attestations.json");
    assert_eq!(attested.matches("\"registry\": true").count(), 2, "{attested}\n{}", out.stdout);
    // The bill of materials named no image.
    let call = format!("push: sbom {registry}/{}@{digest}\n", stage.repository.0);
    assert!(stage.github("tasks").contains(&call), "{}", stage.github("tasks"));
    assert!(stage.repository.digest(&digest.replace(':', "-")).is_some(), "{}", out.stdout);

    // Without a login there is nobody to attach it.
    std::fs::remove_file(stage.tree.scratch.config()).unwrap();
    stage.instead("ecr-login", "");
    assert_ne!(stage.ci_job("push").code, Some(0));
}
