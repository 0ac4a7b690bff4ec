//! `cargo xtask test`: a PostgreSQL of its own, every test, one line that counts them.

mod certificates;
pub(crate) mod emulator;
mod failures;
mod kubernetes;
mod needs;
pub(crate) mod server;
mod suite;

use std::process::ExitCode;
use xtask::cli::test::{Arguments, ClusterTestFlags};

use anyhow::{Context, bail};

use crate::faults::{self, Options};
use emulator::Emulator;
use kubernetes::Stage;
use needs::{Needs, Scope};
use server::TestServer;
use suite::{SuiteEnd, Tally};
use workspace::process::Signals;
use workspace::project::Project;
use workspace::{cargo, github, ui};

pub(crate) async fn run(arguments: Arguments, project: &Project) -> anyhow::Result<ExitCode> {
    let scope = match &arguments.kubernetes {
        ClusterTestFlags { kubernetes: true, image, .. } => Scope::Kubernetes { builds: image.is_none() },
        _ if arguments.all => Scope::All,
        _ => Scope::Usual,
    };
    meet(Needs::find(scope).await, arguments.install, scope).await?;
    if arguments.faults {
        let Arguments { seed, long, only, .. } = arguments;
        let only = match only.parse() {
            Ok(only) => only,
            Err(error) => return Ok(refuse_only(&only, &error)),
        };
        return faults::run(Options { seed, long, only }, project).await;
    }
    if arguments.kubernetes.kubernetes {
        return in_cluster(&arguments, project).await;
    }
    // From here on there is something to clean up.
    let mut signals = Signals::listen()?;
    let own = project.clone();
    let server = tokio::task::spawn_blocking(move || TestServer::start(&own, server::FOR_TESTS))
        .await
        .context("a thread of xtask panicked")??;
    let emulator = Emulator::start(project);
    if let (Scope::All, Err(error)) = (scope, &emulator) {
        bail!("the tests of ECR can't run: {error:#}");
    }
    let is_root = rustix::process::geteuid().is_root();
    let suites = suites(scope, emulator.is_ok());
    let mut tally = Tally::default();
    let mut worst = SuiteEnd::Passed;
    for words in suites {
        let mut command = cargo::command(project);
        command.args(&words).envs(server.environment());
        command.envs(emulator.iter().flat_map(Emulator::environment));
        command.arg("--").args(&arguments.filters);
        if scope == Scope::Usual {
            // They compile the workspace once more, in another place, or need Docker.
            command.args(["--skip", "whole::"]);
        }
        if !is_root {
            command.args(["--skip", "host_name"]);
        }
        match suite::run(command, &mut signals, &mut tally).await? {
            SuiteEnd::Passed => {}
            SuiteEnd::Failed => worst = SuiteEnd::Failed,
            SuiteEnd::Interrupted(code) => {
                drop((server, emulator));
                ui::result(&format!("interrupted; {tally} until then"));
                return Ok(ExitCode::from(code));
            }
        }
    }
    drop(server);
    if let Err(error) = emulator {
        ui::note("Left out", format!("the tests of ECR: {error:#}"));
    }
    if scope == Scope::Usual {
        ui::note(
            "Left out",
            "the tests that need a Docker daemon, and whole jobs of the workflows: `cargo xtask test --all`",
        );
    } else if !is_root {
        ui::note("Left out", "the test that needs root, with ECR's own host name on port 443");
    }
    ui::note("Left out", "the tests that need a cluster: `cargo xtask test --kubernetes`");
    if tally.ignored > 0 {
        ui::note("Left out", format!("{} tests marked #[ignore]", tally.ignored));
    }
    conclude(&tally, worst)
}

/// As clap tells it of every other value.
fn refuse_only(only: &str, error: &anyhow::Error) -> ExitCode {
    let told = format!("invalid value '{only}' for '--only <PART>': {error}");
    ui::usage(&clap::Error::raw(
        clap::error::ErrorKind::ValueValidation,
        format!("{told}\n\nFor more information, try '--help'.\n"),
    ))
}

/// The end-to-end suite, in a namespace and a database for each test.
async fn in_cluster(arguments: &Arguments, project: &Project) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let stage = Stage::set(&arguments.kubernetes, project).await?;
    let mut command = cargo::command(project);
    command.args(["test", "--workspace", "--locked", "--test", "cluster"]);
    command.envs(stage.environment()).arg("--").args(&arguments.filters);
    // They wait for the cluster, not for the processor.
    if std::env::var_os("RUST_TEST_THREADS").is_none() {
        command.env("RUST_TEST_THREADS", "6");
    }
    let mut tally = Tally::default();
    let end = suite::run(command, &mut signals, &mut tally).await?;
    drop(stage);
    if let SuiteEnd::Interrupted(code) = end {
        ui::result(&format!("interrupted; {tally} until then"));
        return Ok(ExitCode::from(code));
    }
    conclude(&tally, end)
}

fn conclude(tally: &Tally, end: SuiteEnd) -> anyhow::Result<ExitCode> {
    if end != SuiteEnd::Passed && tally.failed == 0 {
        ui::warning("cargo failed before every test had run; it says why above");
    }
    github::summarize(&tally.page(end))?;
    ui::result(&tally.to_string());
    Ok(if end == SuiteEnd::Passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The runs of `cargo test`. All of them have the same features, so that nothing is compiled twice.
fn suites(scope: Scope, with_ecr: bool) -> Vec<Vec<&'static str>> {
    let mut usual = vec!["test", "--workspace", "--locked", "--no-fail-fast"];
    if !with_ecr {
        usual.extend(["--exclude", "xtask-cloud"]);
    }
    match scope {
        Scope::Usual | Scope::Kubernetes { .. } => vec![usual],
        Scope::All => {
            let docker = [usual.as_slice(), &["--test", "docker", "--test", "ecr_docker"]].concat();
            vec![usual, docker]
        }
    }
}

/// Everything that is needed is there, or is installed now, or nothing is run.
async fn meet(needs: Needs, install: bool, scope: Scope) -> anyhow::Result<()> {
    if needs.are_met() {
        return Ok(());
    }
    if install {
        needs.install()?;
        let left = Needs::find(scope).await;
        if left.are_met() {
            return Ok(());
        }
        bail!("the tests can't run, even after installing what was missing: {left}");
    }
    bail!("the tests can't run: {needs}; `cargo xtask test{} --install` does what it can", scope.flag())
}
