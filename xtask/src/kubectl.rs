//! kubectl, for the one thing it does without a cluster.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use crate::process;

/// What a kustomization renders to.
pub(crate) fn kustomize(directory: &Path) -> anyhow::Result<String> {
    if process::find("kubectl").is_none() {
        bail!(
            "kubectl is not on PATH, and renders {}; install it as https://kubernetes.io/docs/tasks/tools/ says \
             (version 1.27 or newer)",
            directory.display()
        );
    }
    process::output(Command::new("kubectl").arg("kustomize").arg(directory))
        .with_context(|| format!("cannot render {}", directory.display()))
}
