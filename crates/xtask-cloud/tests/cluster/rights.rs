//! The rights of k8s/release are enough, and less is explained.

use serde_json::{Value, json};

use crate::support::outcome::wait;
use crate::support::site::{Site, migrations};

#[test]
fn the_role_of_the_release_alone_runs_the_job() {
    let site = Site::new("rights");
    site.kubectl(&["create", "serviceaccount", "release"]);
    let kubeconfig = kubeconfig_of(&site, "release");
    let run = |words: &str| {
        let mut command = site.command(words);
        wait(command.env("KUBECONFIG", &kubeconfig).spawn().unwrap())
    };
    run("").exited(1).said(&["not allowed to get jobs", "kubectl apply -k k8s/release"]);

    let release = concat!(env!("CARGO_MANIFEST_DIR"), "/../../k8s/release");
    site.kubectl(&["apply", "-k", release]);
    let account = format!("--serviceaccount={}:release", site.namespace);
    site.kubectl(&["create", "rolebinding", "test", "--role=run-migrations-release", &account]);
    let out = run("").exited(0);
    assert!(!out.stderr.contains("not allowed"), "{}", out.stderr);
    assert_eq!(out.stdout.matches("  applied  ").count(), migrations(), "the log is read: {}", out.stdout);
    run("").exited(0).said(&["in the place of a finished one"]);

    let identity = format!("--as=system:serviceaccount:{}:release", site.namespace);
    for beyond in [
        ["get", "secrets"],
        ["create", "pods"],
        ["update", "jobs"],
        ["patch", "jobs"],
        ["create", "cronjobs"],
        ["list", "configmaps"],
        ["update", "configmaps"],
        ["create", "pods/exec"],
        ["create", "pods/attach"],
        ["create", "pods/portforward"],
        ["update", "pods/ephemeralcontainers"],
        ["create", "serviceaccounts/token"],
    ] {
        // It exits 1 with its no.
        let mut ask = crate::support::programs::kubectl(&site.namespace);
        let said = ask.args(["auth", "can-i", beyond[0], beyond[1], &identity]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&said.stdout).trim(), "no", "{beyond:?}");
    }
}

/// The same cluster with the token of a ServiceAccount.
fn kubeconfig_of(site: &Site, account: &str) -> std::path::PathBuf {
    let token = site.kubectl(&["create", "token", account]);
    let text = site.kubectl(&["config", "view", "--raw", "--minify", "--flatten", "--output", "json"]);
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config["users"] = json!([{"name": "test", "user": {"token": token}}]);
    config["contexts"][0]["context"]["user"] = json!("test");
    let path = site.overlay().join("kubeconfig");
    std::fs::write(&path, config.to_string()).unwrap();
    path
}
