//! Pushing an image: the daemon uploads, what it says comes back layer by layer, and the digest is in what it says.

use std::fmt;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde_json::Value;

use super::endpoint::Endpoint;
use super::http::{Patience, Refusal, Silence};
use super::{Docker, http};
use image::name::Digest;
use image::reference::TaggedReference;
use workspace::secret::Secret;

/// Progress comes several times a second; only the end of a big layer takes a registry longer.
const PATIENCE: Patience = Patience { with: "push the image", limit: Duration::from_mins(2) };

/// What one frame of the stream means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushEvent {
    /// So many bytes of a layer have gone up; of how many is not always known.
    Pushing {
        layer: String,
        done: u64,
        total: u64,
    },
    Pushed {
        layer: String,
    },
    /// The registry has the layer, or took it from another repository.
    Exists {
        layer: String,
    },
    /// The daemon tries a layer again by itself.
    Retrying {
        layer: String,
    },
    Digest(Digest),
    Error(String),
    Nothing,
}

/// Why a push did not succeed, as far as it matters for what comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub kind: PushFailure,
    pub said: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushFailure {
    /// The token is missing, wrong or expired: another one may do.
    Authentication,
    /// The repository is not there.
    NoRepository,
    /// ECR ends the connection like this when a repository is missing, but it may be an accident too.
    Ended,
    /// The tag is taken and may not be moved.
    Immutable,
    /// It may pass: the server's fault, too many requests, a cut connection.
    Passing,
    /// The token is one that may not do this.
    Denied,
    /// It will not pass: malformed, too big.
    Lasting,
}

impl Docker {
    /// Gives an image a name in a registry.
    pub async fn tag(&self, image: &str, reference: &TaggedReference) -> anyhow::Result<()> {
        let repository = reference.name.to_string();
        let options = bollard::query_parameters::TagImageOptionsBuilder::new()
            .repo(&repository)
            .tag(reference.tag.as_str())
            .build();
        self.api
            .tag_image(image, Some(options))
            .await
            .with_context(|| format!("cannot tag the image as {reference}"))
    }

    /// Takes a name away again; the image stays if it has another.
    pub async fn untag(&self, reference: &TaggedReference) -> anyhow::Result<()> {
        self.api
            .remove_image(&reference.to_string(), None::<bollard::query_parameters::RemoveImageOptions>, None)
            .await
            .map(drop)
            .with_context(|| format!("cannot take the name {reference} away"))
    }

    /// Pushes a tag, with the `X-Registry-Auth` given. The outer error is the daemon's, the inner one the registry's.
    pub async fn push(
        &self,
        TaggedReference { name, tag }: &TaggedReference,
        authorization: &Secret,
        event: impl FnMut(&PushEvent),
    ) -> anyhow::Result<Result<Digest, Failure>> {
        // Without a tag the daemon would push all of them.
        let query = http::query(&[("tag", tag.as_str())]);
        let mut header = hyper::header::HeaderValue::from_str(authorization.expose())
            .ok()
            .context("the credentials do not fit into a header")?;
        header.set_sensitive(true);
        let request = Request::post(format!("/images/{name}/push?{query}"))
            .header("host", "docker")
            .header("x-registry-auth", header)
            .body(Full::new(Bytes::new()))
            .context("the push request is not valid")?;
        upload(&self.endpoint, request, PATIENCE, event).await
    }
}

async fn upload(
    endpoint: &Endpoint,
    request: Request<Full<Bytes>>,
    patience: Patience,
    mut event: impl FnMut(&PushEvent),
) -> anyhow::Result<Result<Digest, Failure>> {
    let answer = async { http::send(endpoint, request, patience).await?.accepted().await };
    let answer = match answer.await {
        Ok(answer) => answer,
        Err(error) => return Failure::of(error).map(Err),
    };
    let (mut digest, mut error) = (None, None);
    // To its end, also past an error: the daemon gives up a push whose client has gone away.
    let read = answer
        .lines(|line| {
            let found = parse(line);
            event(&found);
            match found {
                PushEvent::Digest(found) => digest = Some(found),
                PushEvent::Error(said) => error = Some(said),
                _ => {}
            }
            Ok(())
        })
        .await;
    Ok(match (error, digest) {
        (Some(said), _) => Err(Failure { kind: classify(&said), said }),
        (None, Some(digest)) => Ok(digest),
        (None, None) => Err(Failure {
            kind: PushFailure::Passing,
            said: read.err().map_or_else(
                || "the daemon ended the push without naming a digest".to_owned(),
                |error| format!("{error:#}"),
            ),
        }),
    })
}

impl Failure {
    /// What the daemon answered before it pushed anything, or that it did not; any other error is handed back.
    fn of(error: anyhow::Error) -> anyhow::Result<Self> {
        let said = error.to_string();
        match error.downcast_ref::<Refusal>() {
            Some(refusal) => Ok(Self { kind: classify(&refusal.said), said }),
            None if error.is::<Silence>() => Ok(Self { kind: PushFailure::Passing, said }),
            None => Err(error),
        }
    }
}

fn parse(line: &[u8]) -> PushEvent {
    let Ok(value) = serde_json::from_slice::<Value>(line) else { return PushEvent::Nothing };
    // An error may come with a message, or with nothing but `error`.
    if let Some(error) = value["errorDetail"]["message"].as_str().or(value["error"].as_str()) {
        return PushEvent::Error(error.trim().to_owned());
    }
    if let Some(digest) = value["aux"]["Digest"].as_str().and_then(|digest| Digest::parse(digest).ok()) {
        return PushEvent::Digest(digest);
    }
    let status = value["status"].as_str().unwrap_or_default();
    let Some(layer) = value["id"].as_str().map(str::to_owned) else {
        // `TAG: digest: sha256:… size: 735`
        let digest = status.split_once("digest: ").and_then(|(_, rest)| rest.split(' ').next());
        return digest
            .and_then(|digest| Digest::parse(digest).ok())
            .map_or(PushEvent::Nothing, PushEvent::Digest);
    };
    match status {
        "Pushing" => PushEvent::Pushing {
            layer,
            done: value["progressDetail"]["current"].as_u64().unwrap_or_default(),
            total: value["progressDetail"]["total"].as_u64().unwrap_or_default(),
        },
        "Pushed" => PushEvent::Pushed { layer },
        "Layer already exists" => PushEvent::Exists { layer },
        status if status.starts_with("Mounted from") => PushEvent::Exists { layer },
        status if status.starts_with("Retrying") => PushEvent::Retrying { layer },
        _ => PushEvent::Nothing,
    }
}

/// What an error is, by its words: the daemon has no code for it. The words of the registry come first: a name that is
/// repeated in them may hold any of the others.
fn classify(said: &str) -> PushFailure {
    let said = said.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if has(&[
        "authorization token has expired",
        "no basic auth credentials",
        "not authorized: authentication",
        "authentication required",
        "unauthorized",
        "incorrect username or password",
        // All that containerd's store tells of a refusal without the registry's own words: a new token decides.
        "403 forbidden",
    ]) {
        PushFailure::Authentication
    } else if has(&[
        "name unknown",
        "repository name not known",
        "does not exist in the registry",
        "404 not found",
    ]) {
        PushFailure::NoRepository
    } else if has(&["tag invalid", "tag is immutable", "imagetagalreadyexists"]) {
        PushFailure::Immutable
    } else if has(&["toomanyrequests", "too many requests", "rate exceeded", "parsing http 429"]) {
        PushFailure::Passing
    } else if has(&["denied:", "access to the resource is denied", "not authorized to perform", "forbidden"])
    {
        PushFailure::Denied
    } else if has(&["http status: 5", "internal server error", "bad gateway", "service unavailable"])
        || has(&["gateway time", "connection reset", "broken pipe", "connection refused", "throttl"])
        || has(&["timeout", "timed out", "unexpected eof", "use of closed network connection"])
        || has(&["tls handshake", "no such host", "temporary"])
    {
        PushFailure::Passing
    } else if said == "eof" || said.ends_with(": eof") {
        PushFailure::Ended
    } else {
        PushFailure::Lasting
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_told_apart() {
        let hex = "ab".repeat(32);
        let digest = || PushEvent::Digest(Digest::parse(&format!("sha256:{hex}")).unwrap());
        let layer = || "5f70bf18a086".to_owned();
        for (line, expected) in [
            (r#"{"status":"The push refers to repository [127.0.0.1:1/a]"}"#.to_owned(), PushEvent::Nothing),
            (r#"{"status":"Preparing","progressDetail":{},"id":"5f70bf18a086"}"#.to_owned(), PushEvent::Nothing),
            (
                r#"{"status":"Pushing","progressDetail":{"current":512,"total":1024},"progress":"[=>]","id":"5f70bf18a086"}"#.to_owned(),
                PushEvent::Pushing { layer: layer(), done: 512, total: 1024 },
            ),
            (r#"{"status":"Pushed","progressDetail":{},"id":"5f70bf18a086"}"#.to_owned(), PushEvent::Pushed { layer: layer() }),
            (r#"{"status":"Layer already exists","progressDetail":{},"id":"5f70bf18a086"}"#.to_owned(), PushEvent::Exists { layer: layer() }),
            (r#"{"status":"Mounted from a/b","progressDetail":{},"id":"5f70bf18a086"}"#.to_owned(), PushEvent::Exists { layer: layer() }),
            (r#"{"status":"Retrying in 5 seconds","progressDetail":{},"id":"5f70bf18a086"}"#.to_owned(), PushEvent::Retrying { layer: layer() }),
            (format!(r#"{{"status":"v1: digest: sha256:{hex} size: 735"}}"#), digest()),
            (format!(r#"{{"progressDetail":{{}},"aux":{{"Tag":"v1","Digest":"sha256:{hex}","Size":735}}}}"#), digest()),
            // containerd's store
            (r#"{"status":"Waiting","progressDetail":{},"id":"5f70bf18a086"}"#.to_owned(), PushEvent::Nothing),
            (r#"{"status":"Unavailable","progressDetail":{},"id":"5f70bf18a086"}"#.to_owned(), PushEvent::Nothing),
            // of what is no layer
            (r#"{"status":"Already exists","progressDetail":{},"id":"5f70bf18a086"}"#.to_owned(), PushEvent::Nothing),
            (
                format!(r#"{{"progressDetail":{{}},"aux":{{"manifestPushedInsteadOfIndex":true,"originalIndex":{{"digest":"sha256:{hex}"}},"selectedManifest":{{"digest":"sha256:{hex}"}}}}}}"#),
                PushEvent::Nothing,
            ),
            (
                r#"{"progressDetail":{},"aux":{"contentMissing":true,"desc":{"digest":"sha256:ab"}}}"#.to_owned(),
                PushEvent::Nothing,
            ),
            // an error alone, without errorDetail, is what bollard would take for a success
            (r#"{"error":"EOF"}"#.to_owned(), PushEvent::Error("EOF".to_owned())),
            (r#"{"errorDetail":{"message":"denied: no"},"error":"denied: no"}"#.to_owned(), PushEvent::Error("denied: no".to_owned())),
            ("".to_owned(), PushEvent::Nothing),
            ("not json".to_owned(), PushEvent::Nothing),
        ] {
            assert_eq!(parse(line.as_bytes()), expected, "{line}");
        }
    }

    #[tokio::test]
    async fn silence_may_pass_unless_more_is_known() {
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let error = format!("{head}17\r\n{{\"error\":\"denied: no\"}}\n\r\n");
        for (said, kind) in
            [("", PushFailure::Passing), (head, PushFailure::Passing), (error.leak(), PushFailure::Denied)]
        {
            let endpoint = http::tests::falling_silent(said).await;
            let pushed = upload(&endpoint, http::tests::request(), http::tests::SHORT, |_| {});
            let failure = pushed.await.unwrap().unwrap_err();
            assert_eq!(failure.kind, kind, "{said:?}: {failure}");
        }
    }

    #[test]
    fn errors_are_told_apart() {
        for (said, kind) in [
            (
                "denied: Your authorization token has expired. Reauthenticate and try again.",
                PushFailure::Authentication,
            ),
            ("no basic auth credentials", PushFailure::Authentication),
            ("unauthorized: authentication required", PushFailure::Authentication),
            (
                "name unknown: The repository with name 'a' does not exist in the registry with id '1'",
                PushFailure::NoRepository,
            ),
            ("name unknown: repository name not known to registry: a", PushFailure::NoRepository),
            ("EOF", PushFailure::Ended),
            ("Put \"https://h/v2/a/manifests/v1\": EOF", PushFailure::Ended),
            (
                "tag invalid: The image tag 'v1' already exists in the 'a' repository and cannot be overwritten because the tag is immutable.",
                PushFailure::Immutable,
            ),
            ("toomanyrequests: Rate exceeded", PushFailure::Passing),
            ("error parsing HTTP 429 response body: invalid character '<'", PushFailure::Passing),
            (
                "unexpected status from POST request to https://h/v2/a/blobs/uploads/: 403 Forbidden",
                PushFailure::Authentication,
            ),
            (
                "unexpected status from PUT request to https://h/v2/a/manifests/v1: 500 Internal Server Error",
                PushFailure::Passing,
            ),
            ("received unexpected HTTP status: 500 Internal Server Error", PushFailure::Passing),
            ("received unexpected HTTP status: 503 Service Unavailable", PushFailure::Passing),
            ("write tcp 1->2: write: connection reset by peer", PushFailure::Passing),
            ("Patch \"http://h/v2\": unexpected EOF", PushFailure::Passing),
            ("net/http: TLS handshake timeout", PushFailure::Passing),
            (
                "denied: User: arn:aws:iam::1:user/a is not authorized to perform: ecr:InitiateLayerUpload",
                PushFailure::Denied,
            ),
            ("manifest invalid: layers missing", PushFailure::Lasting),
            ("denied: requested access to the resource is denied", PushFailure::Denied),
            // containerd's store passes the registry's message on, without its code
            (
                "error from registry: Your authorization token has expired. Reauthenticate and try again.",
                PushFailure::Authentication,
            ),
            (
                "error from registry: User: arn:aws:iam::1:user/a is not authorized to perform: ecr:PutImage",
                PushFailure::Denied,
            ),
            ("error from registry: requested access to the resource is denied", PushFailure::Denied),
            (
                "error from registry: The repository with name 'a' does not exist in the registry with id '1'",
                PushFailure::NoRepository,
            ),
            (
                "error from registry: The image tag 'v1' already exists in the 'a' repository and cannot be \
                 overwritten because the tag is immutable.",
                PushFailure::Immutable,
            ),
            ("error from registry: Rate exceeded", PushFailure::Passing),
            (
                "unknown: unexpected status from HEAD request to https://h/v2/a/manifests/v1: 401 Unauthorized",
                PushFailure::Authentication,
            ),
            ("failed to do request: Put \"https://h/v2/a/blobs/uploads/1\": EOF", PushFailure::Ended),
            // names that sound like something else
            (
                "denied: User: a is not authorized to perform: ecr:PutImage on resource: repository/timeout",
                PushFailure::Denied,
            ),
            (
                "name unknown: The repository with name 'immutable' does not exist in the registry with id '1'",
                PushFailure::NoRepository,
            ),
            (
                "tls: failed to verify certificate: x509: certificate signed by unknown authority",
                PushFailure::Lasting,
            ),
        ] {
            assert_eq!(classify(said), kind, "{said}");
        }
    }
}
