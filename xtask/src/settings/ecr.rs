//! Where releases go: registry, account, region, repository, and what a repository of ours is like.

use anyhow::ensure;
use serde::Deserialize;

use crate::image::ecr_host::{self, Account, EcrHost, Endpoint};
use crate::image::name::{Registry, Repository};
use crate::image::reference::Name;

/// What may be typed or set in the environment.
#[derive(Debug, Default, Clone, clap::Args)]
pub(crate) struct EcrFlags {
    /// Region of the registry [default: that of the profile]
    #[arg(long, env = "AWS_REGION", value_name = "REGION", hide_env_values = true)]
    region: Option<String>,
    /// Account of the registry [default: that of the credentials]
    #[arg(long, env = "ECR_ACCOUNT", value_name = "DIGITS", hide_env_values = true)]
    account: Option<String>,
    /// Host of the registry, where it is not the usual one of account and region
    #[arg(long, env = "ECR_REGISTRY", value_name = "HOST", hide_env_values = true)]
    registry: Option<String>,
    /// Repository in the registry [default: the name of the image]
    #[arg(long, env = "ECR_REPOSITORY", value_name = "NAME", hide_env_values = true)]
    repository: Option<String>,
    /// Profile of ~/.aws/config; wins over keys in the environment, which win over AWS_PROFILE
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
}

/// `ecr` in `xtask/release.yaml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct EcrFile {
    region: Option<String>,
    account: Option<Digits>,
    registry: Option<String>,
    repository: Option<String>,
    create: Option<bool>,
    immutable_tags: Option<bool>,
    scan_on_push: Option<bool>,
    encryption: Option<String>,
    keep_releases: Option<u32>,
}

/// YAML takes twelve digits without quotes for a number.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Digits {
    Number(u64),
    Text(String),
}

/// What the tasks run on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EcrSettings {
    pub(crate) registry: Option<Registry>,
    pub(crate) account: Option<Account>,
    pub(crate) region: Option<String>,
    pub(crate) repository: Repository,
    pub(crate) profile: Option<String>,
    pub(crate) create: bool,
    pub(crate) creation: Creation,
}

/// How a repository is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Creation {
    pub(crate) tags: Tags,
    pub(crate) scan_on_push: bool,
    pub(crate) encryption: Encryption,
    pub(crate) keep_releases: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tags {
    /// All but `latest` and `sha256-*`.
    Immutable,
    Movable,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Encryption {
    Aes256,
    Kms { key: Option<String> },
}

impl EcrSettings {
    /// The registry, where settings alone tell it.
    pub(crate) fn registry_without_asking(&self) -> Option<Registry> {
        let host = || {
            let (account, region) = (self.account.clone()?, self.region.clone()?);
            EcrHost { account, region, endpoint: Endpoint::Usual }.registry().ok()
        };
        self.registry.clone().or_else(host)
    }
}

pub(super) fn resolve(
    flags: &EcrFlags,
    older_region: Option<String>,
    file: EcrFile,
    image: &Name,
) -> anyhow::Result<EcrSettings> {
    let set = |value: String| Some(value).filter(|value| !value.is_empty());
    let first =
        |flag: &Option<String>, file: Option<String>| flag.clone().and_then(set).or(file.and_then(set));
    let registry = first(&flags.registry, file.registry).as_deref().map(Registry::parse).transpose()?;
    let in_file = file.account.map(|digits| match digits {
        Digits::Number(number) => format!("{number:012}"),
        Digits::Text(text) => text,
    });
    let account = first(&flags.account, in_file).as_deref().map(Account::parse).transpose()?;
    let region =
        first(&flags.region, None).or_else(|| older_region.and_then(set)).or(file.region.and_then(set));
    if let Some(region) = &region {
        ecr_host::check_region(region)?;
    }
    if let (Some(account), Some(host)) = (&account, registry.as_ref().and_then(EcrHost::read)) {
        ensure!(
            host.account == *account,
            "the registry is one of account {}, but the account is set to {}; set one of them alone",
            host.account.as_str(),
            account.as_str()
        );
    }
    let repository = match first(&flags.repository, file.repository) {
        Some(repository) => Repository::parse(&repository)?,
        None => image.repository.clone(),
    };
    let keep_releases = file.keep_releases.unwrap_or(50);
    ensure!((1..=600).contains(&keep_releases), "keep_releases is {keep_releases}; use 1 to 600");
    Ok(EcrSettings {
        registry,
        account,
        region,
        repository,
        profile: flags.profile.clone().and_then(set),
        create: file.create.unwrap_or(false),
        creation: Creation {
            tags: if file.immutable_tags.unwrap_or(true) { Tags::Immutable } else { Tags::Movable },
            scan_on_push: file.scan_on_push.unwrap_or(true),
            encryption: match file.encryption.as_deref().unwrap_or("AES256") {
                "AES256" => Encryption::Aes256,
                "KMS" => Encryption::Kms { key: None },
                key if key.starts_with("arn:") => Encryption::Kms { key: Some(key.to_owned()) },
                other => {
                    anyhow::bail!("encryption {other:?} is none of AES256, KMS and the ARN of a KMS key")
                }
            },
            keep_releases,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(flags: &EcrFlags, older_region: Option<&str>, yaml: &str) -> anyhow::Result<EcrSettings> {
        let file = serde_yaml::from_str::<Option<EcrFile>>(yaml)?.unwrap_or_default();
        resolve(flags, older_region.map(str::to_owned), file, &Name::parse("run-migrations").unwrap())
    }

    #[test]
    fn the_first_that_is_set_wins() {
        let flag = |region: &str| EcrFlags { region: Some(region.to_owned()), ..EcrFlags::default() };
        for (flags, older, yaml, region) in [
            (EcrFlags::default(), None, "", None),
            (EcrFlags::default(), None, "region: eu-west-1", Some("eu-west-1")),
            (EcrFlags::default(), Some("eu-west-2"), "region: eu-west-1", Some("eu-west-2")),
            (flag("eu-west-3"), Some("eu-west-2"), "region: eu-west-1", Some("eu-west-3")),
            (flag(""), Some(""), "region: eu-west-1", Some("eu-west-1")),
        ] {
            assert_eq!(resolved(&flags, older, yaml).unwrap().region.as_deref(), region, "{yaml}");
        }
        let whole = resolved(
            &EcrFlags::default(),
            None,
            "account: 012345678901\nrepository: site/job\ncreate: true\nimmutable_tags: false\nscan_on_push: false\n\
             encryption: 'arn:aws:kms:eu-west-1:1:key/a'\nkeep_releases: 9\n",
        )
        .unwrap();
        assert_eq!(whole.account.unwrap().as_str(), "012345678901");
        assert_eq!(whole.repository.as_str(), "site/job");
        assert!(whole.create);
        let key = Some("arn:aws:kms:eu-west-1:1:key/a".to_owned());
        assert_eq!(
            whole.creation,
            Creation {
                tags: Tags::Movable,
                scan_on_push: false,
                encryption: Encryption::Kms { key },
                keep_releases: 9
            }
        );
        let plain = resolved(&EcrFlags::default(), None, "account: 123456789012").unwrap();
        assert_eq!(plain.account.unwrap().as_str(), "123456789012");
        assert_eq!(plain.creation.tags, Tags::Immutable);
    }

    #[test]
    fn mistakes_are_named() {
        for (yaml, message) in [
            ("regio: eu-west-1", "unknown field `regio`"),
            ("region: eu-west-1\nkeep: 5", "at line 2 column 1"),
            ("region: Ireland", "region \"Ireland\" is not one"),
            ("account: '1'", "account \"1\" is not one"),
            ("repository: A", "repository \"A\" is not one"),
            ("registry: https://host", "registry \"https://host\" is not one"),
            ("encryption: rot13", "encryption \"rot13\" is none of"),
            ("keep_releases: 0", "keep_releases is 0; use 1 to 600"),
            (
                "account: '999999999999'\nregistry: 123456789012.dkr.ecr.eu-west-1.amazonaws.com",
                "the registry is one of account 123456789012, but the account is set to 999999999999",
            ),
        ] {
            let error = format!("{:#}", resolved(&EcrFlags::default(), None, yaml).unwrap_err());
            assert!(error.contains(message), "{yaml}: {error}");
        }
    }
}
