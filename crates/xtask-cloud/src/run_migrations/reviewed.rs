//! What a workflow may run: an image of the registry that its settings name, and manifests of its checkout. Both come from
//! what was reviewed; whatever else says so is refused.

use std::path::Path;

use anyhow::{Context, ensure};

use cluster::reference::Reference;
use registry::Ecr;
use settings::ecr::EcrFlags;
use settings::{ImageFlags, Settings};
use workspace::project::Project;

/// Where the settings name an account: the image is of its registry, and so are the credentials.
pub(super) async fn image(image: &Reference, project: &Project) -> anyhow::Result<()> {
    let (_, registry) =
        Settings::read_with_ecr(&ImageFlags::default(), &EcrFlags::of_environment(), project)?;
    if registry.account.is_none() {
        return Ok(());
    }
    let ours = Ecr::connect(&registry).await?.name();
    let is_ours = matches!(image, Reference::Pinned(pinned) if pinned.name == ours);
    ensure!(
        is_ours,
        "{image} is not an image of {ours} named by its digest, and a workflow runs nothing else"
    );
    Ok(())
}

/// They are files of the checkout.
pub(super) fn manifests(path: &Path, project: &Project) -> anyhow::Result<()> {
    let root = project.root();
    let place = root.join(path).canonicalize().with_context(|| format!("cannot find {}", path.display()))?;
    ensure!(
        path.is_relative() && place.starts_with(root),
        "the manifests {} are not in the checkout, where they are reviewed; a workflow runs no others",
        path.display()
    );
    Ok(())
}
