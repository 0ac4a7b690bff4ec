//! Which Docker is meant, decided as the docker CLI decides it.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Deserialize;
use sha2::{Digest, Sha256};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Unix(PathBuf),
    Tcp(String),
    /// TLS and ssh: left to the docker CLI, which knows all of their settings. Holds the host, for messages.
    ThroughCli(String),
}

/// What the decision is made from.
#[derive(Debug, Default, Clone)]
pub(crate) struct Surroundings {
    pub host: Option<String>,
    pub context: Option<String>,
    pub tls: bool,
    pub(crate) config_directory: PathBuf,
    pub(crate) runtime_directory: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ConfigFile {
    current_context: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContextFile {
    endpoints: Endpoints,
}

#[derive(Deserialize)]
struct Endpoints {
    docker: ContextHost,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContextHost {
    #[serde(default)]
    host: String,
}

impl Surroundings {
    /// Reads the environment; an empty variable counts as unset, as it does for docker.
    pub(crate) fn read() -> Self {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let home = || set("HOME").map(|home| Path::new(&home).join(".docker"));
        Self {
            host: set("DOCKER_HOST"),
            context: set("DOCKER_CONTEXT"),
            tls: set("DOCKER_TLS_VERIFY").or(set("DOCKER_TLS")).is_some(),
            config_directory: set("DOCKER_CONFIG").map(PathBuf::from).or_else(home).unwrap_or_default(),
            runtime_directory: set("XDG_RUNTIME_DIR").map(PathBuf::from),
        }
    }

    /// `DOCKER_HOST`, `DOCKER_CONTEXT`, `currentContext` of config.json, the default socket, a rootless one.
    pub(crate) fn endpoint(&self) -> anyhow::Result<Endpoint> {
        if let Some(host) = &self.host {
            return endpoint(host, self.tls).context("DOCKER_HOST is not usable");
        }
        match self.context_name()?.as_deref() {
            None | Some("default") => Ok(self.default_socket()),
            Some(name) => self.context_endpoint(name),
        }
    }

    fn context_name(&self) -> anyhow::Result<Option<String>> {
        if self.context.is_some() {
            return Ok(self.context.clone());
        }
        let path = self.config_directory.join("config.json");
        let Ok(text) = std::fs::read_to_string(&path) else { return Ok(None) };
        let file: ConfigFile =
            serde_json::from_str(&text).with_context(|| format!("{} is not valid", path.display()))?;
        Ok(Some(file.current_context).filter(|name| !name.is_empty()))
    }

    fn context_endpoint(&self, name: &str) -> anyhow::Result<Endpoint> {
        let id: String = Sha256::digest(name).iter().map(|byte| format!("{byte:02x}")).collect();
        let contexts = self.config_directory.join("contexts");
        let path = contexts.join("meta").join(&id).join("meta.json");
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!("the Docker context {name:?} does not exist; `docker context ls` lists them")
        })?;
        let file: ContextFile =
            serde_json::from_str(&text).with_context(|| format!("{} is not valid", path.display()))?;
        let tls = contexts.join("tls").join(&id).join("docker").is_dir();
        endpoint(&file.endpoints.docker.host, tls)
            .with_context(|| format!("the Docker context {name:?} is not usable"))
    }

    fn default_socket(&self) -> Endpoint {
        let usual = PathBuf::from("/var/run/docker.sock");
        let rootless = self.runtime_directory.as_ref().map(|directory| directory.join("docker.sock"));
        Endpoint::Unix(rootless.filter(|socket| !usual.exists() && socket.exists()).unwrap_or(usual))
    }
}

fn endpoint(host: &str, tls: bool) -> anyhow::Result<Endpoint> {
    match host.split_once("://") {
        Some(("unix", path)) if path.starts_with('/') => Ok(Endpoint::Unix(path.into())),
        Some(("tcp" | "http" | "https" | "ssh", "")) => bail!("{host:?} names no host"),
        Some(("ssh" | "https", _)) => Ok(Endpoint::ThroughCli(host.to_owned())),
        Some(("tcp", _)) if tls => Ok(Endpoint::ThroughCli(host.to_owned())),
        Some(("tcp" | "http", address)) => {
            let address = address.trim_end_matches('/');
            let has_port = address.rsplit(']').next().is_some_and(|rest| rest.contains(':'));
            Ok(Endpoint::Tcp(if has_port { address.to_owned() } else { format!("{address}:2375") }))
        }
        _ => bail!("{host:?} is none of unix:///path, tcp://host:port, https://host:port, ssh://user@host"),
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Tcp(address) => f.write_str(address),
            Self::ThroughCli(host) => f.write_str(host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read() {
        let unix = |path: &str| Some(Endpoint::Unix(path.into()));
        let tcp = |address: &str| Some(Endpoint::Tcp(address.to_owned()));
        let cli = |host: &str| Some(Endpoint::ThroughCli(host.to_owned()));
        for (host, tls, expected) in [
            ("unix:///run/d.sock", false, unix("/run/d.sock")),
            ("tcp://10.0.0.1:2375", false, tcp("10.0.0.1:2375")),
            ("tcp://10.0.0.1:2375/", false, tcp("10.0.0.1:2375")),
            ("tcp://build", false, tcp("build:2375")),
            ("tcp://[::1]", false, tcp("[::1]:2375")),
            ("tcp://[::1]:99", false, tcp("[::1]:99")),
            ("tcp://build:2376", true, cli("tcp://build:2376")),
            ("https://build:2376", false, cli("https://build:2376")),
            ("ssh://me@build", false, cli("ssh://me@build")),
            ("unix://relative.sock", false, None),
            ("tcp://", false, None),
            ("/var/run/docker.sock", false, None),
            ("npipe:////./pipe/docker", false, None),
        ] {
            assert_eq!(endpoint(host, tls).ok(), expected, "{host}");
        }
    }

    #[test]
    fn the_first_of_host_variable_config_wins() {
        let directory = std::env::temp_dir().join(format!("docker-contexts-{}", std::process::id()));
        let id: String = Sha256::digest("far").iter().map(|byte| format!("{byte:02x}")).collect();
        let meta = directory.join("contexts/meta").join(id);
        std::fs::create_dir_all(&meta).unwrap();
        std::fs::write(directory.join("config.json"), r#"{"auths": {}, "currentContext": "far"}"#).unwrap();
        std::fs::write(
            meta.join("meta.json"),
            r#"{"Name":"far","Metadata":{},"Endpoints":{"docker":{"Host":"tcp://far:2375","SkipTLSVerify":false}}}"#,
        )
        .unwrap();
        let bare = Surroundings { config_directory: directory.clone(), ..Surroundings::default() };
        let context = |name: &str| Surroundings { context: Some(name.to_owned()), ..bare.clone() };
        let both = Surroundings { host: Some("tcp://near:1".to_owned()), ..context("far") };
        let usual = Endpoint::Unix("/var/run/docker.sock".into());
        for (surroundings, expected) in [
            (bare.clone(), Some(Endpoint::Tcp("far:2375".to_owned()))),
            (context("default"), Some(usual)),
            (context("missing"), None),
            (both, Some(Endpoint::Tcp("near:1".to_owned()))),
        ] {
            assert_eq!(surroundings.endpoint().ok(), expected);
        }
        std::fs::remove_dir_all(directory).unwrap();
    }
}
