//! Building an image: the context goes up as one tar, what the builder says comes back as it says it.

use std::time::Duration;

use anyhow::{Context, bail};
use base64::Engine;
use bytes::Bytes;
use http_body_util::Full;
use serde_json::Value;

use super::buildkit::{BuildEvent, events};
use super::http::Patience;
use super::{Builder, Docker, http};
use workspace::ui;

/// A compiler may be quiet for long.
const PATIENCE: Patience = Patience { with: "build the image", limit: Duration::from_mins(15) };

#[derive(Debug)]
pub struct Build<'a> {
    pub target: &'a str,
    pub platform: &'a str,
    pub context: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
enum Frame {
    Step(String),
    /// The step before it needs no work, or is being worked on.
    Cached,
    Working,
    Output(String),
    Progress(String),
    Image(String),
    Error(String),
    Events(Vec<BuildEvent>),
    Nothing,
}

impl Docker {
    /// Builds one stage and returns the image's ID.
    pub async fn build(&self, build: Build<'_>) -> anyhow::Result<String> {
        let version = match self.builder {
            Builder::Classic => "1",
            Builder::BuildKit => "2",
        };
        let pairs = [
            ("version", version),
            ("target", build.target),
            ("platform", build.platform),
            ("rm", "1"),
            ("forcerm", "1"),
        ];
        let request = hyper::Request::post(format!("/build?{}", http::query(&pairs)))
            .header("host", "docker")
            .header("content-type", "application/x-tar")
            .body(Full::new(Bytes::from(build.context)))
            .context("the build request is not valid")?;
        let answer = http::send(&self.endpoint, request, PATIENCE).await?;
        let answer = answer.accepted().await.context("the daemon refused to build")?;
        let mut image = None;
        let mut failure = None;
        let mut failed_step = None;
        let mut announced = None;
        let waiting = ui::waiting("Building", "image");
        let each = |line: &[u8]| {
            match frame(line) {
                // The stream is read to its end: the daemon stops a build whose client went away.
                Frame::Error(error) => failure = Some(error),
                Frame::Image(id) => image = Some(id),
                Frame::Step(step) => announced = Some(step),
                Frame::Cached => announced = None,
                Frame::Working => {
                    // A base that is there is no work.
                    if let Some(step) = announced.take().filter(|step| !step.contains(" : FROM ")) {
                        waiting.step(&step);
                    }
                }
                Frame::Output(text) => {
                    announced.take().into_iter().for_each(|step| waiting.step(&step));
                    waiting.print(&text);
                }
                Frame::Progress(text) => {
                    announced.take().into_iter().for_each(|step| waiting.step(&step));
                    waiting.say(&text);
                }
                Frame::Events(events) => {
                    for event in events {
                        match event {
                            BuildEvent::Started { step } if step.starts_with("[internal]") => {}
                            BuildEvent::Started { step } => waiting.step(&step),
                            BuildEvent::Output { text } => waiting.print(&text),
                            BuildEvent::Failed { step, error } => {
                                failed_step = Some(format!("{step}: {error}"));
                            }
                        }
                    }
                }
                Frame::Nothing => {}
            }
            Ok(())
        };
        answer.lines(each).await?;
        drop(waiting);
        if let Some(error) = failure {
            if self.builder == Builder::Classic && error.contains("does not match the specified platform") {
                bail!("the classic builder builds for no other platform than its own; set DOCKER_BUILDKIT=1");
            }
            bail!(
                "the image was not built: {}",
                failed_step.filter(|step| !error.contains(step)).unwrap_or(error)
            );
        }
        image.context("the builder ended without an image and without an error")
    }
}

fn frame(line: &[u8]) -> Frame {
    if line.is_empty() {
        return Frame::Nothing;
    }
    let Ok(value) = serde_json::from_slice::<Value>(line) else {
        return Frame::Output(String::from_utf8_lossy(line).into_owned());
    };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if let Some(error) = value["errorDetail"]["message"].as_str().or(value["error"].as_str()) {
        return Frame::Error(error.trim().to_owned());
    }
    if value["id"] == "moby.buildkit.trace" {
        let bytes =
            value["aux"].as_str().and_then(|aux| base64::engine::general_purpose::STANDARD.decode(aux).ok());
        return Frame::Events(events(&bytes.unwrap_or_default()));
    }
    if let Some(id) = text(&value["aux"]["ID"]) {
        return Frame::Image(id);
    }
    if let Some(output) = value["stream"].as_str() {
        return classic(output);
    }
    match (text(&value["status"]), text(&value["progress"])) {
        (Some(status), progress) => {
            Frame::Progress(format!("{status} {}", progress.unwrap_or_default()).trim().to_owned())
        }
        _ => Frame::Nothing,
    }
}

/// The classic builder's output: its steps, what they print, and much about itself.
fn classic(output: &str) -> Frame {
    // What a step prints on stderr comes in red, the end of which may come alone.
    let output = output.replace("\u{1b}[91m", "").replace("\u{1b}[0m", "");
    let text = output.trim();
    if text.starts_with("Step ") {
        return Frame::Step(text.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    if text.starts_with("---> Using cache") {
        return Frame::Cached;
    }
    if text.starts_with("--->") {
        return Frame::Working;
    }
    let chatter = ["Removing intermediate container", "Successfully built", "Successfully tagged"];
    if text.is_empty() || chatter.iter().any(|start| text.starts_with(start)) {
        return Frame::Nothing;
    }
    Frame::Output(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_told_apart() {
        for (line, expected) in [
            (
                r#"{"stream":"Step 1/2 : LABEL a=b       c=d"}"#,
                Frame::Step("Step 1/2 : LABEL a=b c=d".to_owned()),
            ),
            (r#"{"stream":"   Compiling serde\n"}"#, Frame::Output("   Compiling serde\n".to_owned())),
            (r#"{"stream":" ---\u003e Using cache\n"}"#, Frame::Cached),
            (r#"{"stream":" ---\u003e Running in 0a1b\n"}"#, Frame::Working),
            (
                r#"{"stream":"\u001b[91m   Compiling serde\n\u001b[0m"}"#,
                Frame::Output("   Compiling serde\n".to_owned()),
            ),
            (r#"{"stream":"\u001b[0m"}"#, Frame::Nothing),
            (r#"{"stream":"\n"}"#, Frame::Nothing),
            (r#"{"aux":{"ID":"sha256:ab"}}"#, Frame::Image("sha256:ab".to_owned())),
            (r#"{"id":"moby.image.id","aux":{"ID":"sha256:ab"}}"#, Frame::Image("sha256:ab".to_owned())),
            (r#"{"id":"moby.buildkit.trace","aux":""}"#, Frame::Events(vec![])),
            (r#"{"id":"moby.buildkit.trace","aux":"***"}"#, Frame::Events(vec![])),
            // an error alone, without errorDetail, is what bollard would take for a success
            (r#"{"error":"no space"}"#, Frame::Error("no space".to_owned())),
            (
                r#"{"errorDetail":{"code":1,"message":"COPY failed"},"error":"COPY failed"}"#,
                Frame::Error("COPY failed".to_owned()),
            ),
            (
                r#"{"status":"Downloading","progress":"[=>] 1MB/9MB","id":"a"}"#,
                Frame::Progress("Downloading [=>] 1MB/9MB".to_owned()),
            ),
            ("not json", Frame::Output("not json".to_owned())),
            ("", Frame::Nothing),
        ] {
            assert_eq!(frame(line.as_bytes()), expected, "{line}");
        }
    }
}
