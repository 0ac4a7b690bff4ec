//! What has to come of a push, where somebody has looked into ECR before it.

use anyhow::{Context, bail, ensure};

use crate::ecr::Ecr;
use crate::ecr::images::Found;
use crate::ecr::verify::PinnedImage;
use crate::image::manifest::Content;
use crate::image::name::Digest;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expected {
    /// The image of these inputs, whoever pushed it.
    Anything,
    /// This one, which was verified: nothing is built, and nothing else gets a tag.
    Image(Digest),
    /// What this commit builds: it is built here, and what ECR holds by then must be the same.
    Own,
}

impl Expected {
    pub(super) fn parse(text: Option<&str>) -> anyhow::Result<Self> {
        match text {
            None => Ok(Self::Anything),
            Some("own") => Ok(Self::Own),
            Some(digest) => {
                Digest::parse(digest).map(Self::Image).context("neither `own` nor the digest of an image")
            }
        }
    }
}

/// The image must still be there. What takes its place was verified by nobody.
pub(super) async fn still_there(ecr: &Ecr, digest: &Digest) -> anyhow::Result<()> {
    let Found::Image(_) = ecr.by_digest(digest).await? else {
        bail!(
            "nothing is pushed and no tag is given: {} no longer holds {digest}, the image that was verified; find out who \
             deleted it, then run this again from the verification on",
            ecr.name()
        );
    };
    Ok(())
}

/// Whoever may push to ECR can be faster than this build. The same commit gives the same image, down to its config.
pub(super) fn built_here(image: &PinnedImage, own: &[u8]) -> anyhow::Result<()> {
    let own = Digest::of(own);
    let Content::Image { config, .. } = image.manifest().content()? else {
        bail!("no tag is given: somebody has pushed an index under the identity of these inputs")
    };
    ensure!(
        config == own,
        "no tag is given: while this image was built, somebody pushed {} under the identity of these inputs, with the \
         config {config}; that of the image built here is {own}; run this again from the verification on",
        image.manifest().digest
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expectation_is_a_digest_or_own() {
        let digest = Digest::of(b"one");
        for (text, expected) in [
            (None, Some(Expected::Anything)),
            (Some("own"), Some(Expected::Own)),
            (Some(digest.as_str()), Some(Expected::Image(digest.clone()))),
            // What a workflow says whose earlier step had no output.
            (Some(""), None),
            (Some("v1.2.3"), None),
        ] {
            assert_eq!(Expected::parse(text).ok(), expected, "{text:?}");
        }
    }
}
