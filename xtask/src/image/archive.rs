//! The image itself, byte for byte: two layers and a config, packed as `docker save` would. No builder has a hand in it,
//! so the same tree gives the same image with every engine, down to its ID.
//!
//! The config is OCI's, <https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md>, the archive Docker's,
//! <https://github.com/moby/docker-image-spec/blob/v1.3.1/spec.md#combined-image-json--filesystem-changeset-format>.

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::context::{self, File};
use super::elf;
use super::provenance::Provenance;
use crate::project::Project;
use crate::settings::Platform;

/// What the image is made of.
#[derive(Debug)]
pub(crate) struct Layers {
    /// The binary and the licence, at the root.
    pub(crate) program: Vec<u8>,
    /// `/migrations`
    pub(crate) scripts: Vec<u8>,
}

impl Layers {
    /// # Errors
    /// When the binary is not one that a `FROM scratch` image of the platform can run, or a file can't be read.
    pub(crate) fn of(project: &Project, platform: Platform, binary: Vec<u8>) -> anyhow::Result<Self> {
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
pub(crate) struct Archive {
    /// The digest of the config, by which an engine without containerd's store knows the image.
    pub(crate) id: String,
    pub(crate) tar: Vec<u8>,
}

impl Archive {
    /// Packs layers, and what is said about them, under a reference such as `run-migrations:latest`.
    pub(crate) fn pack(
        reference: &str,
        platform: Platform,
        provenance: &Provenance,
        layers: Layers,
    ) -> anyhow::Result<Self> {
        let config = config(platform, provenance, &layers);
        let id = hexadecimal(&config);
        let files = [(format!("{id}.json"), config)]
            .into_iter()
            .chain([layers.program, layers.scripts].map(|tar| (format!("{}.tar", hexadecimal(&tar)), tar)));
        let mut files: Vec<_> = files.map(|(name, bytes)| File::new(&name, bytes)).collect();
        let [config, program, scripts] = [0, 1, 2].map(|index: usize| files[index].path.clone());
        let manifest =
            json!([{ "Config": config, "RepoTags": [reference], "Layers": [program, scripts] }]).to_string();
        files.push(File::new("manifest.json", manifest.into_bytes()));
        Ok(Self { id: format!("sha256:{id}"), tar: context::pack(None, files)? })
    }
}

fn config(platform: Platform, provenance: &Provenance, layers: &Layers) -> Vec<u8> {
    let Provenance { version, revision, created, source } = provenance;
    let known = created.as_deref().unwrap_or("unknown");
    let layer = |tar: &[u8]| format!("sha256:{}", hexadecimal(tar));
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
        "rootfs": { "type": "layers", "diff_ids": [layer(&layers.program), layer(&layers.scripts)] },
        "history": [made("binary"), made("migrations")],
    })
    .to_string()
    .into_bytes()
}

fn hexadecimal(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read;

    use serde_json::Value;

    use super::*;

    fn provenance() -> Provenance {
        let text = |text: &str| text.to_owned();
        Provenance {
            version: text("v1.2.3"),
            revision: text("0123abc"),
            created: Some(text("2026-11-23T10:00:00Z")),
            source: text("https://example.com/site/run-migrations"),
        }
    }

    fn archive(scripts: &[u8]) -> Archive {
        let layers = Layers { program: b"program".to_vec(), scripts: scripts.to_vec() };
        Archive::pack("a:b", Platform::Amd64, &provenance(), layers).unwrap()
    }

    #[test]
    fn every_part_is_found_under_its_digest() {
        let packed = archive(b"scripts");
        let mut parts = BTreeMap::new();
        for entry in tar::Archive::new(packed.tar.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            parts.insert(name, bytes);
        }
        let manifest: Value = serde_json::from_slice(&parts["manifest.json"]).unwrap();
        assert_eq!(manifest[0]["RepoTags"], json!(["a:b"]));
        let config = &parts[manifest[0]["Config"].as_str().unwrap()];
        assert_eq!(packed.id, format!("sha256:{}", hexadecimal(config)));
        let config: Value = serde_json::from_slice(config).unwrap();
        assert_eq!(config["config"]["Env"][0], "RUN_MIGRATIONS_VERSION=v1.2.3");
        assert_eq!(config["architecture"], "amd64");
        for (index, content) in [&b"program"[..], b"scripts"].into_iter().enumerate() {
            assert_eq!(parts[manifest[0]["Layers"][index].as_str().unwrap()], content);
            let digest = format!("sha256:{}", hexadecimal(content));
            assert_eq!(config["rootfs"]["diff_ids"][index], digest.as_str());
        }
    }

    #[test]
    fn the_same_parts_give_the_same_bytes() {
        assert_eq!(archive(b"one").tar, archive(b"one").tar);
        assert_ne!(archive(b"one").id, archive(b"two").id);
    }
}
