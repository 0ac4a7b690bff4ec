//! Where releases go: registry, account, region, repository, and what a repository of ours is like.

use anyhow::bail;

use image::ecr_host::{self, Account, EcrHost, Endpoint};
use image::name::{Registry, Repository};
use image::reference::Name;
use workspace::given::{Environment, Given, Mistakes};
use workspace::yaml::Node;

/// What may be typed or set in the environment.
#[derive(Debug, Default, Clone, clap::Args)]
pub struct EcrFlags {
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

impl EcrFlags {
    /// What is set in the environment, for a task that has other flags.
    pub fn of_environment() -> Self {
        let set = |variable: &str| std::env::var(variable).ok();
        Self {
            region: set("AWS_REGION"),
            account: set("ECR_ACCOUNT"),
            registry: set("ECR_REGISTRY"),
            repository: set("ECR_REPOSITORY"),
            profile: None,
        }
    }
}

/// `ecr` in `xtask/release.yaml`.
#[derive(Debug, Default)]
pub(super) struct EcrFile {
    region: Option<Given>,
    account: Option<Given>,
    registry: Option<Given>,
    repository: Option<Given>,
    create: Option<bool>,
    immutable_tags: Option<bool>,
    scan_on_push: Option<bool>,
    encryption: Option<Given>,
    keep_releases: Option<Given<u64>>,
}

impl EcrFile {
    pub(super) fn read(node: Option<Node<'_>>, mistakes: &mut Mistakes) -> Self {
        let keys = [
            "region",
            "account",
            "registry",
            "repository",
            "create",
            "immutable_tags",
            "scan_on_push",
            "encryption",
            "keep_releases",
        ];
        let mut section = mistakes.section(node, &keys);
        Self {
            region: mistakes.text(&mut section, "region"),
            account: mistakes.text(&mut section, "account"),
            registry: mistakes.text(&mut section, "registry"),
            repository: mistakes.text(&mut section, "repository"),
            create: mistakes.yes_or_no(&mut section, "create"),
            immutable_tags: mistakes.yes_or_no(&mut section, "immutable_tags"),
            scan_on_push: mistakes.yes_or_no(&mut section, "scan_on_push"),
            encryption: mistakes.text(&mut section, "encryption"),
            keep_releases: mistakes.number(&mut section, "keep_releases"),
        }
    }
}

/// What the tasks run on. A host of ECR tells account and region too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcrSettings {
    pub registry: Option<Registry>,
    pub account: Option<Account>,
    pub region: Option<String>,
    pub repository: Repository,
    pub profile: Option<String>,
    pub create: bool,
    pub creation: Creation,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creation {
    pub tags: Tags,
    pub scan_on_push: bool,
    pub encryption: Encryption,
    pub keep_releases: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tags {
    /// All but `latest` and `sha256-*`.
    Immutable,
    Movable,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encryption {
    Aes256,
    Kms { key: Option<String> },
}

impl EcrSettings {
    /// The registry, where settings alone tell it.
    pub fn registry_without_asking(&self) -> Option<Registry> {
        let host = || {
            let (account, region) = (self.account.clone()?, self.region.clone()?);
            EcrHost { account, region, endpoint: Endpoint::Usual }.registry().ok()
        };
        self.registry.clone().or_else(host)
    }
}

/// Nothing if something is wrong. The image's name, if that is right, is the repository's where none is set.
pub(super) fn resolve(
    flags: &EcrFlags,
    file: EcrFile,
    image: Option<&Name>,
    environment: Environment<'_>,
    mistakes: &mut Mistakes,
) -> Option<EcrSettings> {
    let typed =
        |value: &Option<String>, flag, variable| Given::typed(value.as_ref(), flag, variable, environment);
    let registry = typed(&flags.registry, "--registry", "ECR_REGISTRY").or(file.registry);
    let account = typed(&flags.account, "--account", "ECR_ACCOUNT").or(file.account);
    let region = typed(&flags.region, "--region", "AWS_REGION")
        .or_else(|| Given::set("AWS_DEFAULT_REGION", environment))
        .or(file.region);
    let repository = typed(&flags.repository, "--repository", "ECR_REPOSITORY").or(file.repository);
    let by = |given: &Option<Given>| given.as_ref().map(|given| given.by.clone()).unwrap_or_default();
    let (by_account, by_region) = (by(&account), by(&region));

    let registry = mistakes.check(registry, Registry::parse);
    let account = mistakes.check(account, Account::parse);
    let region = mistakes.check(region, |region| {
        ecr_host::check_region(region)?;
        Ok(region.to_owned())
    });
    let host = registry.as_ref().and_then(EcrHost::read);
    // What the environment says is the region of whatever else is done there.
    let region = region.filter(|_| host.is_none() || !by_region.starts_with("AWS_"));
    if let Some(host) = &host {
        let mut compare = |by: &str, what: &str, own: Option<&str>, host: &str| {
            if let Some(own) = own.filter(|own| *own != host) {
                let but = format!("but the registry is one of {what} {host}; set one of them alone");
                mistakes.add(by, format!("the {what} is {own}, {but}"));
            }
        };
        compare(&by_account, "account", account.as_ref().map(Account::as_str), host.account.as_str());
        compare(&by_region, "region", region.as_deref(), &host.region);
    }
    let repository = match repository {
        Some(repository) => mistakes.check(Some(repository), Repository::parse),
        None => image.map(|image| image.repository.clone()),
    };
    let encryption = mistakes.check(file.encryption, Encryption::parse);
    let keep_releases = file.keep_releases.and_then(|Given { value, by }| {
        let known = u32::try_from(value).ok().filter(|number| (1..=600).contains(number));
        if known.is_none() {
            mistakes.add(&by, format!("keep_releases is {value}; use 1 to 600"));
        }
        known
    });
    Some(EcrSettings {
        account: account.or_else(|| Some(host.as_ref()?.account.clone())),
        region: region.or_else(|| Some(host?.region)),
        registry,
        repository: repository?,
        profile: flags.profile.clone().filter(|profile| !profile.is_empty()),
        create: file.create.unwrap_or(false),
        creation: Creation {
            tags: if file.immutable_tags.unwrap_or(true) { Tags::Immutable } else { Tags::Movable },
            scan_on_push: file.scan_on_push.unwrap_or(true),
            encryption: encryption.unwrap_or(Encryption::Aes256),
            keep_releases: keep_releases.unwrap_or(50),
        },
    })
}

impl Encryption {
    fn parse(text: &str) -> anyhow::Result<Self> {
        match text {
            "AES256" => Ok(Self::Aes256),
            "KMS" => Ok(Self::Kms { key: None }),
            key if key.starts_with("arn:") => Ok(Self::Kms { key: Some(key.to_owned()) }),
            other => bail!("invalid encryption {other:?}; expected AES256, KMS or the ARN of a KMS key"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(flags: &EcrFlags, older_region: Option<&str>, yaml: &str) -> anyhow::Result<EcrSettings> {
        let mut mistakes = Mistakes::default();
        let file = EcrFile::read(Some(workspace::yaml::parse(yaml)?), &mut mistakes);
        let environment = |name: &str| match name {
            "AWS_DEFAULT_REGION" => older_region.map(str::to_owned),
            "ECR_REPOSITORY" => Some("Set".to_owned()),
            _ => None,
        };
        let image = Name::parse("localhost:5000/run-migrations").unwrap();
        let settings = resolve(flags, file, Some(&image), &environment, &mut mistakes);
        mistakes.or(settings)
    }

    #[test]
    fn the_first_that_is_set_wins() {
        let flag = |region: &str| EcrFlags { region: Some(region.to_owned()), ..EcrFlags::default() };
        for (flags, older, yaml, region) in [
            (EcrFlags::default(), None, "", None),
            (EcrFlags::default(), None, "region:", None),
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
        assert_eq!(plain.repository.as_str(), "run-migrations");
        assert_eq!(plain.creation.tags, Tags::Immutable);
    }

    #[test]
    fn every_mistake_is_named_with_who_made_it() {
        let typed = EcrFlags {
            account: Some("1".to_owned()),
            repository: Some("Set".to_owned()),
            ..EcrFlags::default()
        };
        let yaml =
            "regio: eu-west-1\nregistry: https://host\nkeep_releases: 0\ncreate: maybe\nencryption: rot13\n";
        let error = resolved(&typed, Some("Ireland"), yaml).unwrap_err().to_string();
        let told: Vec<_> = error.lines().map(str::trim).collect();
        let file = "xtask/release.yaml, line";
        for (line, expected) in told.iter().zip([
            "8 settings are wrong".to_owned(),
            format!("{file} 1 column 1: unknown key `regio`, expected one of region, account"),
            format!("{file} 4 column 9: create must be true or false"),
            format!("{file} 2 column 11: registry \"https://host\" is not one; it is host or host:port"),
            "--account: account \"1\" is not one; it is twelve digits".to_owned(),
            "AWS_DEFAULT_REGION: region \"Ireland\" is not one; it is a name such as eu-west-1".to_owned(),
            "ECR_REPOSITORY: repository \"Set\" is not one; it is words of a-z".to_owned(),
            format!("{file} 5 column 13: invalid encryption \"rot13\"; expected AES256, KMS"),
            format!("{file} 3 column 16: keep_releases is 0; use 1 to 600"),
        ]) {
            assert!(line.starts_with(&expected), "{line} is not {expected}");
        }
        assert_eq!(told.len(), 9, "{error}");
    }

    #[test]
    fn two_accounts_or_regions_are_one_too_many() {
        let host = "registry: 123456789012.dkr.ecr.eu-west-1.amazonaws.com";
        let resolved = |yaml: &str| resolved(&EcrFlags::default(), None, &format!("{yaml}\n{host}"));
        for (yaml, expected) in [
            (
                "account: '999999999999'",
                "column 10: the account is 999999999999, but the registry is one of account 123456789012; set one of them alone",
            ),
            (
                "region: eu-west-2",
                "column 9: the region is eu-west-2, but the registry is one of region eu-west-1; set one of them alone",
            ),
        ] {
            let error = resolved(yaml).unwrap_err().to_string();
            assert_eq!(error, format!("a setting is wrong: xtask/release.yaml, line 1 {expected}"));
        }
        let beside = super::tests::resolved(&EcrFlags::default(), Some("us-east-1"), host).unwrap();
        assert_eq!(
            beside.region.as_deref(),
            Some("eu-west-1"),
            "the environment's is not the registry's alone"
        );
        for yaml in ["", "region: eu-west-1", "account: '123456789012'"] {
            let EcrSettings { account, region, .. } = resolved(yaml).unwrap();
            assert_eq!(
                (account.unwrap().as_str(), region.as_deref()),
                ("123456789012", Some("eu-west-1")),
                "{yaml}"
            );
        }
    }
}
