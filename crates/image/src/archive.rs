//! The image itself, byte for byte: two layers and a config, packed as `docker save` would. No builder has a hand in it,
//! so the same tree gives the same image with every engine, down to its ID.
//!
//! The config is OCI's, <https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md>, the archive Docker's,
//! <https://github.com/moby/docker-image-spec/blob/v1.3.1/spec.md#combined-image-json--filesystem-changeset-format>.

use std::io::Write as _;

use anyhow::Context as _;
use flate2::GzBuilder;
use serde_json::json;

use super::context::{self, File};
use super::elf;
use super::name::Digest;
use super::provenance::Provenance;
use super::reference::TaggedReference;
use crate::platform::Platform;
use workspace::project::Project;

/// What the image is made of.
#[derive(Debug)]
pub struct Layers {
    /// The binary and the licence, at the root.
    pub program: Vec<u8>,
    /// `/migrations`
    pub scripts: Vec<u8>,
}

impl Layers {
    /// # Errors
    /// When the binary is not one that a `FROM scratch` image of the platform can run, or a file can't be read.
    pub fn of(project: &Project, platform: Platform, binary: Vec<u8>) -> anyhow::Result<Self> {
        elf::check_static(&binary, platform)?;
        let program = vec![
            context::read(project, "LICENSE")?,
            File { mode: 0o755, ..File::new("run-migrations", binary) },
        ];
        let scripts = context::scripts(&project.migrations())?;
        Ok(Self {
            program: context::pack(None, program)?,
            scripts: context::pack(Some("migrations"), scripts)?,
        })
    }
}

/// An image that any engine can load.
#[derive(Debug)]
pub struct Archive {
    pub contents: Contents,
    pub tar: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// JSON; every registry keeps it as it is.
    pub config: Vec<u8>,
    pub layers: [Layer; 2],
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// What it is, for people.
    pub name: &'static str,
    /// Of the content.
    pub digest: Digest,
    pub size: u64,
    /// Of what stands for it in the archive.
    pub blob: Digest,
}

/// How layers stand in the archive. An engine either keeps them as they are, and uploads them so, or unpacks them and
/// packs them again for each upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    Plain,
    Gzip,
}

impl Archive {
    /// Packs layers, and what is said about them, under a reference such as `run-migrations:latest`.
    pub fn pack(
        reference: &TaggedReference,
        platform: Platform,
        provenance: &Provenance,
        layers: Layers,
        packing: Packing,
    ) -> anyhow::Result<Self> {
        let (program, program_file) = layer("binary", layers.program, packing)?;
        let (scripts, scripts_file) = layer("migrations", layers.scripts, packing)?;
        let layers = [program, scripts];
        let config = config(platform, provenance, &layers);
        let config_file = File::new(&format!("{}.json", Digest::of(&config).encoded()), config.clone());
        let manifest = json!([{
            "Config": config_file.path,
            "RepoTags": [reference.to_string()],
            "Layers": [program_file.path, scripts_file.path],
        }]);
        let manifest_file = File::new("manifest.json", manifest.to_string().into_bytes());
        let files = vec![config_file, program_file, scripts_file, manifest_file];
        Ok(Self { contents: Contents { config, layers }, tar: context::pack(None, files)? })
    }
}

fn layer(name: &'static str, tar: Vec<u8>, packing: Packing) -> anyhow::Result<(Layer, File)> {
    let (digest, size) = (Digest::of(&tar), tar.len() as u64);
    let packed = match packing {
        Packing::Plain => tar,
        Packing::Gzip => gzip(&tar).context("cannot compress a layer")?,
    };
    let blob = Digest::of(&packed);
    let file = File::new(&format!("{}.tar", blob.encoded()), packed);
    Ok((Layer { name, digest, size, blob }, file))
}

/// Without a time or a name in it: the same bytes from the same bytes.
fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzBuilder::new().write(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn config(platform: Platform, provenance: &Provenance, layers: &[Layer; 2]) -> Vec<u8> {
    let Provenance { version, revision, created, source } = provenance;
    let known = created.as_deref().unwrap_or("unknown");
    let made = |what: &str| json!({ "created": created, "created_by": format!("xtask: {what}") });
    json!({
        "architecture": platform.architecture(),
        "os": "linux",
        "created": created,
        "config": {
            "User": "65532:65532",
            "Entrypoint": ["/run-migrations"],
            "Env": [
                format!("RUN_MIGRATIONS_VERSION={version}"),
                format!("RUN_MIGRATIONS_COMMIT={revision}"),
                format!("RUN_MIGRATIONS_CREATED={known}"),
            ],
            "Labels": {
                "org.opencontainers.image.title": "run-migrations",
                "org.opencontainers.image.licenses": "MIT",
                "org.opencontainers.image.version": version,
                "org.opencontainers.image.revision": revision,
                "org.opencontainers.image.created": known,
                "org.opencontainers.image.source": source,
            },
        },
        "rootfs": { "type": "layers", "diff_ids": layers.each_ref().map(|layer| layer.digest.as_str()) },
        "history": [made("binary"), made("migrations")],
    })
    .to_string()
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read;

    use serde_json::Value;

    use super::*;
    use crate::name::Tag;
    use crate::reference::Name;

    fn provenance() -> Provenance {
        let text = |text: &str| text.to_owned();
        Provenance {
            version: text("v1.2.3"),
            revision: text("0123abc"),
            created: Some(text("2026-11-23T10:00:00Z")),
            source: text("https://example.com/site/run-migrations"),
        }
    }

    fn archive(scripts: &[u8], packing: Packing) -> Archive {
        let layers = Layers { program: b"program".to_vec(), scripts: scripts.to_vec() };
        let reference = Name::parse("a").unwrap().tagged(Tag::parse("b").unwrap());
        Archive::pack(&reference, Platform::Amd64, &provenance(), layers, packing).unwrap()
    }

    fn parts(archive: &Archive) -> BTreeMap<String, Vec<u8>> {
        let mut parts = BTreeMap::new();
        for entry in tar::Archive::new(archive.tar.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            parts.insert(name, bytes);
        }
        parts
    }

    fn unpacked(bytes: &[u8], packing: Packing) -> Vec<u8> {
        let mut content = Vec::new();
        match packing {
            Packing::Plain => content.extend(bytes),
            Packing::Gzip => {
                flate2::read::GzDecoder::new(bytes).read_to_end(&mut content).unwrap();
            }
        }
        content
    }

    #[test]
    fn every_part_is_found_under_its_digest() {
        for packing in [Packing::Plain, Packing::Gzip] {
            let packed = archive(b"scripts", packing);
            let parts = parts(&packed);
            let manifest: Value = serde_json::from_slice(&parts["manifest.json"]).unwrap();
            assert_eq!(manifest[0]["RepoTags"], json!(["a:b"]));
            let config = &parts[manifest[0]["Config"].as_str().unwrap()];
            assert_eq!(*config, packed.contents.config);
            let config: Value = serde_json::from_slice(config).unwrap();
            assert_eq!(config["config"]["Env"][0], "RUN_MIGRATIONS_VERSION=v1.2.3");
            assert_eq!(config["architecture"], "amd64");
            for (index, content) in [&b"program"[..], b"scripts"].into_iter().enumerate() {
                let layer = &packed.contents.layers[index];
                let file = manifest[0]["Layers"][index].as_str().unwrap();
                assert_eq!(file, format!("{}.tar", layer.blob.encoded()));
                assert_eq!(layer.blob, Digest::of(&parts[file]));
                assert_eq!(unpacked(&parts[file], packing), content);
                assert_eq!(layer.digest, Digest::of(content));
                assert_eq!(config["rootfs"]["diff_ids"][index], layer.digest.as_str());
            }
        }
    }

    #[test]
    fn the_same_parts_give_the_same_bytes() {
        for packing in [Packing::Plain, Packing::Gzip] {
            assert_eq!(archive(b"one", packing).tar, archive(b"one", packing).tar);
            assert_ne!(archive(b"one", packing).tar, archive(b"two", packing).tar);
        }
        let [plain, packed] =
            [Packing::Plain, Packing::Gzip].map(|packing| archive(b"one", packing).contents);
        assert_eq!(plain.config, packed.config, "it is one image, however it is packed");
    }
}
