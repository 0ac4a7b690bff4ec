//! What came of it, for people and as JSON.

use std::time::Duration;

use serde::Serialize;

use image::name::Tag;
use image::reference::PinnedReference;
use registry::images::Tagged;
use registry::verify::PinnedImage;
use workspace::{github, ui};

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Pushed {
    pub(super) reference: PinnedReference,
    pub(super) digest: String,
    pub(super) media_type: String,
    pub(super) platform: &'static str,
    /// Bytes of config and layers in the registry.
    pub(super) size: u64,
    pub(super) commit: Option<String>,
    pub(super) identity: Option<String>,
    pub(super) action: Action,
    pub(super) tags: Vec<TagOutcome>,
    /// Milliseconds of the upload with its verification; of a promotion, of all of it.
    pub(super) milliseconds: u64,
}

/// How the image came to be in ECR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub(super) enum Action {
    Pushed {
        #[serde(rename = "layersPushed")]
        pushed: usize,
        #[serde(rename = "layersInRegistry")]
        existing: usize,
        /// Bytes of these layers, the config and the manifest.
        uploaded: u64,
    },
    /// It was there under its identity.
    Promoted,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TagOutcome {
    pub(super) tag: String,
    pub(super) status: TagStatus,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub(super) enum TagStatus {
    Added,
    AlreadyThere,
    Moved { from: String },
}

impl Pushed {
    pub(super) fn new(
        image: &PinnedImage,
        identity: Option<&Tag>,
        action: Action,
        tags: Vec<TagOutcome>,
        took: Duration,
    ) -> Self {
        Self {
            reference: image.reference().clone(),
            digest: image.manifest().digest.as_str().to_owned(),
            media_type: image.manifest().media_type.clone(),
            platform: image.platform().name(),
            size: image.sizes().all(),
            commit: image.commit().map(str::to_owned),
            identity: identity.map(|tag| tag.as_str().to_owned()),
            action,
            tags,
            milliseconds: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        }
    }

    pub(super) fn summarize(&self) {
        let took = took(self.milliseconds);
        match self.action {
            Action::Pushed { pushed, existing, uploaded } => {
                let noun = if pushed == 1 { "layer" } else { "layers" };
                let layers = format!("{pushed} {noun} uploaded, {existing} already in the registry");
                let sizes = format!("{} of {}", ui::size(uploaded), ui::size(self.size));
                ui::done("Pushed", format!("{layers}, {sizes} in {took}"));
            }
            Action::Promoted => {
                let is_new = self.tags.iter().any(|tag| tag.status != TagStatus::AlreadyThere);
                let verb = if is_new { "Promoted" } else { "Found" };
                ui::done(verb, format!("the image built from these inputs before, in {took}"));
            }
        }
        for TagOutcome { tag, status } in &self.tags {
            match status {
                TagStatus::Added => ui::note("tag", tag),
                TagStatus::AlreadyThere => ui::note("tag", format!("{tag}, already there")),
                TagStatus::Moved { from } => ui::note("tag", format!("{tag}, which named {from} before")),
            }
        }
        if let Some(commit) = &self.commit {
            ui::note("commit", commit);
        }
        if let Some(identity) = &self.identity {
            ui::note("identity", identity);
        }
        ui::done("Verified", format!("ECR holds {} for {}", self.digest, self.platform));
    }
}

impl Pushed {
    /// What the next steps of a workflow's job need.
    pub(super) fn set_outputs(&self) -> anyhow::Result<()> {
        let (reference, name) = (self.reference.to_string(), self.reference.name.to_string());
        let action = match self.action {
            Action::Pushed { .. } => "pushed",
            Action::Promoted => "promoted",
        };
        let outputs =
            [("reference", &*reference), ("name", &name), ("digest", &self.digest), ("action", action)];
        github::set_outputs(&outputs)
    }
}

impl TagStatus {
    /// None where the tag names another image for good.
    pub(super) fn of(tagged: Tagged) -> Option<Self> {
        match tagged {
            Tagged::Added => Some(Self::Added),
            Tagged::AlreadyThere => Some(Self::AlreadyThere),
            Tagged::Moved { from } => Some(Self::Moved { from: from.as_str().to_owned() }),
            Tagged::Taken { .. } => None,
        }
    }
}

fn took(milliseconds: u64) -> String {
    if milliseconds < 1000 {
        format!("{milliseconds} ms")
    } else {
        format!("{:.1} s", milliseconds as f64 / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::name::Digest;
    use image::reference::Name;

    #[test]
    fn the_json_is_what_scripts_rely_on() {
        let outcome = Pushed {
            reference: Name::parse("r").unwrap().pinned(Digest::of(b"")),
            digest: "sha256:a".to_owned(),
            media_type: "m".to_owned(),
            platform: "linux/amd64",
            size: 5,
            commit: None,
            identity: Some("inputs-1".to_owned()),
            action: Action::Pushed { pushed: 2, existing: 0, uploaded: 9 },
            tags: vec![
                TagOutcome { tag: "v1".to_owned(), status: TagStatus::Added },
                TagOutcome {
                    tag: "latest".to_owned(),
                    status: TagStatus::Moved { from: "sha256:b".to_owned() },
                },
            ],
            milliseconds: 7,
        };
        assert_eq!(
            serde_json::to_value(&outcome).unwrap(),
            serde_json::json!({
                "reference": "r@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                "digest": "sha256:a",
                "mediaType": "m",
                "platform": "linux/amd64",
                "size": 5,
                "commit": null,
                "identity": "inputs-1",
                "action": {"kind": "pushed", "layersPushed": 2, "layersInRegistry": 0, "uploaded": 9},
                "tags": [
                    {"tag": "v1", "status": {"kind": "added"}},
                    {"tag": "latest", "status": {"kind": "moved", "from": "sha256:b"}},
                ],
                "milliseconds": 7,
            })
        );
    }
}
