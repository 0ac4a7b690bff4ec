//! Who may depend on whom: arrows go one way, and what talks to an outside system is no part of what does without.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// Each crate of the pipeline, with those of this workspace it may be built on.
const ALLOWED: [(&str, &[&str]); 12] = [
    ("shared-features", &[]),
    ("workspace", &["foreign-text", "shared-features"]),
    ("verdict", &["foreign-text", "migration-core"]),
    ("image", &["workspace"]),
    ("settings", &["image", "workspace"]),
    ("docker", &["image", "workspace"]),
    ("local-postgres", &["docker", "workspace"]),
    ("registry", &["docker", "image", "settings", "workspace"]),
    ("cluster", &["foreign-text", "image", "migration-core", "verdict", "workspace"]),
    (
        "xtask",
        &[
            "docker",
            "foreign-text",
            "image",
            "local-postgres",
            "migration-core",
            "settings",
            "verdict",
            "workspace",
        ],
    ),
    (
        "xtask-cloud",
        &[
            "cluster",
            "docker",
            "foreign-text",
            "image",
            "migration-core",
            "registry",
            "settings",
            "verdict",
            "workspace",
            "xtask",
        ],
    ),
    (
        "xtask-dev",
        &[
            "docker",
            "foreign-text",
            "image",
            "local-postgres",
            "migration-core",
            "settings",
            "workspace",
            "xtask",
        ],
    ),
];

#[test]
fn crates_depend_on_what_stands_below_them() {
    let mut metadata = Command::new(env!("CARGO"));
    metadata.args(["metadata", "--no-deps", "--format-version", "1", "--locked"]);
    let metadata: Value = serde_json::from_slice(&metadata.output().unwrap().stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let allowed = BTreeMap::from(ALLOWED);
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let own = package["dependencies"].as_array().unwrap().iter().filter(|it| it["path"].is_string());
        let own: Vec<_> = own.map(|dependency| dependency["name"].as_str().unwrap()).collect();
        match allowed.get(name) {
            Some(allowed) => {
                let other: Vec<_> = own.iter().filter(|name| !allowed.contains(name)).collect();
                assert!(other.is_empty(), "{name} depends on {other:?}");
            }
            // The job and its own crates.
            None => {
                let tools: Vec<_> = own.iter().filter(|name| allowed.contains_key(*name)).collect();
                assert!(tools.is_empty(), "{name} is no part of the pipeline, and depends on {tools:?}");
            }
        }
    }
}
