//! The ECR emulator that `cargo xtask test` has started, asked without any SDK.

use std::io::{Read, Write};
use std::net::TcpStream;

use base64::Engine;
use serde_json::{Value, json};
use sha2::Digest;

/// `127.0.0.1:PORT`
pub(crate) fn address() -> String {
    std::env::var("TEST_ECR")
        .unwrap_or_else(|_| panic!("TEST_ECR is not set; run this with `cargo xtask test`"))
}

/// One request on a connection of its own; the status and the body.
pub(crate) fn http(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(address()).unwrap();
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", address());
    head += &format!("content-length: {}\r\n", body.len());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(&[head.as_bytes(), b"\r\n", body].concat()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let status = String::from_utf8_lossy(&answer[9..12]).parse().unwrap();
    (status, answer[end + 4..].to_vec())
}

/// An operation of the ECR API.
pub(crate) fn api(operation: &str, request: Value) -> Value {
    let target = format!("AmazonEC2ContainerRegistry_V20150921.{operation}");
    let authorization = "AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/ecr/aws4_request, SignedHeaders=host, Signature=0";
    let headers = [
        ("x-amz-target", &*target),
        ("content-type", "application/x-amz-json-1.1"),
        ("authorization", authorization),
    ];
    let (status, body) = http("POST", "/", &headers, request.to_string().as_bytes());
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).unwrap()
}

/// A repository of one test.
#[derive(Debug)]
pub(crate) struct Repository(pub(crate) String);

impl Repository {
    /// Its name alone; nothing is there yet.
    pub(crate) fn named(test: &str) -> Self {
        Self(format!("test/{test}-{}", std::process::id()))
    }

    pub(crate) fn created(test: &str, mutability: &str) -> Self {
        let repository = Self::named(test);
        api("CreateRepository", json!({"repositoryName": repository.0, "imageTagMutability": mutability}));
        repository
    }

    fn put(&self, bytes: &[u8]) -> String {
        let digest: String = sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let (status, _) = http(
            "POST",
            &format!("/v2/{}/blobs/uploads/?digest=sha256:{digest}", self.0),
            &[("authorization", &basic())],
            bytes,
        );
        assert_eq!(status, 201);
        format!("sha256:{digest}")
    }

    /// An image of a platform, without a Docker daemon: config, one layer, manifest. Its digest.
    pub(crate) fn image(&self, tag: &str, platform: &str, layer: &[u8]) -> String {
        self.image_of("0123456789abcdef0123456789abcdef01234567", tag, platform, layer)
    }

    /// One that says which commit it was built from.
    pub(crate) fn image_of(&self, commit: &str, tag: &str, platform: &str, layer: &[u8]) -> String {
        let (os, architecture) = platform.split_once('/').unwrap();
        let labels = json!({"org.opencontainers.image.revision": commit});
        let config =
            json!({"os": os, "architecture": architecture, "config": {"Labels": labels}}).to_string();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": config.len(), "digest": self.put(config.as_bytes())},
            "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": layer.len(), "digest": self.put(layer)}],
        })
        .to_string();
        let (status, _) = http(
            "PUT",
            &format!("/v2/{}/manifests/{tag}", self.0),
            &[("authorization", &basic()), ("content-type", MANIFEST)],
            manifest.as_bytes(),
        );
        assert_eq!(status, 201);
        let digest: String =
            sha2::Sha256::digest(manifest.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256:{digest}")
    }

    /// Deletes an image, with all of its tags.
    pub(crate) fn delete(&self, digest: &str) {
        api("BatchDeleteImage", json!({"repositoryName": self.0, "imageIds": [{"imageDigest": digest}]}));
    }

    /// All of its tags.
    pub(crate) fn tags(&self) -> Vec<String> {
        let answer = api("ListImages", json!({"repositoryName": self.0}));
        let ids = answer["imageIds"].as_array().unwrap();
        ids.iter().filter_map(|id| id["imageTag"].as_str().map(str::to_owned)).collect()
    }

    /// The digest a tag has.
    pub(crate) fn digest(&self, tag: &str) -> Option<String> {
        let answer = api("BatchGetImage", json!({"repositoryName": self.0, "imageIds": [{"imageTag": tag}]}));
        answer["images"][0]["imageId"]["imageDigest"].as_str().map(str::to_owned)
    }
}

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

fn basic() -> String {
    let token = base64::engine::general_purpose::STANDARD.encode(format!("AWS:{}", super::PASSWORD));
    format!("Basic {token}")
}
