//! What a registry holds under a digest: a manifest, and the config it names.

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use super::name::Digest;
use crate::platform::Platform;

/// The forms a manifest may have, so that a registry hands out the one it has and converts nothing.
pub const MEDIA_TYPES: [&str; 4] = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
];

/// A manifest exactly as the registry gave it: one byte more is another digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    pub digest: Digest,
    pub media_type: String,
    pub text: String,
}

/// What a manifest is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Sizes are those of the blobs as they were uploaded.
    Image { config: Digest, config_size: u64, layers: Vec<u64> },
    /// One for each platform. What is no image (an attestation) has the platform `unknown/unknown`.
    Index(Vec<(String, Digest)>),
}

#[derive(Deserialize)]
struct Parsed {
    config: Option<Part>,
    #[serde(default)]
    layers: Vec<Part>,
    manifests: Option<Vec<Child>>,
}

#[derive(Deserialize)]
struct Part {
    digest: String,
    #[serde(default)]
    size: u64,
}

#[derive(Deserialize)]
struct Child {
    digest: String,
    platform: Option<ChildPlatform>,
}

#[derive(Deserialize)]
struct ChildPlatform {
    os: String,
    architecture: String,
}

/// What an image's config says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub platform: String,
    pub commit: Option<String>,
}

impl Manifest {
    /// Takes what a registry handed out, if it is what the digest says.
    pub fn new(digest: &str, media_type: &str, text: &str) -> anyhow::Result<Self> {
        let digest = Digest::parse(digest)?;
        ensure!(
            Digest::of(text.as_bytes()) == digest,
            "what ECR holds as {digest} has the digest {}",
            Digest::of(text.as_bytes())
        );
        ensure!(MEDIA_TYPES.contains(&media_type), "{digest} is not an image, but {media_type:?}");
        Ok(Self { digest, media_type: media_type.to_owned(), text: text.to_owned() })
    }

    pub fn content(&self) -> anyhow::Result<Content> {
        let odd = || format!("the manifest {} is not understood", self.digest);
        let parsed: Parsed = serde_json::from_str(&self.text).with_context(odd)?;
        if let Some(children) = parsed.manifests {
            let children = children.into_iter().map(|child| {
                let platform = child.platform.map(|p| format!("{}/{}", p.os, p.architecture));
                Ok((platform.unwrap_or_default(), Digest::parse(&child.digest)?))
            });
            return Ok(Content::Index(children.collect::<anyhow::Result<_>>().with_context(odd)?));
        }
        let config = parsed.config.context("it names no config").with_context(odd)?;
        let layers = parsed.layers.iter().map(|layer| layer.size).collect();
        let digest = Digest::parse(&config.digest).with_context(odd)?;
        Ok(Content::Image { config: digest, config_size: config.size, layers })
    }
}

impl Config {
    pub fn parse(bytes: &[u8]) -> anyhow::Result<Self> {
        let value: serde_json::Value =
            serde_json::from_slice(bytes).context("the image's config is not understood")?;
        let (Some(os), Some(architecture)) = (value["os"].as_str(), value["architecture"].as_str()) else {
            bail!("the image's config names no platform")
        };
        let commit = value["config"]["Labels"]["org.opencontainers.image.revision"].as_str();
        Ok(Self {
            platform: format!("{os}/{architecture}"),
            commit: commit.filter(|commit| *commit != "unknown").map(str::to_owned),
        })
    }

    pub fn check(&self, platform: Platform) -> anyhow::Result<()> {
        ensure!(
            self.platform == platform.name(),
            "the image in ECR is for {}, not for {}",
            self.platform,
            platform.name()
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA2: &str = "application/vnd.docker.distribution.manifest.v2+json";

    #[test]
    fn a_manifest_is_what_its_digest_says() {
        let digest = Digest::of(b"{}");
        assert!(Manifest::new(digest.as_str(), SCHEMA2, "{}").is_ok());
        let error = Manifest::new(digest.as_str(), SCHEMA2, "{}\n").unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("what ECR holds as {digest} has the digest sha256:ca3d")),
            "{error}"
        );
        assert!(Manifest::new(digest.as_str(), "text/html", "{}").is_err());
    }

    #[test]
    fn manifests_are_read() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        for (text, expected) in [
            (
                format!(r#"{{"config":{{"digest":"{a}","size":5}},"layers":[{{"digest":"{b}","size":7}}]}}"#),
                Some(Content::Image { config: a.clone(), config_size: 5, layers: vec![7] }),
            ),
            (
                format!(
                    r#"{{"manifests":[{{"digest":"{a}","platform":{{"os":"linux","architecture":"amd64"}}}},{{"digest":"{b}"}}]}}"#
                ),
                Some(Content::Index(vec![("linux/amd64".to_owned(), a.clone()), (String::new(), b)])),
            ),
            (r#"{"config":{"digest":"x"}}"#.to_owned(), None),
            ("{}".to_owned(), None),
            ("no".to_owned(), None),
        ] {
            let manifest = Manifest::new(Digest::of(text.as_bytes()).as_str(), SCHEMA2, &text).unwrap();
            assert_eq!(manifest.content().ok(), expected, "{text}");
        }
    }

    #[test]
    fn configs_are_read() {
        let config = br#"{"os":"linux","architecture":"arm64","config":{"Labels":{"org.opencontainers.image.revision":"abc"}}}"#;
        let config = Config::parse(config).unwrap();
        assert_eq!(config, Config { platform: "linux/arm64".to_owned(), commit: Some("abc".to_owned()) });
        assert!(config.check(Platform::Arm64).is_ok());
        let error = config.check(Platform::Amd64).unwrap_err().to_string();
        assert_eq!(error, "the image in ECR is for linux/arm64, not for linux/amd64");
        assert!(Config::parse(b"{}").is_err());
    }
}
