//! Whether ECR holds the image that CI built of this commit.
//!
//! The identity tells it where this machine's compiler, linker and libc are those of CI. Elsewhere what the image says
//! of itself does: the commit it was built from, and nothing that goes into an image has changed since.

use anyhow::bail;

use super::checks::Git;
use super::inputs;
use crate::push_image::source::Source;
use registry::Ecr;
use registry::images::Found;
use registry::session::Session;
use settings::Settings;
use settings::ecr::EcrSettings;
use workspace::project::Project;

/// How many of the newest images are looked into.
const LOOKED_INTO: usize = 30;

pub(super) async fn is_in_ecr(
    git: &Git<'_>,
    settings: &Settings,
    registry: &EcrSettings,
    project: &Project,
) -> anyhow::Result<String> {
    let ecr = Ecr::connect(registry).await?;
    if let Ok(Source::Committed(identity)) = Source::read(project, settings, false).await
        && let Found::Image(manifest) = ecr.by_tag(&identity.tag()?).await?
    {
        return Ok(ecr.name().pinned(manifest.digest).to_string());
    }
    let session = Session::open(&ecr).await?;
    // Of a commit that is not known here nothing can be said, and in a shallow clone it may be the one that counts.
    let is_shallow = inputs::is_shallow(git)?;
    let mut unknown = None;
    for image in ecr.list().await?.unwrap_or_default().into_iter().take(LOOKED_INTO) {
        let described = ecr.describe(&image.digest, &session).await?;
        let Some(commit) = described.and_then(|(config, _)| config.commit) else { continue };
        // HEAD is main's last commit, or nothing is released.
        // HEAD is main's last commit, or nothing is released.
        let is_alike = inputs::are_those_of(git, &commit);
        match is_alike.and_then(|is_alike| Ok(is_alike && inputs::is_of_main(git, "HEAD", &commit)?)) {
            Ok(true) => return Ok(format!("{}, built from {commit}", ecr.name().pinned(image.digest))),
            Ok(false) => {}
            Err(error) if is_shallow => unknown = unknown.or(Some((image.digest, error))),
            Err(_) => {}
        }
    }
    let none = format!("{} holds no image of this commit", ecr.name());
    match unknown {
        Some((digest, error)) => bail!("{none}, unless it is {digest}: {error:#}"),
        None => bail!("{none}; CI pushes it once main is green"),
    }
}
