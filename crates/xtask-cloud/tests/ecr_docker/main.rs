//! `push-image` with images that a real Docker daemon builds and pushes, and faults on the way: `cargo xtask test --all`.

#![expect(clippy::unwrap_used, reason = "a test that unwraps nothing has failed")]

mod containerd;
mod faults;
mod host_name;
mod push;
#[path = "../ecr/support/mod.rs"]
mod support;

use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use support::emulator::Repository;
use support::snapshot::Snapshot;
use support::{Scratch, run, xtask};

/// What a push needs. One at a time: they build from one tree and compile in one directory.
struct Push {
    scratch: Scratch,
    snapshot: Snapshot,
    repository: Repository,
    _alone: MutexGuard<'static, ()>,
}

static ALONE: Mutex<()> = Mutex::new(());

impl Push {
    fn to(repository: Repository) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        Self { scratch: Scratch::new(), snapshot: Snapshot::take(), repository, _alone: alone }
    }

    fn command(&self, words: &str, registry: &str) -> Command {
        let mut command = xtask(&format!("push-image {words}"), registry, &self.scratch);
        command
            .current_dir(self.snapshot.root())
            .env("ECR_REPOSITORY", &self.repository.0)
            .env("IMAGE", IMAGE);
        for name in ["DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
    }

    fn identity(&self) -> String {
        self.snapshot.identity(&self.scratch)
    }
}

const IMAGE: &str = "run-migrations-test-ecr";

fn docker(words: &[&str]) -> String {
    run(Command::new("docker").args(words)).succeeded().stdout.trim().to_owned()
}
