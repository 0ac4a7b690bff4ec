//! What the tests of ECR share: the real `xtask` with a scrubbed environment, the emulator, a proxy that fails on demand.

#![allow(dead_code, reason = "each test program uses some of it")]

pub(crate) mod emulator;
pub(crate) mod proxy;
pub(crate) mod snapshot;
pub(crate) mod tree;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// What the emulator hands out.
pub(crate) const PASSWORD: &str = "ministack-auth-token";

/// Of somebody the registry knows, who may only read, and of somebody who may do nothing here.
pub(crate) const LESSER: [&str; 2] = ["token-of-one-who-reads", "token-of-another-account"];

/// docker's config.json with a token for a registry in it.
pub(crate) fn stored(registry: &str, password: &str) -> String {
    use base64::Engine;
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("AWS:{password}"));
    format!(r#"{{"auths": {{"{registry}": {{"auth": "{auth}"}}}}}}"#)
}

/// A directory of one test, gone at the end.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("xtask-ecr-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.0.join("config.json")
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A program in a directory `bin` of its own.
    pub(crate) fn program(&self, name: &str, script: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let bin = self.0.join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        let path = bin.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        bin
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The checkout.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The real program, with the registry at an address, docker's config in the scratch directory, and no other
/// credentials than those of the emulator.
pub(crate) fn xtask(words: &str, registry: &str, scratch: &Scratch) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask-cloud"));
    command.args(words.split_whitespace()).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let text = text.to_ascii_uppercase();
        let known = [
            "AWS_",
            "ECR_",
            "DOCKER_",
            "POSTGRES_",
            "GIT_",
            "GITHUB_",
            "RUST_LOG",
            "IMAGE",
            "HTTP",
            "ALL_PROXY",
            "NO_PROXY",
        ];
        if known.iter().any(|start| text.starts_with(start)) {
            command.env_remove(&name);
        }
    }
    command
        .env("NO_COLOR", "1")
        .env("HOME", scratch.path())
        .env("CARGO_HOME", cargo_home())
        .env("DOCKER_CONFIG", scratch.path())
        .env("AWS_ENDPOINT_URL", format!("http://{registry}"))
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("ECR_REGISTRY", registry);
    // rustup looks for its toolchains in the home directory too.
    if let (None, Some(home)) = (std::env::var_os("RUSTUP_HOME"), std::env::var_os("HOME")) {
        command.env("RUSTUP_HOME", Path::new(&home).join(".rustup"));
    }
    command
}

fn cargo_home() -> PathBuf {
    let set = |name| std::env::var_os(name).map(PathBuf::from);
    set("CARGO_HOME").or_else(|| set("HOME").map(|home| home.join(".cargo"))).unwrap()
}

/// What a program printed and how it ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
}

pub(crate) fn run(command: &mut Command) -> Run {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Run { stdout: text(&stdout), stderr: text(&stderr), code: status.code() }
}

impl Run {
    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Failed, and said each of these.
    #[track_caller]
    pub(crate) fn failed(self, said: &[&str]) -> Self {
        assert_eq!(self.code, Some(1), "{}\n{}", self.stdout, self.stderr);
        assert_eq!(self.stdout, "", "nothing is on stdout");
        self.said(said)
    }

    #[track_caller]
    pub(crate) fn said(self, said: &[&str]) -> Self {
        for said in said {
            assert!(self.stderr.contains(said), "{said:?} is not in:\n{}", self.stderr);
        }
        self
    }
}
