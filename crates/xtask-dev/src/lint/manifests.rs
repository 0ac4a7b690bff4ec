//! Manifests are held against the schemas of the oldest and the newest Kubernetes they are for: the files, and what
//! kustomize makes of them, since a patch may set what no schema knows.

use std::path::{Path, PathBuf};

use anyhow::Context;

use workspace::kubectl;
use workspace::project::Project;

/// Minors of Kubernetes; `podReplacementPolicy` and all of `podFailurePolicy` are there since the oldest.
pub(super) const VERSIONS: [&str; 2] = ["1.33", "1.37"];

/// Renders each kustomization into a file below `target/`, named after its directory.
pub(super) fn render(kustomizations: &[String], project: &Project) -> anyhow::Result<Vec<PathBuf>> {
    let below = project.target().join("xtask/rendered");
    std::fs::create_dir_all(&below).with_context(|| format!("cannot make {}", below.display()))?;
    let mut files = Vec::new();
    for path in kustomizations {
        let directory = Path::new(path).parent().unwrap_or(Path::new(""));
        let text = kubectl::kustomize(&project.root().join(directory))?;
        let file = below.join(format!("{}.yaml", directory.display().to_string().replace('/', "-")));
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        files.push(file);
    }
    Ok(files)
}
