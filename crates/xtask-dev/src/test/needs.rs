//! What the tests need of the machine, what of it is missing, and the commands that install it.

use std::fmt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use docker::Docker;
use local_postgres::account::SystemAccount;
use local_postgres::binaries::Binaries;
use workspace::github::fence::Fence;
use workspace::{kubectl, process, ui};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Usual,
    All,
    /// In a cluster, with an image that is built here, or with one that is there.
    Kubernetes {
        builds: bool,
    },
}

impl Scope {
    fn wants_docker(self) -> bool {
        matches!(self, Self::All | Self::Kubernetes { builds: true })
    }

    /// The lint of the manifests does, too.
    fn wants_kubectl(self) -> bool {
        matches!(self, Self::All | Self::Kubernetes { .. })
    }

    /// What is typed for it.
    pub(super) fn flag(self) -> &'static str {
        match self {
            Self::Usual => "",
            Self::All => " --all",
            Self::Kubernetes { .. } => " --kubernetes",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Needs {
    missing: Vec<Missing>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Missing {
    /// No server of the machine, and no Python to get the wheel with.
    Postgres,
    Openssl,
    DockerCli,
    /// The daemon does not answer, for the reason given.
    DockerDaemon(String),
    /// Debian 12 and Ubuntu have none that is new enough.
    Kubectl,
}

impl Missing {
    fn package(&self) -> Option<&'static str> {
        match self {
            Self::Postgres => Some("postgresql"),
            Self::Openssl => Some("openssl"),
            Self::DockerCli | Self::DockerDaemon(_) => Some("docker.io"),
            Self::Kubectl => None,
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postgres => {
                write!(f, "no PostgreSQL server is installed, and no Python to get one from PyPI")
            }
            Self::Openssl => write!(f, "openssl is not on PATH"),
            Self::DockerCli => write!(f, "docker is not on PATH"),
            Self::DockerDaemon(why) => write!(f, "no Docker daemon answers ({why})"),
            Self::Kubectl => write!(f, "{}", kubectl::MISSING),
        }
    }
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what: Vec<_> = self.missing.iter().map(ToString::to_string).collect();
        let commands: Vec<_> = self.commands().iter().map(|words| format!("`{}`", words.join(" "))).collect();
        write!(f, "{}", what.join(", "))?;
        if commands.is_empty() { Ok(()) } else { write!(f, "; install it with {}", commands.join(" and ")) }
    }
}

impl Needs {
    pub(super) async fn find(scope: Scope) -> Self {
        let mut missing = Vec::new();
        if Binaries::of_the_machine(SystemAccount::choose()).is_empty() && !can_make_environments() {
            missing.push(Missing::Postgres);
        }
        if process::find("openssl").is_none() {
            missing.push(Missing::Openssl);
        }
        if scope.wants_docker() {
            if process::find("docker").is_none() {
                missing.push(Missing::DockerCli);
            }
            if let Err(error) = Docker::connect().await {
                missing.push(Missing::DockerDaemon(format!("{error:#}")));
            }
        }
        if scope.wants_kubectl() && process::find("kubectl").is_none() {
            missing.push(Missing::Kubectl);
        }
        Self { missing }
    }

    pub(super) fn are_met(&self) -> bool {
        self.missing.is_empty()
    }

    /// What a person would type. A daemon whose CLI is there is installed; it has to be started.
    fn commands(&self) -> Vec<Vec<&'static str>> {
        let is_absent = |missing: &&Missing| {
            !matches!(missing, Missing::DockerDaemon(_)) || self.missing.contains(&Missing::DockerCli)
        };
        let mut packages: Vec<_> =
            self.missing.iter().filter(is_absent).filter_map(Missing::package).collect();
        packages.dedup();
        let mut commands = Vec::new();
        if !packages.is_empty() {
            commands.push(vec!["apt-get", "update"]);
            commands.push([&["apt-get", "install", "--yes"], packages.as_slice()].concat());
        }
        if self.missing.iter().any(|missing| matches!(missing, Missing::DockerDaemon(_))) {
            commands.push(vec!["service", "docker", "start"]);
        }
        commands
    }

    /// Installs it; each command is named before it runs.
    pub(super) fn install(&self) -> anyhow::Result<()> {
        if process::find("apt-get").is_none() {
            bail!("{self}, but there is no apt-get here; install it the way this system does");
        }
        let is_root = rustix::process::geteuid().is_root();
        if !is_root && process::find("sudo").is_none() {
            bail!("{self}; that takes root or sudo");
        }
        let _fence = Fence::begin()?;
        for words in self.commands() {
            let prefix: &[&str] =
                if is_root { &[] } else { &["sudo", "env", "DEBIAN_FRONTEND=noninteractive"] };
            let line = [prefix, &words].concat();
            ui::done("Installing", line.join(" "));
            let (program, arguments) = line.split_first().context("no command")?;
            let status = Command::new(program)
                .args(arguments)
                .env("DEBIAN_FRONTEND", "noninteractive")
                .stdin(Stdio::null())
                .stdout(std::io::stderr())
                .status()
                .with_context(|| format!("cannot run {program}"))?;
            // A daemon that runs already is no reason to stop; whether it answers is asked afterwards.
            if !status.success() && words.first() != Some(&"service") {
                bail!("{} failed ({status})", line.join(" "));
            }
        }
        if self.commands().iter().any(|words| words.first() == Some(&"service")) {
            await_socket();
        }
        Ok(())
    }
}

/// A daemon that is being started takes a moment until it listens.
fn await_socket() {
    let start = Instant::now();
    let is_up = || std::os::unix::net::UnixStream::connect("/var/run/docker.sock").is_ok();
    while !is_up() && start.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Debian's python3 comes without what makes virtual environments.
fn can_make_environments() -> bool {
    process::output(Command::new("python3").args(["-c", "import ensurepip, venv"])).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_install_what_is_missing() {
        let daemon = || Missing::DockerDaemon("no socket".to_owned());
        for (missing, commands) in [
            (vec![], ""),
            (vec![Missing::Openssl], "apt-get update; apt-get install --yes openssl"),
            (
                vec![Missing::Postgres, Missing::DockerCli, daemon()],
                "apt-get update; apt-get install --yes postgresql docker.io; service docker start",
            ),
            (vec![daemon()], "service docker start"),
            (vec![Missing::Kubectl], ""),
        ] {
            let needs = Needs { missing };
            let lines: Vec<_> = needs.commands().iter().map(|words| words.join(" ")).collect();
            assert_eq!(lines.join("; "), commands);
        }
    }
}
