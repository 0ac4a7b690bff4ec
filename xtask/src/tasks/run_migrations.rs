//! `cargo xtask run-migrations`: the job, run for real: image or binary, database, run, exit code.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};

use super::build_image;
use docker::run::Run;
use docker::{Daemon, Docker};
use image::name::Tag;
use image::{binary, context};
use local_postgres::local::{self, Local};
use settings::kubernetes::KubernetesFlags;
use settings::{ImageFlags, PostgresFlags, Settings};
use workspace::github::fence::Fence;
use workspace::given::Mistakes;
use workspace::project::Project;
use workspace::{process, ui};

mod fleet;
mod given;
pub mod job_arguments;
mod placement;

use given::Given;
use placement::{DatabaseChoice, Placement, Wish};

/// Run the job: apply the migrations, take them back, look at them
///
/// Builds what is needed, starts the local PostgreSQL unless POSTGRES_HOST names one, and runs the job in a
/// container, or natively where no Docker can reach the database. The job's report is on stdout, and its exit code
/// is the exit code. Ctrl-C asks the job to roll back and stop; a second one kills it.
///
/// With `--on kubernetes` the image runs in the cluster, as a Job made from k8s/, which is followed to its end. Ctrl-C
/// then only stops following.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask run-migrations                      upgrade head
  cargo xtask run-migrations upgrade +1 --plan    show what would happen
  cargo xtask run-migrations downgrade -1
  cargo xtask run-migrations current
  cargo xtask run-migrations --native history     without a container
  cargo xtask run-migrations -- --help            the job's own options
  cargo xtask run-migrations --on kubernetes --image \"$(cargo xtask push-image)\"   in the cluster
  cargo xtask run-migrations --on kubernetes --image run-migrations:latest --dry-run
  cargo xtask run-migrations --on kubernetes --image … --verdict verdict.json   and keep what became of it
  cargo xtask run-migrations --on kubernetes --image … --fleet databases.yaml --canary 2 --parallel 20

Environment, the database: POSTGRES_HOST, POSTGRES_PORT, POSTGRES_DB, POSTGRES_USER, POSTGRES_PASSWORD, \
POSTGRES_PASSWORD_FILE or POSTGRES_PASSWORD_COMMAND (the job then runs natively), POSTGRES_SSLMODE, \
POSTGRES_SSLROOTCERT, POSTGRES_SSLCRL, POSTGRES_SSLCERT, POSTGRES_SSLKEY, POSTGRES_CHANNEL_BINDING, \
POSTGRES_REQUIRE_AUTH; or DATABASE_URL. With neither POSTGRES_HOST nor DATABASE_URL it is the local one (see \
`cargo xtask database`).

Environment, handed to the job: MIGRATIONS_DIR (the job then runs natively), TRANSACTION, CONNECT_TIMEOUT, \
RUN_LOCK_TIMEOUT, LOCK_TIMEOUT, STATEMENT_TIMEOUT, LOCK_RETRIES, LOCK_RETRY_BUDGET, MAX_BLOCKING, ALLOW_RELATIVE, \
DETAIL, LOG_FORMAT (here: text), OUTPUT, RUST_LOG, NO_COLOR, CLICOLOR_FORCE.

Environment, the cluster: KUBECONFIG as kubectl reads it; KUBERNETES_CONTEXT, KUBERNETES_NAMESPACE, \
KUBERNETES_MANIFESTS, KUBERNETES_START_TIMEOUT as above. The job's settings there stand in the manifests, its password \
in a Secret: none of the variables above is handed to it.

Environment, read here: IMAGE, DOCKER_DEFAULT_PLATFORM, POSTGRES_IMAGE as above; DOCKER_HOST, DOCKER_CONTEXT, \
DOCKER_CONFIG, DOCKER_TLS, DOCKER_TLS_VERIFY, XDG_RUNTIME_DIR, DOCKER_BUILDKIT as the docker CLI reads them.")]
pub struct Arguments {
    /// Run the binary itself, without a container
    #[arg(long, conflicts_with = "in_container")]
    native: bool,
    /// Run in a container or not at all
    #[arg(long)]
    in_container: bool,
    /// Run it in a cluster
    #[arg(long, value_name = "PLACE", conflicts_with_all = ["native", "in_container"])]
    on: Option<Elsewhere>,
    /// Say what would be done, do nothing (the job's own `--plan` shows the migrations); in a cluster print the Job,
    /// with `=server` after the API server has checked it
    #[arg(long, value_name = "BY", num_args = 0..=1, require_equals = true, default_missing_value = "client")]
    pub dry_run: Option<DryRun>,
    /// Start the Job in the cluster and do not follow it
    #[arg(long, requires = "on")]
    pub detach: bool,
    /// In a cluster: write what became of the run to this file, as JSON, for `cargo xtask page`
    #[arg(long, value_name = "FILE", requires = "on", conflicts_with = "fleet")]
    pub verdict: Option<PathBuf>,
    /// Do not ask before a downgrade in a cluster
    #[arg(long, requires = "on")]
    pub yes: bool,
    #[command(flatten)]
    pub fleet: fleet::FleetFlags,
    #[command(flatten)]
    pub kubernetes: KubernetesFlags,
    #[command(flatten)]
    pub image: ImageFlags,
    #[command(flatten)]
    postgres: PostgresFlags,
    /// Command, revision and options of the job [default: upgrade head]
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND [REVISION] [OPTIONS]")]
    pub job: Vec<String>,
}

/// Where it runs, if not on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Elsewhere {
    Kubernetes,
}

/// Who looks at what would be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DryRun {
    Client,
    Server,
}

impl Arguments {
    /// Whether it runs in a cluster, and so in `xtask-cloud`.
    pub fn is_in_cluster(&self) -> bool {
        self.on == Some(Elsewhere::Kubernetes)
    }

    /// What was typed where it does nothing.
    pub fn misplaced(&self) -> Mistakes {
        let mut mistakes = Mistakes::default();
        job_arguments::refuse_ours(&self.job, &mut mistakes);
        if self.is_in_cluster() {
            self.image.refuse_platform(&mut mistakes);
            self.postgres.refuse(&mut mistakes);
            return mistakes;
        }
        self.kubernetes.refuse(&mut mistakes);
        if self.dry_run == Some(DryRun::Server) {
            mistakes.add("--dry-run=server", "this goes with --on kubernetes; no server is asked here");
        }
        mistakes
    }
}

pub(crate) async fn run(arguments: Arguments, project: &Project) -> anyhow::Result<ExitCode> {
    let mut mistakes = arguments.misplaced();
    let settings = Settings::gather(&arguments.image, &arguments.postgres, project, &mut mistakes)?;
    let words = job_arguments::complete(arguments.job);
    let needs_database = job_arguments::needs_database(&words);
    let given = if needs_database { Given::read(set, &mut mistakes) } else { Given::default() };
    let settings = mistakes.or(settings)?;
    let wish = match (arguments.native, arguments.in_container) {
        (true, _) => Wish::Native,
        (_, true) => Wish::Container,
        _ => Wish::Either,
    };
    // Even a native run may have its local PostgreSQL in Docker.
    let docker = Docker::connect().await;
    let daemon = docker.as_ref().map(|docker| docker.daemon.clone()).map_err(|error| format!("{error:#}"));
    let tie = tie(&given);
    let mut database = match given.get("POSTGRES_HOST") {
        Some(host) => DatabaseChoice::Configured { host: host.to_owned() },
        None if needs_database => DatabaseChoice::Local(local::expected(project, &docker)?),
        None => DatabaseChoice::NotNeeded,
    };
    let mut placement = decide(wish, &daemon, &database, tie)?;
    if arguments.dry_run.is_some() {
        let how = placement.told(&daemon);
        ui::note("Would run", format!("run-migrations {} {database}, {how}", words.join(" ")));
        return Ok(ExitCode::SUCCESS);
    }
    let mut local = None;
    if let DatabaseChoice::Local(runs) = &mut database {
        let started = local::start(project, settings.postgres_image.as_deref(), &docker).await?;
        // The first start may have found something else than it was expected to.
        runs.clone_from(&started.runs);
        placement = decide(wish, &daemon, &database, tie)?;
        local = Some(started);
    }
    let _fence = Fence::begin()?;
    let code = match (placement, docker) {
        (Placement::Container { network, host }, Ok(docker)) => {
            let reference = settings.image.clone().tagged(Tag::latest());
            let image = build_image::build(project, &settings, &docker, &reference).await?;
            if let Some(local) = &local {
                local.introduce();
            }
            let (environment, files) = container_environment(local.as_ref(), &given, host.as_deref())?;
            let platform = settings.platform.name();
            docker
                .run(Run { image: &image.id, platform, arguments: words, environment, network, files })
                .await?
        }
        (placement, docker) => {
            drop(docker);
            if let Placement::Native { why: Some(why) } = placement {
                ui::note("Natively", format!("since {why}"));
            }
            let binary = binary::compile_native(project).await?;
            if let Some(local) = &local {
                local.introduce();
            }
            process::foreground(&mut native(&binary, project, local.as_ref(), words)).await?
        }
    };
    Ok(ExitCode::from(code))
}

/// A variable that is not empty.
fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// What a setting names that a container does not have.
fn tie(given: &Given) -> Option<&'static str> {
    if set("MIGRATIONS_DIR").is_some() {
        return Some("MIGRATIONS_DIR names a directory of this machine, which a container does not see");
    }
    given.get("POSTGRES_PASSWORD_COMMAND").is_some().then_some(
        "POSTGRES_PASSWORD_COMMAND names a program of this machine, which a container does not have",
    )
}

fn decide(
    wish: Wish,
    daemon: &Result<Daemon, String>,
    database: &DatabaseChoice,
    tie: Option<&str>,
) -> anyhow::Result<Placement> {
    let placement = placement::decide(wish, daemon, database, tie);
    if let (Wish::Container, Placement::Native { why }) = (wish, &placement) {
        bail!(
            "the job can't run in a container: {}",
            why.as_deref().unwrap_or("it was asked to run natively")
        );
    }
    Ok(placement)
}

/// The binary with our environment, where the local PostgreSQL takes the place of what was half configured.
fn native(
    binary: &std::path::Path,
    project: &Project,
    local: Option<&Local>,
    words: Vec<String>,
) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(binary);
    command.args(words).env_remove("COMMAND").env_remove("REVISION");
    if let Some(local) = local {
        for name in given::database().chain(["DATABASE_URL"]) {
            command.env_remove(name);
        }
        command.envs(local.address.environment());
    }
    command.envs([log_format()]);
    if std::env::var_os("MIGRATIONS_DIR").is_none_or(|directory| directory.is_empty()) {
        command.env("MIGRATIONS_DIR", project.migrations());
    }
    command
}

/// Logs are read by a person here, unless said otherwise.
fn log_format() -> (&'static str, String) {
    ("LOG_FORMAT", set("LOG_FORMAT").unwrap_or_else(|| "text".to_owned()))
}

/// The environment of a container, and its files: what is secret does not show in `docker inspect`.
fn container_environment(
    local: Option<&Local>,
    given: &Given,
    host: Option<&str>,
) -> anyhow::Result<(Vec<String>, Vec<u8>)> {
    let mut pairs: Vec<(&str, String)> =
        given::handed_on().filter_map(|name| Some((name, set(name)?))).collect();
    pairs.push(log_format());
    // The job sees pipes where we may have a terminal; a report that goes to a file must stay free of colours.
    if ui::colours() {
        pairs.push(("CLICOLOR_FORCE", "1".to_owned()));
    }
    pairs.extend(match local {
        Some(local) => local.address.environment().to_vec(),
        None => given.variables().collect(),
    });
    if let Some(host) = host {
        pairs.retain(|(name, _)| !["POSTGRES_HOST", "POSTGRES_PORT"].contains(name));
        pairs.extend([("POSTGRES_HOST", host.to_owned()), ("POSTGRES_PORT", "5432".to_owned())]);
    }
    let mut files = Vec::new();
    // Of two passwords the job takes neither, and says so: it need not see them.
    let is_password = |name: &str| ["POSTGRES_PASSWORD", "POSTGRES_PASSWORD_FILE"].contains(&name);
    let are_two = pairs.iter().filter(|(name, _)| is_password(name)).count() == 2;
    for (name, value) in &mut pairs {
        if are_two && is_password(name) {
            "set".clone_into(value);
            continue;
        }
        let (path, bytes) = match *name {
            "POSTGRES_PASSWORD" => ("postgres-password", std::mem::take(value).into_bytes()),
            "POSTGRES_PASSWORD_FILE" => ("postgres-password", read(name, value)?),
            "POSTGRES_SSLROOTCERT" if value != "system" => ("postgres-root.crt", read(name, value)?),
            "POSTGRES_SSLCRL" => ("postgres-root.crl", read(name, value)?),
            "POSTGRES_SSLCERT" => ("postgres.crt", read(name, value)?),
            "POSTGRES_SSLKEY" => ("postgres.key", read(name, value)?),
            _ => continue,
        };
        if *name == "POSTGRES_PASSWORD" {
            *name = "POSTGRES_PASSWORD_FILE";
        }
        *value = format!("/secrets/{path}");
        // Owned by the image's user and closed to every other.
        files.push(context::File { mode: 0o400, owner: 65532, ..context::File::new(path, bytes) });
    }
    let environment = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    Ok((environment, context::pack(Some("secrets"), files)?))
}

fn read(name: &str, path: &str) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("{name} names {path}, which can't be read"))
}
