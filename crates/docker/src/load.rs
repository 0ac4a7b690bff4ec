//! Handing the daemon an image that is already made.

use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::Full;
use serde_json::Value;

use super::http::Patience;
use super::{Docker, http};

/// It unpacks in silence.
const PATIENCE: Patience = Patience { with: "take the image in", limit: Duration::from_mins(5) };

impl Docker {
    /// Takes the image in under the reference it was packed with, which then names no other one any more.
    pub async fn load(&self, archive: Vec<u8>) -> anyhow::Result<()> {
        let request = hyper::Request::post("/images/load?quiet=1")
            .header("host", "docker")
            .header("content-type", "application/x-tar")
            .body(Full::new(Bytes::from(archive)))
            .context("the request to load the image is not valid")?;
        let answer = http::send(&self.endpoint, request, PATIENCE).await?;
        let answer = answer.accepted().await.context("the daemon refused the image")?;
        let mut failure = None;
        answer
            .lines(|line| {
                failure = failure.take().or_else(|| refusal(line));
                Ok(())
            })
            .await?;
        match failure {
            Some(error) => bail!("the image was not loaded: {error}"),
            None => Ok(()),
        }
    }
}

/// The stream has a status of its own: an error may come after the headers said that all is well. With containerd's
/// store one kind of error is told as if it were a result.
fn refusal(line: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(line).ok()?;
    let told = value["stream"].as_str().filter(|text| text.starts_with("Error unpacking image "));
    let error = value["errorDetail"]["message"].as_str().or(value["error"].as_str()).or(told)?;
    Some(error.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::refusal;

    #[test]
    fn a_refusal_in_the_stream_is_seen() {
        for (line, expected) in [
            (r#"{"stream":"Loaded image: a:b\n"}"#, None),
            (
                r#"{"stream":"Error unpacking image a:b: apply layer error: no space left on device\n"}"#,
                Some("Error unpacking image a:b: apply layer error: no space left on device"),
            ),
            (r#"{"errorDetail":{"message":"invalid archive\n"},"error":"invalid"}"#, Some("invalid archive")),
            (r#"{"error":"no space left on device"}"#, Some("no space left on device")),
            ("", None),
        ] {
            assert_eq!(refusal(line.as_bytes()).as_deref(), expected, "{line}");
        }
    }
}
