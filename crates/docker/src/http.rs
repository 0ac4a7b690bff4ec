//! Plain requests to the daemon, for what bollard can't do: read the headers of `/_ping`, the frames of a BuildKit
//! build, which hold text where bollard expects an object, and errors that come as a frame of their own.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::endpoint::Endpoint;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);

/// For how long a daemon may say nothing, and what it is to do meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Patience {
    pub with: &'static str,
    pub limit: Duration,
}

/// A daemon that has said nothing for too long.
#[derive(Debug)]
pub(crate) struct Silence(Patience);

/// A status that is no success, and the daemon's own words for why.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    pub said: String,
}

/// A response, once its headers are there.
#[derive(Debug)]
pub(crate) struct Answer {
    pub response: Response<Incoming>,
    patience: Patience,
}

/// Sends one request over a connection of its own.
pub(crate) async fn send(
    endpoint: &Endpoint,
    request: Request<Full<Bytes>>,
    patience: Patience,
) -> anyhow::Result<Answer> {
    let response = match endpoint {
        Endpoint::Unix(path) => {
            let stream = connected(endpoint, UnixStream::connect(path)).await?;
            patience.wait(over(stream, request)).await??
        }
        Endpoint::Tcp(address) => {
            let stream = connected(endpoint, TcpStream::connect(address)).await?;
            patience.wait(over(stream, request)).await??
        }
        Endpoint::ThroughCli(host) => bail!("{host} is reached through the docker CLI only"),
    };
    Ok(Answer { response, patience })
}

async fn connected<S>(
    endpoint: &Endpoint,
    connecting: impl Future<Output = std::io::Result<S>>,
) -> anyhow::Result<S> {
    tokio::time::timeout(CONNECT, connecting)
        .await
        .with_context(|| format!("cannot connect to {endpoint} within {} s", CONNECT.as_secs()))?
        .with_context(|| format!("cannot connect to {endpoint}"))
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

impl Patience {
    async fn wait<T>(self, what: impl Future<Output = T>) -> Result<T, Silence> {
        tokio::time::timeout(self.limit, what).await.map_err(|_| Silence(self))
    }
}

impl Answer {
    /// The answer, or a [`Refusal`].
    pub(crate) async fn accepted(self) -> anyhow::Result<Self> {
        let status = self.response.status();
        if status.is_success() {
            return Ok(self);
        }
        let body = self.patience.wait(self.response.into_body().collect()).await?;
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        Err(Refusal { status, said: message(&body) }.into())
    }

    /// The body as lines, each handed over as soon as it is complete.
    pub(crate) async fn lines(self, mut each: impl FnMut(&[u8]) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let mut body = self.response.into_body();
        let mut rest = Vec::new();
        while let Some(frame) = self.patience.wait(body.frame()).await? {
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
}

/// The daemon's own words out of an error body.
fn message(body: &[u8]) -> String {
    serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|value| value["message"].as_str().map(str::to_owned))
        .unwrap_or_else(|| String::from_utf8_lossy(body.trim_ascii()).into_owned())
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Patience { with, limit } = self.0;
        write!(
            f,
            "the daemon was to {with} and said nothing for {} s; if `docker info` does not answer either, restart the \
             daemon, then run this again",
            limit.as_secs_f32()
        )
    }
}

impl std::error::Error for Silence {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.said)
    }
}

impl std::error::Error for Refusal {}

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
pub(super) mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    pub(crate) const SHORT: Patience =
        Patience { with: "take the image in", limit: Duration::from_millis(100) };

    /// A daemon that takes a request, says this much, and falls silent.
    pub(crate) async fn falling_silent(said: &'static str) -> Endpoint {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let (mut client, _) = listener.accept().await.unwrap();
            client.read_exact(&mut [0; 4]).await.unwrap();
            client.write_all(said.as_bytes()).await.unwrap();
            std::future::pending::<()>().await;
        });
        Endpoint::Tcp(address)
    }

    pub(crate) fn request() -> Request<Full<Bytes>> {
        Request::post("/").header("host", "docker").body(Full::new(Bytes::new())).unwrap()
    }

    #[tokio::test]
    async fn silence_comes_to_an_end() {
        for (said, lines) in [
            ("", 0),
            ("HTTP/1.1 500 No\r\ncontent-length: 9\r\n\r\n{", 0),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", 0),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\n{}\n\r\n", 1),
        ] {
            let mut read = 0;
            let endpoint = falling_silent(said).await;
            let asked = async {
                let answer = send(&endpoint, request(), SHORT).await?.accepted().await?;
                answer
                    .lines(|_| {
                        read += 1;
                        Ok(())
                    })
                    .await
            };
            let error = tokio::time::timeout(Duration::from_secs(10), asked).await.unwrap().unwrap_err();
            assert!(error.is::<Silence>(), "{said:?}: {error:?}");
            assert_eq!(
                error.to_string(),
                "the daemon was to take the image in and said nothing for 0.1 s; if `docker info` does not answer \
                 either, restart the daemon, then run this again"
            );
            assert_eq!(read, lines, "{said:?}");
        }
    }

    #[test]
    fn queries_are_escaped() {
        assert_eq!(
            query(&[("t", "a:b"), ("buildargs", r#"{"A":"ü &"}"#)]),
            "t=a%3Ab&buildargs=%7B%22A%22%3A%22%C3%BC%20%26%22%7D"
        );
    }

    #[test]
    fn refusals_are_quoted() {
        assert_eq!(message(br#"{"message":"invalid platform"}"#), "invalid platform");
        assert_eq!(message(b" gateway down\n"), "gateway down");
    }
}
