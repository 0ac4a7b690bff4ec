//! kubectl, for the one thing it does without a cluster, and for the tests' own errands.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use crate::process;

/// What a kustomization renders to.
pub fn kustomize(directory: &Path) -> anyhow::Result<String> {
    if process::find("kubectl").is_none() {
        bail!("{MISSING}; it renders {}", directory.display());
    }
    process::output(Command::new("kubectl").arg("kustomize").arg(directory))
        .with_context(|| format!("cannot render {}", directory.display()))
}

/// What it prints, asked with these words.
pub fn run(words: &[&str]) -> anyhow::Result<String> {
    process::output(Command::new("kubectl").args(words))
}

/// Why nothing of it can be done, and what to do.
pub const MISSING: &str = "kubectl is not on PATH; install it as https://kubernetes.io/docs/tasks/tools/ says \
                                  (version 1.27 or newer)";
