//! Amazon ECR: one client for its API and its registry. What is to be done with it is decided elsewhere.

mod error;
pub mod http;
pub mod images;
mod lifecycle;
mod repository;
mod retries;
pub mod session;
mod sources;
pub mod verify;

use std::time::{Duration, SystemTime};

use anyhow::{Context, bail, ensure};
use aws_config::BehaviorVersion;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_ecr::config::{ProvideCredentials as _, Region, SharedCredentialsProvider};

use docker::login::credentials::Credentials;
use error::explain;
use http::Http;
use image::ecr_host::{self, Account, EcrHost, Endpoint};
use image::name::{Registry, Repository};
use image::reference::Name;
use retries::SaysSo;
use settings::ecr::{Creation, EcrSettings};
use sources::Sources;
use workspace::{github, ui};

/// A registry we have credentials for.
#[derive(Debug)]
pub struct Ecr {
    api: aws_sdk_ecr::Client,
    pub http: Http,
    pub registry: Registry,
    pub repository: Repository,
    pub account: Account,
    pub region: String,
    /// What a repository is to be like that is made here.
    creation: Creation,
}

/// What `GetAuthorizationToken` gives.
#[derive(Debug)]
pub struct Token {
    pub credentials: Credentials,
    pub expires: Option<SystemTime>,
}

impl Ecr {
    /// Finds credentials, and the account where it was not given.
    pub async fn connect(settings: &EcrSettings) -> anyhow::Result<Self> {
        let _waiting = ui::quietly_waiting("AWS credentials");
        let trust = http::trust()?;
        let client = http::client(&trust);
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(client.clone())
            .retry_config(
                RetryConfig::standard().with_max_attempts(5).with_max_backoff(Duration::from_secs(10)),
            )
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(10))
                    .operation_attempt_timeout(Duration::from_secs(60))
                    .build(),
            );
        if let Some(region) = &settings.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &settings.profile {
            loader = loader.profile_name(profile);
        }
        let mut config = loader.load().await;
        if let Some(profile) = &settings.profile {
            // As with the AWS CLI: a profile that was asked for wins over keys in the environment.
            let surroundings =
                ProviderConfig::default().with_http_client(client).with_region(config.region().cloned());
            let provider = ProfileFileCredentialsProvider::builder().configure(&surroundings);
            let provider = SharedCredentialsProvider::new(provider.profile_name(profile).build());
            config = config.into_builder().credentials_provider(provider).build();
        }
        let sources = Sources::read(settings.profile.as_deref());
        let provider =
            config.credentials_provider().context("no source of AWS credentials is compiled in")?;
        if let Err(error) = provider.provide_credentials().await {
            bail!(
                "no AWS credentials: {} (tried in this order: {}); {}",
                error::chain(&error),
                sources.tried(),
                sources.advice()
            );
        }
        let region = match config.region() {
            Some(region) => region.as_ref().to_owned(),
            None => bail!(
                "no region is set; use --region, AWS_REGION, the profile, or `region` under `ecr` in xtask/release.yaml"
            ),
        };
        ecr_host::check_region(&region)?;
        let account = match &settings.account {
            Some(account) => {
                // A workflow's settings were reviewed; whose credentials it was given may be another matter.
                if github::is_running() {
                    is_of(account, &self::account(&config).await?)?;
                }
                account.clone()
            }
            None => account(&config).await?,
        };
        let registry = match &settings.registry {
            Some(registry) => registry.clone(),
            None => EcrHost { account: account.clone(), region: region.clone(), endpoint: Endpoint::Usual }
                .registry()?,
        };
        let api = aws_sdk_ecr::config::Builder::from(&config).interceptor(SaysSo).build();
        Ok(Self {
            api: aws_sdk_ecr::Client::from_conf(api),
            http: Http::new(&trust),
            registry,
            repository: settings.repository.clone(),
            account,
            region,
            creation: settings.creation.clone(),
        })
    }

    pub fn name(&self) -> Name {
        Name { registry: Some(self.registry.clone()), repository: self.repository.clone() }
    }

    /// A new token for the registry.
    pub async fn token(&self) -> anyhow::Result<Token> {
        let answer = self.api.get_authorization_token().send().await;
        let answer = answer.map_err(|error| explain("ECR gave no token", &error))?;
        let data = answer.authorization_data().first().context("ECR answered without a token")?;
        let token = data.authorization_token().context("ECR answered without a token")?;
        let credentials = Credentials::decode(token).context("the token from ECR is not understood")?;
        Ok(Token {
            credentials,
            expires: data.expires_at().and_then(|time| SystemTime::try_from(*time).ok()),
        })
    }
}

/// Whoever runs a workflow with credentials of another account would look there, and find what its owner put there.
fn is_of(account: &Account, caller: &Account) -> anyhow::Result<()> {
    ensure!(
        account == caller,
        "the credentials are of the account {}, and the registry is of {}; in a workflow both are of one",
        caller.as_str(),
        account.as_str()
    );
    Ok(())
}

/// The account the credentials belong to.
async fn account(config: &aws_config::SdkConfig) -> anyhow::Result<Account> {
    let api = aws_sdk_sts::config::Builder::from(config).interceptor(SaysSo).build();
    let answer = aws_sdk_sts::Client::from_conf(api).get_caller_identity().send().await;
    let what = "STS did not say which account this is (use --account, or `account` under `ecr` in xtask/release.yaml)";
    let answer = answer.map_err(|error| explain(what, &error))?;
    Account::parse(answer.account().context("STS answered without an account")?)
}
