//! The Docker daemon: found as the docker CLI finds it, asked to build, run and describe. What for is decided elsewhere.

mod bridge;
pub mod build;
mod buildkit;
mod endpoint;
mod http;
mod image;
mod load;
pub mod login;
pub mod push;
pub mod run;

use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::Full;

use bridge::Bridge;
use endpoint::{Endpoint, Surroundings};
use http::Patience;

/// A daemon that has answered.
#[derive(Debug)]
pub struct Docker {
    pub api: bollard::Docker,
    endpoint: Endpoint,
    builder: Builder,
    pub daemon: Daemon,
    _bridge: Option<Bridge>,
}

/// Which builder takes our context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Builder {
    Classic,
    BuildKit,
}

/// What the daemon says about itself and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Daemon {
    pub place: DaemonPlace,
    pub version: String,
    pub store: ImageStore,
}

/// What keeps the images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageStore {
    /// The engine's own: it unpacks layers, packs them again for each upload, and calls an image by its config.
    Own,
    /// containerd's, the usual one from Engine 29 on: it keeps and uploads layers as they came, and calls an image by
    /// its manifest.
    Containerd,
}

/// Where containers run, seen from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DaemonPlace {
    /// On this machine, whose network a container can share.
    Here,
    /// On this machine, in a network namespace or a virtual machine of the daemon's own.
    Aside,
    /// On another machine, or outside of the container we are in.
    Elsewhere,
}

impl Docker {
    /// Connects, or says in one sentence why there is no Docker to use.
    pub async fn connect() -> anyhow::Result<Self> {
        let mut endpoint = Surroundings::read().endpoint()?;
        let mut bridge = None;
        let remote = !matches!(endpoint, Endpoint::Unix(_));
        if let Endpoint::ThroughCli(host) = &endpoint {
            let opened = Bridge::open(host)?;
            endpoint = Endpoint::Unix(opened.socket());
            bridge = Some(opened);
        }
        let patience = Duration::from_secs(if remote { 15 } else { 5 });
        let builder = tokio::time::timeout(patience, ping(&endpoint, patience))
            .await
            .with_context(|| format!("{endpoint} did not answer within {} s", patience.as_secs()))??;
        // Waiting for a build or a container may take as long as it likes; every other answer comes soon.
        let api = match &endpoint {
            Endpoint::Unix(path) => {
                bollard::Docker::connect_with_unix(&path.to_string_lossy(), 120, bollard::API_DEFAULT_VERSION)
            }
            Endpoint::Tcp(address) => {
                bollard::Docker::connect_with_http(address, 120, bollard::API_DEFAULT_VERSION)
            }
            Endpoint::ThroughCli(host) => bail!("{host} is reached through the docker CLI only"),
        }
        .with_context(|| format!("cannot connect to {endpoint}"))?;
        let info = api.info().await.context("the daemon does not describe itself")?;
        let daemon = Daemon {
            place: if remote { DaemonPlace::Elsewhere } else { place(&info, &host_name()) },
            store: store(&info),
            version: info.server_version.unwrap_or_default(),
        };
        if info.os_type.as_deref() != Some("linux") {
            bail!("{endpoint} runs {} containers; the job needs linux", info.os_type.unwrap_or_default());
        }
        Ok(Self { api, endpoint, builder, daemon, _bridge: bridge })
    }
}

async fn ping(endpoint: &Endpoint, limit: Duration) -> anyhow::Result<Builder> {
    let request = hyper::Request::get("/_ping")
        .header("host", "docker")
        .body(Full::new(Bytes::new()))
        .context("no request")?;
    let response = http::send(endpoint, request, Patience { with: "answer", limit }).await?.response;
    if !response.status().is_success() {
        bail!("{endpoint} answered {}", response.status());
    }
    let announced = response.headers().get("builder-version").is_some_and(|version| version == "2");
    // The docker CLI's own switch.
    Ok(match std::env::var("DOCKER_BUILDKIT").as_deref() {
        Ok("0") => Builder::Classic,
        Ok("1") => Builder::BuildKit,
        _ if announced => Builder::BuildKit,
        _ => Builder::Classic,
    })
}

fn place(info: &bollard::models::SystemInfo, host_name: &str) -> DaemonPlace {
    let rootless = info.security_options.iter().flatten().any(|option| option.contains("name=rootless"));
    let desktop = info.operating_system.as_deref().is_some_and(|system| system.contains("Docker Desktop"));
    match info.name.as_deref() {
        _ if desktop => DaemonPlace::Aside,
        // A daemon of another name behind a local socket: the socket was handed into a container we run in.
        Some(name) if name != host_name => DaemonPlace::Elsewhere,
        _ if rootless || !cfg!(target_os = "linux") => DaemonPlace::Aside,
        _ => DaemonPlace::Here,
    }
}

/// As `docker info` shows it: `driver-type: io.containerd.snapshotter.v1`.
fn store(info: &bollard::models::SystemInfo) -> ImageStore {
    let mut status = info.driver_status.iter().flatten();
    let is_containerd = status.any(|pair| {
        matches!(&pair[..], [key, value] if key == "driver-type" && value.starts_with("io.containerd.snapshotter"))
    });
    if is_containerd { ImageStore::Containerd } else { ImageStore::Own }
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_placed() {
        let info = |name: &str, system: &str, options: &[&str]| bollard::models::SystemInfo {
            name: Some(name.to_owned()),
            operating_system: Some(system.to_owned()),
            security_options: Some(options.iter().map(|option| (*option).to_owned()).collect()),
            ..Default::default()
        };
        for (info, expected) in [
            (info("box", "Debian GNU/Linux 12", &["name=seccomp,profile=default"]), DaemonPlace::Here),
            (info("box", "Debian GNU/Linux 12", &["name=rootless"]), DaemonPlace::Aside),
            (info("docker-desktop", "Docker Desktop", &[]), DaemonPlace::Aside),
            (info("other", "Debian GNU/Linux 12", &[]), DaemonPlace::Elsewhere),
        ] {
            assert_eq!(place(&info, "box"), expected, "{info:?}");
        }
    }

    #[test]
    fn stores_are_told_apart() {
        for (status, expected) in [
            // Engine 20.10
            (r#"[["Backing Filesystem", "extfs"], ["Supports d_type", "true"]]"#, ImageStore::Own),
            // Engine 29
            (r#"[["driver-type", "io.containerd.snapshotter.v1"]]"#, ImageStore::Containerd),
            (r#"[["driver-type"], []]"#, ImageStore::Own),
            ("null", ImageStore::Own),
        ] {
            let info = serde_json::from_str(&format!(r#"{{"DriverStatus": {status}}}"#)).unwrap();
            assert_eq!(store(&info), expected, "{status}");
        }
    }
}
