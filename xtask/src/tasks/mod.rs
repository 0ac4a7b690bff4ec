//! One file for each task, short, to be read from top to bottom.

pub mod build_image;
pub(crate) mod changelog;
pub(crate) mod completions;
pub(crate) mod database;
pub(crate) mod new_migration;
pub(crate) mod page;
pub(crate) mod plan;
pub mod run_migrations;
pub(crate) mod sbom;

use std::process::ExitCode;

use workspace::project::Project;

use crate::cli::Task;
use crate::hand_over::{self, Program};

/// Runs one task. A task that hands on another program's exit code returns it; every other one succeeds or fails.
pub async fn run(task: Task, project: Project) -> anyhow::Result<ExitCode> {
    match task {
        Task::NewMigration(arguments) => new_migration::run(&arguments, &project)?,
        Task::RunMigrations(arguments) if arguments.is_in_cluster() => {
            return hand_over::to(Program::Cloud, &project);
        }
        Task::RunMigrations(arguments) => return run_migrations::run(arguments, &project).await,
        Task::Database(arguments) => return database::run(arguments, &project).await,
        Task::BuildImage(arguments) => build_image::run(&arguments, &project).await?,
        Task::Plan(arguments) => plan::run(&arguments, &project)?,
        Task::Page(arguments) => page::run(&arguments, &project)?,
        Task::Changelog(arguments) => changelog::run(&arguments, &project)?,
        Task::Sbom(arguments) => sbom::run(&arguments, &project).await?,
        Task::Completions(arguments) => completions::run(&arguments)?,
        Task::EcrLogin(_)
        | Task::EcrLogout(_)
        | Task::PushImage(_)
        | Task::Images(_)
        | Task::Attestation(_)
        | Task::Release(_)
        | Task::Setup(_) => return hand_over::to(Program::Cloud, &project),
        Task::Lint(_) | Task::Test(_) | Task::Bench(_) => return hand_over::to(Program::Dev, &project),
    }
    Ok(ExitCode::SUCCESS)
}
