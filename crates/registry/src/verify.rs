//! The proof that ECR holds what was meant. Only it makes a `PinnedImage`.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};

use super::Ecr;
use super::http::Blob;
use super::images::Found;
use super::session::Session;
use image::manifest::{Config, Content, Manifest};
use image::name::{Digest, Tag};
use image::platform::Platform;
use image::reference::PinnedReference;

/// A registry may need a moment until all of it knows what one part has taken.
const PAUSES: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(3)];

/// An image that ECR was seen to hold, for the platform that was asked for.
#[derive(Debug, Clone)]
pub struct PinnedImage {
    reference: PinnedReference,
    manifest: Manifest,
    platform: Platform,
    config: Config,
    sizes: Sizes,
}

/// Bytes of an image's blobs, as they were uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sizes {
    pub config: u64,
    pub layers: Vec<u64>,
}

impl Sizes {
    pub fn all(&self) -> u64 {
        self.config + self.layers.iter().sum::<u64>()
    }
}

impl PinnedImage {
    pub fn reference(&self) -> &PinnedReference {
        &self.reference
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub fn platform(&self) -> Platform {
        self.platform
    }

    pub fn commit(&self) -> Option<&str> {
        self.config.commit.as_deref()
    }

    pub fn sizes(&self) -> &Sizes {
        &self.sizes
    }
}

impl Ecr {
    /// Digest, media type and platform of an image.
    pub async fn verify(
        &self,
        digest: &Digest,
        platform: Platform,
        session: &Session,
    ) -> anyhow::Result<PinnedImage> {
        let manifest = self.confirmed(digest).await?;
        self.pinned(manifest, platform, None, session).await
    }

    /// The same of one that was pushed under a tag: that the tag names it, too. A config that we have ourselves, and
    /// that the manifest names by its digest, need not come back.
    pub async fn verify_pushed(
        &self,
        tag: &Tag,
        digest: &Digest,
        platform: Platform,
        config: &[u8],
        session: &Session,
    ) -> anyhow::Result<PinnedImage> {
        let manifest = match self.named(tag, digest).await? {
            Ok(manifest) => manifest,
            Err(found) => {
                // An image that is not there has no tag either: the first says more.
                self.confirmed(digest).await?;
                return Err(unnamed(tag, digest, &found));
            }
        };
        self.pinned(manifest, platform, Some(config), session).await
    }

    /// That a tag names the image now.
    pub async fn verify_tag(&self, tag: &Tag, digest: &Digest) -> anyhow::Result<()> {
        self.named(tag, digest).await?.map(drop).map_err(|found| unnamed(tag, digest, &found))
    }

    /// The image's manifest by its tag, else what is there instead.
    async fn named(&self, tag: &Tag, digest: &Digest) -> anyhow::Result<Result<Manifest, Found>> {
        let mut found = Found::NoImage;
        for pause in PAUSES {
            tokio::time::sleep(pause).await;
            found = self.by_tag(tag).await?;
            match found {
                Found::Image(manifest) if manifest.digest == *digest => return Ok(Ok(manifest)),
                _ => {}
            }
        }
        Ok(Err(found))
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
            self.name()
        )
    }

    async fn pinned(
        &self,
        manifest: Manifest,
        platform: Platform,
        config: Option<&[u8]>,
        session: &Session,
    ) -> anyhow::Result<PinnedImage> {
        let mut content = manifest.content()?;
        if let Content::Index(children) = &content {
            let offered = || children.iter().map(|child| child.0.as_str()).collect::<Vec<_>>().join(", ");
            let (_, child) = children.iter().find(|child| child.0 == platform.name()).with_context(|| {
                format!("the image in ECR is for {}, not for {}", offered(), platform.name())
            })?;
            content = self.confirmed(child).await?.content()?;
        }
        let Content::Image { config: named, config_size, layers } = content else {
            bail!("{} holds an index in an index", manifest.digest)
        };
        let config = match config.filter(|config| Digest::of(config) == named) {
            Some(config) => Config::parse(config)?,
            None => Config::parse(&self.config(&named, session).await?)?,
        };
        config.check(platform)?;
        let reference = self.name().pinned(manifest.digest.clone());
        Ok(PinnedImage {
            reference,
            manifest,
            platform,
            config,
            sizes: Sizes { config: config_size, layers },
        })
    }

    /// The bytes of an image's config.
    async fn config(&self, digest: &Digest, session: &Session) -> anyhow::Result<Vec<u8>> {
        let mut credentials = session.credentials();
        loop {
            let blob = self.http.blob(&self.registry, &self.repository, digest, credentials).await;
            if let Blob::Content(bytes) = blob.context("cannot read the image's config")? {
                return Ok(bytes);
            }
            let refusal = format!("it does not give out {digest}");
            credentials = session.instead(credentials, self, &refusal).await?.with_context(|| {
                format!(
                    "cannot read the image's config: the registry refuses to give out {digest}; whoever this is needs \
                     ecr:GetDownloadUrlForLayer and ecr:BatchGetImage"
                )
            })?;
        }
    }

    /// What an image that is only listed says about itself; nothing where it is no image.
    pub async fn describe(
        &self,
        digest: &Digest,
        session: &Session,
    ) -> anyhow::Result<Option<(Config, u64)>> {
        let Found::Image(manifest) = self.by_digest(digest).await? else { return Ok(None) };
        let Content::Image { config, config_size, layers } = manifest.content()? else { return Ok(None) };
        let size = Sizes { config: config_size, layers }.all();
        let config = Config::parse(&self.config(&config, session).await?);
        Ok(config.ok().map(|config| (config, size)))
    }
}

fn unnamed(tag: &Tag, digest: &Digest, found: &Found) -> anyhow::Error {
    match found {
        Found::Image(held) => {
            anyhow!("{tag} names {} in ECR, not {digest}; somebody else has moved it just now", held.digest)
        }
        _ => anyhow!("ECR does not know the tag {tag} that it has just been given"),
    }
}
