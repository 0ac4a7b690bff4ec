//! Where things stand in the checkout, whatever folder the command was typed in.

use std::path::{Path, PathBuf};

use anyhow::Context;
use sha2::{Digest, Sha256};

#[derive(Debug, Clone)]
pub struct Project {
    root: PathBuf,
}

impl Project {
    /// The one around the current directory; else that of the package cargo runs.
    pub fn find() -> anyhow::Result<Self> {
        let current = std::env::current_dir().context("there is no current directory")?;
        let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let root = [Some(&current), package.as_ref()].into_iter().flatten().find_map(|start| around(start));
        let root = root.with_context(|| {
            format!("{} is in no checkout of run-migrations; run this inside one", current.display())
        })?;
        let root = root.canonicalize().with_context(|| format!("cannot resolve {}", root.display()))?;
        Ok(Self { root })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn migrations(&self) -> PathBuf {
        self.root.join("migrations")
    }

    /// What this program keeps between runs. It stays in the checkout even where cargo is told to build elsewhere. Where it
    /// is a link, it has the name of what that leads to: to cargo, the same files under another name are to be compiled anew.
    pub fn target(&self) -> PathBuf {
        let target = self.root.join("target");
        target.canonicalize().unwrap_or(target)
    }

    /// Eight hexadecimal digits that tell this checkout from another one on the same machine.
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::digest(self.root.as_os_str().as_encoded_bytes());
        digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The nearest directory with a workspace that has `xtask`.
fn around(start: &Path) -> Option<&Path> {
    let is_workspace = |text: String| text.lines().any(|line| line.trim_end() == "[workspace]");
    start.ancestors().find(|directory| {
        directory.join("xtask/Cargo.toml").is_file()
            && std::fs::read_to_string(directory.join("Cargo.toml")).is_ok_and(is_workspace)
    })
}
