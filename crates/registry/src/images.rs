//! The images of the repository.

use std::time::SystemTime;

use anyhow::bail;
use aws_sdk_ecr::types::{ImageFailureCode, ImageIdentifier};

use super::Ecr;
use super::error::explain;
use image::manifest::{MEDIA_TYPES, Manifest};
use image::name::{Digest, Tag};

/// What was found under a tag or a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    Image(Manifest),
    NoImage,
    NoRepository,
}

/// What came of giving a manifest a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tagged {
    Added,
    AlreadyThere,
    /// The tag named another image before.
    Moved {
        from: Digest,
    },
    /// The tag names another image and may not be moved.
    Taken {
        by: Digest,
    },
}

/// One line of what `images` shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub digest: Digest,
    pub tags: Vec<String>,
    pub pushed: Option<SystemTime>,
    pub media_type: String,
}

impl Ecr {
    pub async fn by_tag(&self, tag: &Tag) -> anyhow::Result<Found> {
        self.get(ImageIdentifier::builder().image_tag(tag.as_str()).build(), tag.as_str()).await
    }

    pub async fn by_digest(&self, digest: &Digest) -> anyhow::Result<Found> {
        self.get(ImageIdentifier::builder().image_digest(digest.as_str()).build(), digest.as_str()).await
    }

    /// `BatchGetImage`, since `DescribeImages` may be forbidden where this is not.
    async fn get(&self, image: ImageIdentifier, what: &str) -> anyhow::Result<Found> {
        let answer = self
            .api
            .batch_get_image()
            .registry_id(self.account.as_str())
            .repository_name(self.repository.as_str())
            .image_ids(image)
            .set_accepted_media_types(Some(MEDIA_TYPES.map(str::to_owned).to_vec()))
            .send()
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) if error.as_service_error().is_some_and(aws_sdk_ecr::operation::batch_get_image::BatchGetImageError::is_repository_not_found_exception) => {
                return Ok(Found::NoRepository);
            }
            Err(error) => return Err(explain(&format!("cannot ask ECR for {what}"), &error)),
        };
        let Some(image) = answer.images().first() else {
            // Nothing said is nothing found; anything else said is no reason to build and push.
            return match answer.failures().first().map(|failure| (failure.failure_code(), failure)) {
                None | Some((None | Some(ImageFailureCode::ImageNotFound), _)) => Ok(Found::NoImage),
                Some((Some(code), failure)) => {
                    let why = failure.failure_reason().unwrap_or("no reason");
                    bail!("cannot ask ECR for {what}: {}: {why}", code.as_str())
                }
            };
        };
        let digest = image.image_id().and_then(ImageIdentifier::image_digest).unwrap_or_default();
        let media_type = image.image_manifest_media_type().unwrap_or_default();
        Manifest::new(digest, media_type, image.image_manifest().unwrap_or_default()).map(Found::Image)
    }

    /// Gives a manifest that ECR holds another tag: the same bytes, the same media type, hence the same digest.
    pub async fn tag(&self, manifest: &Manifest, tag: &Tag) -> anyhow::Result<Tagged> {
        let before = match self.by_tag(tag).await? {
            Found::Image(held) if held.digest == manifest.digest => return Ok(Tagged::AlreadyThere),
            Found::Image(held) => Some(held.digest),
            Found::NoImage | Found::NoRepository => None,
        };
        let answer = self
            .api
            .put_image()
            .registry_id(self.account.as_str())
            .repository_name(self.repository.as_str())
            .image_manifest(&manifest.text)
            .image_manifest_media_type(&manifest.media_type)
            .image_digest(manifest.digest.as_str())
            .image_tag(tag.as_str())
            .send()
            .await;
        let Err(error) = answer else {
            return Ok(before.map_or(Tagged::Added, |from| Tagged::Moved { from }));
        };
        let known = error.as_service_error();
        if known
            .is_some_and(aws_sdk_ecr::operation::put_image::PutImageError::is_image_already_exists_exception)
        {
            return Ok(Tagged::AlreadyThere);
        }
        if known.is_some_and(
            aws_sdk_ecr::operation::put_image::PutImageError::is_image_tag_already_exists_exception,
        ) {
            // Somebody may have been faster with the very same image.
            return match self.by_tag(tag).await? {
                Found::Image(held) if held.digest == manifest.digest => Ok(Tagged::AlreadyThere),
                Found::Image(held) => Ok(Tagged::Taken { by: held.digest }),
                _ => Err(explain(&format!("ECR did not give the image the tag {tag}"), &error)),
            };
        }
        Err(explain(&format!("ECR did not give the image the tag {tag}"), &error))
    }

    /// All of them, the newest first; none where there is no repository.
    pub async fn list(&self) -> anyhow::Result<Option<Vec<Listed>>> {
        let mut pages = self
            .api
            .describe_images()
            .registry_id(self.account.as_str())
            .repository_name(self.repository.as_str())
            .into_paginator()
            .items()
            .send();
        let mut images = Vec::new();
        while let Some(detail) = pages.next().await {
            let detail = match detail {
                Ok(detail) => detail,
                Err(error)
                    if error.as_service_error().is_some_and(aws_sdk_ecr::operation::describe_images::DescribeImagesError::is_repository_not_found_exception) =>
                {
                    return Ok(None);
                }
                Err(error) => return Err(explain("cannot list the images", &error)),
            };
            let mut tags = detail.image_tags().to_vec();
            tags.sort();
            images.push(Listed {
                digest: Digest::parse(detail.image_digest().unwrap_or_default())?,
                tags,
                pushed: detail.image_pushed_at().and_then(|time| SystemTime::try_from(*time).ok()),
                media_type: detail.image_manifest_media_type().unwrap_or_default().to_owned(),
            });
        }
        images.sort_by(|a, b| b.pushed.cmp(&a.pushed).then_with(|| a.digest.as_str().cmp(b.digest.as_str())));
        Ok(Some(images))
    }
}
