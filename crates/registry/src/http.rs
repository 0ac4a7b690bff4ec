//! HTTPS to AWS and to the registry: one TLS stack, the proxies of the environment, `AWS_CA_BUNDLE`.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use aws_sdk_ecr::config::{RuntimeComponents, SharedHttpClient};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::{HttpConnector as _, HttpConnectorSettings};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use http_body_util::BodyExt;

use docker::login::credentials::Credentials;
use image::name::{Digest, Registry, Repository};
use workspace::ui;

const PATIENCE: Duration = Duration::from_secs(30);

/// Before the second attempt and those after it.
const PAUSES: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(3)];

/// What certificates are trusted: the system's, and those of `AWS_CA_BUNDLE`.
pub(super) fn trust() -> anyhow::Result<TlsContext> {
    let mut store = TrustStore::default();
    if let Some(path) = std::env::var_os("AWS_CA_BUNDLE").filter(|path| !path.is_empty()) {
        let path = std::path::PathBuf::from(path);
        let pem = std::fs::read(&path)
            .with_context(|| format!("AWS_CA_BUNDLE names {}, which can't be read", path.display()))?;
        store = store.with_pem_certificate(pem);
    }
    TlsContext::builder().with_trust_store(store).build().context("the certificates are not usable")
}

/// For the SDK.
pub(super) fn client(trust: &TlsContext) -> SharedHttpClient {
    let trust = trust.clone();
    Builder::new()
        .build_with_connector_fn(move |settings, components| connector(&trust, settings, components))
}

fn connector(
    trust: &TlsContext,
    settings: Option<&HttpConnectorSettings>,
    components: Option<&RuntimeComponents>,
) -> Connector {
    let mut builder = Connector::builder().proxy_config(ProxyConfig::from_env());
    builder.set_connector_settings(settings.cloned());
    builder.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
    builder.tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(trust.clone()).build()
}

/// The registry's own protocol, for the little that the API has no word for.
#[derive(Debug)]
pub struct Http {
    connector: Connector,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Blob {
    Content(Vec<u8>),
    /// The credentials may not read it.
    Refused,
}

/// What a registry says to credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Granted,
    Refused,
}

impl Http {
    pub(super) fn new(trust: &TlsContext) -> Self {
        Self { connector: connector(trust, None, None) }
    }

    /// `GET /v2/`, the question that has no other answer than yes or no.
    pub async fn access(&self, registry: &Registry, credentials: &Credentials) -> anyhow::Result<Access> {
        let url = format!("{}://{registry}/v2/", scheme(registry));
        let response = self.get(&url, Some(credentials)).await?;
        match response.status().as_u16() {
            200 => Ok(Access::Granted),
            401 | 403 => Ok(Access::Refused),
            other => bail!("{url} answered {other} where a registry says 200 or 401"),
        }
    }

    /// The content behind a digest, which is what the digest says or an error. Registries hand out blobs from
    /// elsewhere; our credentials are for the registry alone.
    pub(super) async fn blob(
        &self,
        registry: &Registry,
        repository: &Repository,
        digest: &Digest,
        credentials: &Credentials,
    ) -> anyhow::Result<Blob> {
        let mut url = format!("{}://{registry}/v2/{repository}/blobs/{digest}", scheme(registry));
        let mut credentials = Some(credentials);
        for _ in 0..5 {
            let response = self.get(&url, credentials).await?;
            let status = response.status().as_u16();
            if let (301 | 302 | 303 | 307 | 308, Some(place)) = (status, response.headers().get("location")) {
                let own = format!("{}://{registry}/", scheme(registry));
                url = match place.strip_prefix('/') {
                    Some(path) => format!("{own}{path}"),
                    None => place.to_owned(),
                };
                credentials = credentials.filter(|_| url.starts_with(&own));
                continue;
            }
            if credentials.is_some() && [401, 403].contains(&status) {
                return Ok(Blob::Refused);
            }
            ensure!(status == 200, "the registry answered {status} when asked for {digest}");
            let body = tokio::time::timeout(PATIENCE, response.into_body().collect()).await;
            let body =
                body.with_context(|| format!("{digest} did not come within {} s", PATIENCE.as_secs()))?;
            let body = body.map_err(|error| anyhow::anyhow!("{error}"));
            let bytes =
                body.with_context(|| format!("the download of {digest} was cut off"))?.to_bytes().to_vec();
            ensure!(
                Digest::of(&bytes) == *digest,
                "what the registry holds as {digest} is {}",
                Digest::of(&bytes)
            );
            return Ok(Blob::Content(bytes));
        }
        bail!("the registry sends us from one place to the next when asked for {digest}")
    }

    /// What may pass, the server's own fault, too many requests or a cut connection, is tried again.
    async fn get(&self, url: &str, credentials: Option<&Credentials>) -> anyhow::Result<HttpResponse> {
        let host = url.split('/').nth(2).unwrap_or(url);
        for (pause, attempt) in PAUSES.into_iter().zip(2..) {
            let failure = match self.get_once(url, credentials).await {
                Ok(response) if !may_pass(response.status().as_u16()) => return Ok(response),
                Ok(response) => format!("{host} answered {}", response.status().as_u16()),
                Err(error) => format!("{error:#}"),
            };
            let attempts = PAUSES.len() + 1;
            ui::note(
                "Retrying",
                format!("in {} s ({attempt} of {attempts}): {failure}", pause.as_secs_f32()),
            );
            tokio::time::sleep(pause).await;
        }
        self.get_once(url, credentials).await
    }

    async fn get_once(&self, url: &str, credentials: Option<&Credentials>) -> anyhow::Result<HttpResponse> {
        let host = url.split('/').nth(2).unwrap_or(url).to_owned();
        let mut request =
            HttpRequest::get(url).ok().with_context(|| format!("{host} sent us to no address"))?;
        if let Some(credentials) = credentials {
            request.headers_mut().insert("authorization", credentials.basic().expose().to_owned());
        }
        tokio::time::timeout(PATIENCE, self.connector.call(request))
            .await
            .with_context(|| format!("{host} did not answer within {} s", PATIENCE.as_secs()))?
            .map_err(|error| anyhow::anyhow!("{}", super::error::chain(&error)))
            .with_context(|| format!("cannot reach {host}"))
    }
}

fn may_pass(status: u16) -> bool {
    status == 429 || (500..600).contains(&status)
}

/// As the Docker daemon does it.
fn scheme(registry: &Registry) -> &'static str {
    if registry.is_loopback() { "http" } else { "https" }
}
