//! `cargo xtask test --kubernetes`: what the end-to-end suite needs around it, and its removal.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};

use super::server::{self, TestServer};
use docker::Docker;
use image::name::Tag;
use settings::{ImageFlags, PostgresFlags, Settings};
use workspace::project::Project;
use workspace::{kubectl, process, ui};
use xtask::cli::test::ClusterTestFlags;
use xtask::tasks::build_image;

/// What is there for the suite; removed when dropped.
pub(super) struct Stage {
    id: String,
    image: String,
    host_network: bool,
    postgres: Postgres,
    for_pods: (String, u16),
}

enum Postgres {
    /// Ours, for this run.
    Own(Box<TestServer>),
    GivenServer(GivenServer),
}

/// The caller's: its role must be allowed to make databases.
struct GivenServer {
    host: String,
    port: u16,
    user: String,
    password: String,
    database: String,
    programs: PathBuf,
}

impl Stage {
    pub(super) async fn set(flags: &ClusterTestFlags, project: &Project) -> anyhow::Result<Self> {
        let given = GivenServer::read()?;
        let for_pods = flags.postgres.as_deref().map(address).transpose()?;
        let context = kubectl::run(&["config", "current-context"])
            .context("there is no cluster to test in: KUBECONFIG or ~/.kube/config names none")?;
        let context = context.trim();
        let version =
            kubectl::run(&["version", "--output", "json"]).context("the cluster does not answer")?;
        ui::done("Testing", format!("in {context}, {}", server_version(&version)));
        let reach = reach(context, flags.host_network);
        if given.is_none() && reach.is_none() {
            bail!(
                "pods need a PostgreSQL they can reach: set POSTGRES_HOST, POSTGRES_USER and POSTGRES_PASSWORD (of a role \
                 with CREATEDB); or, where the nodes are this machine, --host-network"
            );
        }
        let image = match &flags.image {
            Some(image) => image.clone(),
            None => build(context, project).await?,
        };
        let (postgres, own_host) = match given {
            Some(given) => {
                let host = given.host.clone();
                (Postgres::GivenServer(given), host)
            }
            None => {
                let host = match reach {
                    Some(Reach::Gateway) => gateway().await?,
                    _ => Ipv4Addr::LOCALHOST,
                };
                let own = project.clone();
                let server = tokio::task::spawn_blocking(move || TestServer::start_for_pods(&own, host));
                let server = server.await.context("a thread of xtask panicked")??;
                (Postgres::Own(Box::new(server)), host.to_string())
            }
        };
        let for_pods = for_pods.unwrap_or((own_host, postgres.port()));
        let millis = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?;
        let id = format!("{:x}", millis.as_millis());
        Ok(Self { id, image, host_network: flags.host_network, postgres, for_pods })
    }

    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        let (host, port) = &self.for_pods;
        let mut environment = vec![
            ("TEST_CLUSTER_ID", self.id.clone()),
            ("TEST_CLUSTER_IMAGE", self.image.clone()),
            ("TEST_CLUSTER_HOST_NETWORK", self.host_network.to_string()),
            ("TEST_CLUSTER_POSTGRES_HOST", host.clone()),
            ("TEST_CLUSTER_POSTGRES_PORT", port.to_string()),
        ];
        environment.extend(self.postgres.environment());
        environment
    }

    fn remove(&self) -> anyhow::Result<()> {
        let selector = format!("run-migrations/test={}", self.id);
        let delete =
            ["delete", "namespaces", "--selector", &selector, "--ignore-not-found", "--timeout=120s"];
        let namespaces = kubectl::run(&delete).with_context(|| {
            format!("the suite's namespaces are not gone; look with `kubectl get namespaces --selector {selector}`")
        });
        let databases = match &self.postgres {
            Postgres::GivenServer(given) => {
                given.drop_databases(&format!("run_migrations_test_{}_", self.id))
            }
            Postgres::Own(_) => Ok(()),
        };
        namespaces.and(databases)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _waiting = ui::waiting("Removing", "the suite's namespaces");
        if let Err(error) = self.remove() {
            ui::warning(format!("{error:#}"));
        }
    }
}

impl Postgres {
    fn port(&self) -> u16 {
        match self {
            Self::Own(server) => server.address().port,
            Self::GivenServer(given) => given.port,
        }
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Own(server) => {
                let database = ("TEST_POSTGRES_DB", server.address().database.clone());
                server.environment().into_iter().chain([database]).collect()
            }
            Self::GivenServer(given) => vec![
                ("TEST_POSTGRES_HOST", given.host.clone()),
                ("TEST_POSTGRES_PORT", given.port.to_string()),
                ("TEST_POSTGRES_USER", given.user.clone()),
                ("TEST_POSTGRES_PASSWORD", given.password.clone()),
                ("TEST_POSTGRES_DB", given.database.clone()),
                ("TEST_POSTGRES_BIN", given.programs.to_string_lossy().into_owned()),
            ],
        }
    }
}

impl GivenServer {
    /// Nothing where no POSTGRES_HOST is set; else all that is wrong at once.
    fn read() -> anyhow::Result<Option<Self>> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let Some(host) = set("POSTGRES_HOST") else { return Ok(None) };
        let mut mistakes = Vec::new();
        let password = match (set("POSTGRES_PASSWORD"), set("POSTGRES_PASSWORD_FILE")) {
            (Some(password), _) => password,
            (None, Some(file)) => match std::fs::read_to_string(&file) {
                Ok(text) => text.strip_suffix('\n').unwrap_or(&text).to_owned(),
                Err(error) => {
                    mistakes
                        .push(format!("POSTGRES_PASSWORD_FILE names {file}, which can't be read: {error}"));
                    String::new()
                }
            },
            (None, None) => {
                mistakes.push("POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE is not set".to_owned());
                String::new()
            }
        };
        let user = set("POSTGRES_USER").unwrap_or_else(|| {
            mistakes.push("POSTGRES_USER is not set".to_owned());
            String::new()
        });
        let port = set("POSTGRES_PORT").unwrap_or_else(|| "5432".to_owned());
        let port = port.parse().unwrap_or_else(|_| {
            mistakes.push(format!("POSTGRES_PORT is {port:?}, no port"));
            0
        });
        ensure!(mistakes.is_empty(), "the PostgreSQL at {host} can't be used: {}", mistakes.join("; "));
        let database = set("POSTGRES_DB").unwrap_or_else(|| "postgres".to_owned());
        let programs = server::psql()
            .context("psql is missing; `cargo xtask test --kubernetes --install` installs it")?;
        Ok(Some(Self { host, port, user, password, database, programs }))
    }

    /// Those of tests that have failed.
    fn drop_databases(&self, prefix: &str) -> anyhow::Result<()> {
        let names = self.psql(&format!("SELECT datname FROM pg_database WHERE datname LIKE '{prefix}%'"))?;
        for name in names.lines() {
            self.psql(&format!("DROP DATABASE {name} WITH (FORCE)"))?;
        }
        Ok(())
    }

    fn psql(&self, sql: &str) -> anyhow::Result<String> {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-X", "-At", "-q", "-c", sql]);
        psql.env("PGHOST", &self.host).env("PGPORT", self.port.to_string()).env("PGDATABASE", &self.database);
        process::output(psql.env("PGUSER", &self.user).env("PGPASSWORD", &self.password))
    }
}

/// How pods reach a server on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// kind's nodes are containers, whose way out leads over this machine.
    Gateway,
    /// The nodes' own network is this machine's.
    Loopback,
}

fn reach(context: &str, host_network: bool) -> Option<Reach> {
    match (kind(context), host_network) {
        (Some(_), _) => Some(Reach::Gateway),
        (None, true) => Some(Reach::Loopback),
        (None, false) => None,
    }
}

/// The name of a cluster that kind has made.
fn kind(context: &str) -> Option<&str> {
    context.strip_prefix("kind-")
}

/// The image of this tree, where the nodes see it.
async fn build(context: &str, project: &Project) -> anyhow::Result<String> {
    let settings = Settings::read(&ImageFlags::default(), &PostgresFlags::default(), project)?;
    let docker =
        Docker::connect().await.context("no image can be built without Docker; name one with --image")?;
    let reference = settings.image.clone().tagged(Tag::latest());
    build_image::build(project, &settings, &docker, &reference).await?;
    let reference = reference.to_string();
    match kind(context) {
        Some(cluster) => {
            let _waiting = ui::waiting("Loading", format!("{reference} into the nodes of {cluster}"));
            process::output(Command::new("kind").args([
                "load",
                "docker-image",
                &reference,
                "--name",
                cluster,
            ]))
            .context("the image can't be loaded into the nodes")?;
        }
        None => {
            ui::note("Expecting", format!("that the nodes see the local image {reference}; else --image"));
        }
    }
    Ok(reference)
}

/// This machine, as kind's nodes see it.
async fn gateway() -> anyhow::Result<Ipv4Addr> {
    let docker = Docker::connect().await?;
    let network =
        docker.api.inspect_network("kind", None).await.context("there is no Docker network kind")?;
    let configurations = network.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
    let mut gateways =
        configurations.into_iter().filter_map(|configuration| configuration.gateway?.parse().ok());
    gateways.next().context("the Docker network kind has no IPv4 gateway; set POSTGRES_HOST")
}

fn address(text: &str) -> anyhow::Result<(String, u16)> {
    let parsed = text.rsplit_once(':').and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)));
    parsed
        .filter(|(host, _)| !host.is_empty())
        .with_context(|| format!("--postgres {text:?} is not HOST:PORT"))
}

/// `kubectl version`'s, for people.
fn server_version(json: &str) -> String {
    let version: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
    format!(
        "Kubernetes {}",
        version["serverVersion"]["gitVersion"].as_str().unwrap_or("of an unknown version")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_reach_this_machine_where_they_can() {
        for (context, host_network, expected) in [
            ("kind-kind", false, Some(Reach::Gateway)),
            ("kind-ci", true, Some(Reach::Gateway)),
            ("k3s", true, Some(Reach::Loopback)),
            ("arn:aws:eks:eu-west-1:1:cluster/site", false, None),
        ] {
            assert_eq!(reach(context, host_network), expected, "{context}");
        }
    }

    #[test]
    fn an_address_is_host_and_port() {
        for (text, expected) in [
            ("db:5432", Some(("db", 5432))),
            ("10.0.0.1:1", Some(("10.0.0.1", 1))),
            ("db", None),
            (":5432", None),
            ("db:65536", None),
        ] {
            let expected = expected.map(|(host, port)| (host.to_owned(), port));
            assert_eq!(address(text).ok(), expected, "{text}");
        }
    }
}
