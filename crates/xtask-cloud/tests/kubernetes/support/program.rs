//! The real program, with a kubeconfig of its own and nothing of the machine's.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::api::Api;
use super::outcome::{Run, wait};

pub(crate) const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// `cargo xtask run-migrations --on kubernetes` with these words behind it.
pub(crate) fn command(api: &Api, words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask-cloud"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy().to_uppercase();
        if ["GITHUB_", "KUBE", "POSTGRES_", "IMAGE", "DOCKER_", "RUST_LOG", "HTTP", "NO_PROXY"]
            .iter()
            .any(|start| text.starts_with(start))
        {
            command.env_remove(&name);
        }
    }
    let image = format!("host.example/job@{DIGEST}");
    command
        .args(["run-migrations", "--on", "kubernetes", "--image", &image, "--manifests"])
        .arg("k8s/base/job.yaml")
        .args(words.split_whitespace())
        .env("KUBECONFIG", kubeconfig(api.port))
        .env("NO_COLOR", "1")
        .stdin(Stdio::null());
    command
}

/// The same with a terminal of its own, on which this is typed. All that is shown there is its stdout.
pub(crate) fn typing(api: &Api, words: &str, typed: &str) -> Run {
    let inner = command(api, words);
    let words = std::iter::once(inner.get_program()).chain(inner.get_args());
    let words: Vec<_> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &words.join(" "), "/dev/null"]);
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    let mut child =
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Its end would be the end of the terminal.
    let mut keyboard = child.stdin.take().unwrap();
    keyboard.write_all(typed.as_bytes()).unwrap();
    let run = wait(child);
    drop(keyboard);
    run
}

fn kubeconfig(port: u16) -> PathBuf {
    let path =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("kubeconfig-{}-{port}", std::process::id()));
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "scripted",
        "clusters": [{"name": "scripted", "cluster": {"server": format!("http://127.0.0.1:{port}")}}],
        "users": [{"name": "ci", "user": {}}],
        "contexts": [{"name": "scripted", "context": {"cluster": "scripted", "user": "ci", "namespace": "site"}}]
    });
    // JSON is YAML.
    std::fs::write(&path, config.to_string()).unwrap();
    path
}

pub(crate) fn run(api: &Api, words: &str) -> Run {
    wait(command(api, words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
}

/// The job's report, as a log has it.
pub(crate) const REPORT: [&str; 4] = [
    "upgrade from base to 2: 2 migrations",
    "  applied  1  create a      12 ms",
    "  applied  2  b              3 ms",
    "done: 2 migrations in 15 ms; the database is at 2 (head)",
];

/// What the log says when the second of two migrations begins.
pub(crate) const SECOND_BEGINS: &str =
    r#"{"level":"INFO","message":"applying 2 (b), 2 of 2","progress":"step"}"#;

/// The verdict that goes with it.
pub(crate) fn verdict() -> Value {
    json!({"outcome": "done", "exit_code": 0, "command": "upgrade", "from": "base", "to": 2, "current": 2, "head": 2,
        "steps": 2, "done": 2, "message": "", "migrations": [
            {"version": 1, "description": "create a", "status": "done", "milliseconds": 12},
            {"version": 2, "description": "b", "status": "done", "milliseconds": 3}]})
}

/// What the table of that verdict is, where the log is not to be had.
pub(crate) const TABLE: &str = "upgrade from base to 2: 2 migrations\n  applied  1  create a      12 ms\n  applied  2  b              \
                                3 ms\ndone: 2 migrations; the database is at 2 (head)\n";

pub(crate) fn whole_report() -> String {
    REPORT.join("\n") + "\n"
}

pub(crate) fn failed(code: u8, message: &str) -> Value {
    json!({"outcome": "x", "exit_code": code, "command": "upgrade", "from": "base", "to": 2, "current": "base", "head": 2,
        "steps": 2, "done": 0, "message": message})
}
