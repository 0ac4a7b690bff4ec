//! The repository itself: made on request, the way a place for releases should be.

use anyhow::Context;
use aws_sdk_ecr::types::{
    EncryptionConfiguration, EncryptionType, ImageScanningConfiguration, ImageTagMutability,
    ImageTagMutabilityExclusionFilter, ImageTagMutabilityExclusionFilterType,
};

use super::error::explain;
use super::{Ecr, lifecycle};
use settings::ecr::{Creation, Encryption, Tags};
use workspace::{process, ui};

/// What may move although tags are immutable: `latest` by its nature, `sha256-*` because signatures and attestations
/// of an image are added to.
const MOVABLE: [&str; 2] = ["latest", "sha256-*"];

impl Ecr {
    pub async fn create_repository(&self) -> anyhow::Result<()> {
        let creation = &self.creation;
        let repository = self.repository.as_str();
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
        let policy = lifecycle::policy(creation.keep_releases);
        let answer = self
            .api
            .put_lifecycle_policy()
            .registry_id(self.account.as_str())
            .repository_name(repository)
            .lifecycle_policy_text(&policy)
            .send()
            .await;
        // It is there, and would not be made again: what it lacks does not keep an image out.
        if let Err(error) = answer {
            let what = format!("the repository {repository} was created, but without its lifecycle policy");
            ui::warning(format!(
                "{:#}; add it with `{} --lifecycle-policy-text {}`",
                explain(&what, &error),
                self.command("put-lifecycle-policy"),
                process::quoted(&policy)
            ));
        }
        Ok(())
    }

    /// The commands that make it, for whoever prefers to do so, or has the rights.
    pub fn how_to_create(&self) -> String {
        format!(
            "create it with `cargo xtask push-image --create-repository`, or with `{} {}`",
            self.command("create-repository"),
            options(&self.creation)
        )
    }

    fn command(&self, operation: &str) -> String {
        format!(
            "aws ecr {operation} --region {} --registry-id {} --repository-name {}",
            self.region,
            self.account.as_str(),
            process::quoted(self.repository.as_str())
        )
    }
}

/// What stands in the settings, as options of the AWS CLI.
fn options(creation: &Creation) -> String {
    let tags = match creation.tags {
        Tags::Movable => "MUTABLE".to_owned(),
        Tags::Immutable => format!(
            "IMMUTABLE_WITH_EXCLUSION --image-tag-mutability-exclusion-filters {}",
            MOVABLE.map(|pattern| format!("'filterType=WILDCARD,filter={pattern}'")).join(" ")
        ),
    };
    let encryption = match &creation.encryption {
        Encryption::Aes256 => "encryptionType=AES256".to_owned(),
        Encryption::Kms { key: None } => "encryptionType=KMS".to_owned(),
        Encryption::Kms { key: Some(key) } => process::quoted(&format!("encryptionType=KMS,kmsKey={key}")),
    };
    format!(
        "--image-tag-mutability {tags} --image-scanning-configuration scanOnPush={} --encryption-configuration \
         {encryption}",
        creation.scan_on_push
    )
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_are_those_of_the_settings() {
        let usual = Creation {
            tags: Tags::Immutable,
            scan_on_push: true,
            encryption: Encryption::Aes256,
            keep_releases: 50,
        };
        assert_eq!(
            options(&usual),
            "--image-tag-mutability IMMUTABLE_WITH_EXCLUSION --image-tag-mutability-exclusion-filters \
             'filterType=WILDCARD,filter=latest' 'filterType=WILDCARD,filter=sha256-*' \
             --image-scanning-configuration scanOnPush=true --encryption-configuration encryptionType=AES256"
        );
        let key = Some("arn:aws:kms:eu-west-1:1:key/a".to_owned());
        let other = Creation {
            tags: Tags::Movable,
            scan_on_push: false,
            encryption: Encryption::Kms { key },
            ..usual
        };
        assert_eq!(
            options(&other),
            "--image-tag-mutability MUTABLE --image-scanning-configuration scanOnPush=false \
             --encryption-configuration encryptionType=KMS,kmsKey=arn:aws:kms:eu-west-1:1:key/a"
        );
    }
}
