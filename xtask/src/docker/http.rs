//! Plain requests to the daemon, for what bollard can't do: read the headers of `/_ping`, the frames of a BuildKit
//! build, which hold text where bollard expects an object, and errors that come as a frame of their own.

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::endpoint::Endpoint;

/// Sends one request over a connection of its own and returns the response once its headers are there.
pub(crate) async fn send(
    endpoint: &Endpoint,
    request: Request<Full<Bytes>>,
) -> anyhow::Result<Response<Incoming>> {
    match endpoint {
        Endpoint::Unix(path) => {
            over(UnixStream::connect(path).await.with_context(|| unreachable(endpoint))?, request).await
        }
        Endpoint::Tcp(address) => {
            over(TcpStream::connect(address).await.with_context(|| unreachable(endpoint))?, request).await
        }
        Endpoint::ThroughCli(host) => bail!("{host} is reached through the docker CLI only"),
    }
}

fn unreachable(endpoint: &Endpoint) -> String {
    format!("cannot connect to {endpoint}")
}

async fn over<S>(stream: S, request: Request<Full<Bytes>>) -> anyhow::Result<Response<Incoming>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.context("no HTTP connection")?;
    // An error of the connection also ends the body, where it is reported.
    tokio::spawn(async move { drop(connection.await) });
    sender.send_request(request).await.context("the daemon did not answer")
}

/// The response, or the daemon's own words for why not.
pub(crate) async fn accepted(response: Response<Incoming>) -> anyhow::Result<Response<Incoming>> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body = response.into_body().collect().await.map(http_body_util::Collected::to_bytes);
    bail!("{status}: {}", message(&body.unwrap_or_default()))
}

/// The daemon's own words out of an error body.
pub(super) fn message(body: &[u8]) -> String {
    serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|value| value["message"].as_str().map(str::to_owned))
        .unwrap_or_else(|| String::from_utf8_lossy(body.trim_ascii()).into_owned())
}

/// The body of a response as lines, each handed over as soon as it is complete.
pub(crate) async fn lines(
    mut body: Incoming,
    mut each: impl FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut rest = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.context("the connection to the daemon broke")?;
        let Some(data) = frame.data_ref() else { continue };
        rest.extend_from_slice(data);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<_> = rest.drain(..=end).collect();
            each(line.trim_ascii())?;
        }
    }
    each(rest.trim_ascii())
}

/// A query string; everything that is not plainly harmless is escaped.
pub(crate) fn query(pairs: &[(&str, &str)]) -> String {
    let escape = |text: &str| {
        text.bytes().fold(String::new(), |mut escaped, byte| {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    escaped.push(byte as char);
                }
                _ => escaped += &format!("%{byte:02X}"),
            }
            escaped
        })
    };
    pairs.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    #[test]
    fn queries_are_escaped() {
        assert_eq!(
            super::query(&[("t", "a:b"), ("buildargs", r#"{"A":"ü &"}"#)]),
            "t=a%3Ab&buildargs=%7B%22A%22%3A%22%C3%BC%20%26%22%7D"
        );
    }

    #[test]
    fn refusals_are_quoted() {
        assert_eq!(super::message(br#"{"message":"invalid platform"}"#), "invalid platform");
        assert_eq!(super::message(b" gateway down\n"), "gateway down");
    }
}
