//! Where things stand in the checkout, whatever folder the command was typed in.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};

/// The checkout this program was built from.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    root: PathBuf,
}

impl Project {
    /// `cargo run` says where the package stands; a copied binary falls back to where it was compiled.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest.parent().unwrap_or(&manifest).to_owned();
        if !root.join("xtask/Cargo.toml").is_file() {
            bail!(
                "{} is not a checkout of run-migrations (any more); run this as `cargo xtask` inside one",
                root.display()
            );
        }
        let root = root.canonicalize().with_context(|| format!("cannot resolve {}", root.display()))?;
        Ok(Self { root })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn migrations(&self) -> PathBuf {
        self.root.join("migrations")
    }

    /// What this program keeps between runs. It stays in the checkout even where cargo is told to build elsewhere.
    pub(crate) fn target(&self) -> PathBuf {
        self.root.join("target")
    }

    /// Eight hexadecimal digits that tell this checkout from another one on the same machine.
    pub(crate) fn fingerprint(&self) -> String {
        let digest = Sha256::digest(self.root.as_os_str().as_encoded_bytes());
        digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
    }
}
