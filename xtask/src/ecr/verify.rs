//! The proof that ECR holds what was meant. Only it makes a `PinnedImage`.

use std::time::Duration;

use anyhow::{Context, bail};

use super::Ecr;
use super::images::Found;
use crate::docker::login::credentials::Credentials;
use crate::image::manifest::{Config, Content, Manifest};
use crate::image::name::{Digest, Name, Tag};
use crate::settings::Platform;

/// A registry may need a moment until all of it knows what one part has taken.
const PAUSES: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(3)];

/// An image that ECR was seen to hold, for the platform that was asked for.
#[derive(Debug, Clone)]
pub(crate) struct PinnedImage {
    name: Name,
    manifest: Manifest,
    platform: Platform,
    config: Config,
    sizes: Sizes,
}

/// Bytes of an image's blobs, as they were uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) config: u64,
    pub(crate) layers: Vec<u64>,
}

impl Sizes {
    pub(crate) fn all(&self) -> u64 {
        self.config + self.layers.iter().sum::<u64>()
    }
}

impl PinnedImage {
    /// `registry/repository@sha256:…`
    pub(crate) fn reference(&self) -> String {
        self.name.pinned(&self.manifest.digest)
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(crate) fn platform(&self) -> Platform {
        self.platform
    }

    pub(crate) fn commit(&self) -> Option<&str> {
        self.config.commit.as_deref()
    }

    pub(crate) fn sizes(&self) -> &Sizes {
        &self.sizes
    }
}

impl Ecr {
    /// Digest, media type and platform.
    pub(crate) async fn verify(
        &self,
        digest: &Digest,
        platform: Platform,
        credentials: &Credentials,
    ) -> anyhow::Result<PinnedImage> {
        let manifest = self.confirmed(digest).await?;
        let (config, sizes) = self.config(&manifest, platform, credentials).await?;
        config.check(platform)?;
        Ok(PinnedImage { name: self.name.clone(), manifest, platform, config, sizes })
    }

    /// That a tag names the image now.
    pub(crate) async fn verify_tag(&self, tag: &Tag, digest: &Digest) -> anyhow::Result<()> {
        let mut found = Found::NoImage;
        for pause in PAUSES {
            tokio::time::sleep(pause).await;
            found = self.by_tag(tag).await?;
            if matches!(&found, Found::Image(held) if held.digest == *digest) {
                return Ok(());
            }
        }
        match found {
            Found::Image(held) => {
                bail!("{tag} names {} in ECR, not {digest}; somebody else has moved it just now", held.digest)
            }
            _ => bail!("ECR does not know the tag {tag} that it has just been given"),
        }
    }

    async fn confirmed(&self, digest: &Digest) -> anyhow::Result<Manifest> {
        for pause in PAUSES {
            tokio::time::sleep(pause).await;
            if let Found::Image(manifest) = self.by_digest(digest).await? {
                return Ok(manifest);
            }
        }
        bail!(
            "ECR does not confirm the push: {} has no image {digest}; push again, and look at who else writes there",
            self.name
        )
    }

    async fn config(
        &self,
        manifest: &Manifest,
        platform: Platform,
        credentials: &Credentials,
    ) -> anyhow::Result<(Config, Sizes)> {
        let mut content = manifest.content()?;
        if let Content::Index(children) = &content {
            let offered = || children.iter().map(|child| child.0.as_str()).collect::<Vec<_>>().join(", ");
            let (_, child) = children.iter().find(|child| child.0 == platform.name()).with_context(|| {
                format!("the image in ECR is for {}, not for {}", offered(), platform.name())
            })?;
            content = self.confirmed(child).await?.content()?;
        }
        let Content::Image { config, config_size, layers } = content else {
            bail!("{} holds an index in an index", manifest.digest)
        };
        let bytes = self
            .http
            .blob(&self.name, &config, credentials)
            .await
            .context("cannot read the image's config")?;
        Ok((Config::parse(&bytes)?, Sizes { config: config_size, layers }))
    }

    /// What an image that is only listed says about itself; nothing where it is no image.
    pub(crate) async fn describe(
        &self,
        digest: &Digest,
        credentials: &Credentials,
    ) -> anyhow::Result<Option<(Config, u64)>> {
        let Found::Image(manifest) = self.by_digest(digest).await? else { return Ok(None) };
        let Content::Image { config, config_size, layers } = manifest.content()? else { return Ok(None) };
        let bytes = self
            .http
            .blob(&self.name, &config, credentials)
            .await
            .context("cannot read the image's config")?;
        let size = Sizes { config: config_size, layers }.all();
        Ok(Config::parse(&bytes).ok().map(|config| (config, size)))
    }
}
