//! Whoever goes from `cargo xtask` to its other programs and to the tests compiles no crate twice.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Crates with the sets of features that they are built with: a macro's may differ from the program's.
fn features(selection: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--locked", "--prefix", "none", "--no-dedupe", "--format", "{p}|{f}"]).args(selection);
    let output = tree.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut found: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    // An empty line parts the trees of the packages.
    for (name, features) in
        String::from_utf8(output.stdout).unwrap().lines().filter_map(|line| line.split_once('|'))
    {
        found.entry(name.to_owned()).or_default().insert(features.to_owned());
    }
    found
}

#[test]
fn shared_features_are_the_same_whatever_is_built() {
    let all = features(&["--workspace", "--edges", "normal,build,dev"]);
    for package in ["xtask", "xtask-cloud", "xtask-dev"] {
        for (name, found) in features(&["--package", package, "--edges", "normal,build"]) {
            let told = "give it these features in crates/shared-features/Cargo.toml";
            assert_eq!(found, all[&name], "{name} differs for {package}; {told}");
        }
    }
}
