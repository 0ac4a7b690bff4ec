//! The repository itself: made on request, the way a place for releases should be.

use anyhow::Context;
use aws_sdk_ecr::types::{
    EncryptionConfiguration, EncryptionType, ImageScanningConfiguration, ImageTagMutability,
    ImageTagMutabilityExclusionFilter, ImageTagMutabilityExclusionFilterType,
};

use super::error::explain;
use super::{Ecr, lifecycle};
use crate::process;
use crate::settings::ecr::{Creation, Encryption, Tags};

/// What may move although tags are immutable: `latest` by its nature, `sha256-*` because signatures and attestations
/// of an image are added to.
const MOVABLE: [&str; 2] = ["latest", "sha256-*"];

impl Ecr {
    pub(crate) async fn create_repository(&self, creation: &Creation) -> anyhow::Result<()> {
        let repository = self.name.repository.as_str();
        let mut request = self
            .api
            .create_repository()
            .registry_id(self.account.as_str())
            .repository_name(repository)
            .image_scanning_configuration(
                ImageScanningConfiguration::builder().scan_on_push(creation.scan_on_push).build(),
            )
            .encryption_configuration(encryption(&creation.encryption)?);
        request = match creation.tags {
            Tags::Movable => request.image_tag_mutability(ImageTagMutability::Mutable),
            Tags::Immutable => {
                for pattern in MOVABLE {
                    let filter = ImageTagMutabilityExclusionFilter::builder()
                        .filter_type(ImageTagMutabilityExclusionFilterType::Wildcard)
                        .filter(pattern)
                        .build()
                        .context("no filter")?;
                    request = request.image_tag_mutability_exclusion_filters(filter);
                }
                request.image_tag_mutability(ImageTagMutability::ImmutableWithExclusion)
            }
        };
        match request.send().await {
            Ok(_) => {}
            // Somebody else was faster; it is theirs, with their options.
            Err(error)
                if error.as_service_error().is_some_and(aws_sdk_ecr::operation::create_repository::CreateRepositoryError::is_repository_already_exists_exception) =>
            {
                return Ok(());
            }
            Err(error) => {
                return Err(explain(&format!("the repository {repository} was not created"), &error));
            }
        }
        self.api
            .put_lifecycle_policy()
            .registry_id(self.account.as_str())
            .repository_name(repository)
            .lifecycle_policy_text(lifecycle::policy(creation.keep_releases))
            .send()
            .await
            .map(drop)
            .map_err(|error| {
                explain(&format!("the repository {repository} has no lifecycle policy yet"), &error)
            })
    }

    /// The commands that make it, for whoever prefers to do so, or has the rights.
    pub(crate) fn how_to_create(&self) -> String {
        let repository = process::quoted(self.name.repository.as_str());
        format!(
            "create it with `cargo xtask push-image --create-repository`, or with `aws ecr create-repository --region {} \
             --repository-name {repository} --image-tag-mutability IMMUTABLE_WITH_EXCLUSION \
             --image-tag-mutability-exclusion-filters {}`",
            self.region,
            MOVABLE.map(|pattern| format!("'filterType=WILDCARD,filter={pattern}'")).join(" ")
        )
    }
}

fn encryption(encryption: &Encryption) -> anyhow::Result<EncryptionConfiguration> {
    let builder = EncryptionConfiguration::builder();
    match encryption {
        Encryption::Aes256 => builder.encryption_type(EncryptionType::Aes256),
        Encryption::Kms { key: None } => builder.encryption_type(EncryptionType::Kms),
        Encryption::Kms { key: Some(key) } => builder.encryption_type(EncryptionType::Kms).kms_key(key),
    }
    .build()
    .context("no encryption")
}
