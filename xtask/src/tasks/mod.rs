//! One file for each task, short, to be read from top to bottom.

pub(crate) mod attestation;
pub(crate) mod bench;
pub(crate) mod build_image;
pub(crate) mod changelog;
pub(crate) mod completions;
pub(crate) mod database;
pub(crate) mod ecr_login;
pub(crate) mod ecr_logout;
pub(crate) mod images;
pub(crate) mod lint;
pub(crate) mod new_migration;
pub(crate) mod page;
pub(crate) mod plan;
pub(crate) mod push_image;
pub(crate) mod release;
pub(crate) mod run_migrations;
pub(crate) mod sbom;
pub(crate) mod setup;
pub(crate) mod test;
mod with_cloud;

use std::process::ExitCode;

use crate::cli::Task;
#[cfg(feature = "cloud")]
use crate::log;
use crate::project::Project;

/// Runs one task. A task that hands on another program's exit code returns it; every other one succeeds or fails.
pub(crate) async fn run(task: Task) -> anyhow::Result<ExitCode> {
    let project = Project::find()?;
    #[cfg(feature = "cloud")]
    with_cloud::remember(&project);
    #[cfg(feature = "cloud")]
    if matches!(
        task,
        Task::EcrLogin(_)
            | Task::EcrLogout(_)
            | Task::PushImage(_)
            | Task::Images(_)
            | Task::Attestation(_)
            | Task::Release(_)
            | Task::Setup(_)
    ) {
        log::start();
    }
    match task {
        Task::Lint(arguments) => lint::run(&arguments, &project)?,
        Task::Test(arguments) => return test::run(arguments, &project).await,
        Task::Bench(arguments) => bench::run(&arguments, &project).await?,
        Task::NewMigration(arguments) => new_migration::run(&arguments, &project)?,
        Task::RunMigrations(arguments) => return run_migrations::run(arguments, &project).await,
        Task::Database(arguments) => return database::run(arguments, &project).await,
        Task::BuildImage(arguments) => build_image::run(&arguments, &project).await?,
        #[cfg(feature = "cloud")]
        Task::EcrLogin(arguments) => ecr_login::run(&arguments, &project).await?,
        #[cfg(feature = "cloud")]
        Task::EcrLogout(arguments) => ecr_logout::run(&arguments, &project).await?,
        #[cfg(feature = "cloud")]
        Task::PushImage(arguments) => push_image::run(&arguments, &project).await?,
        #[cfg(feature = "cloud")]
        Task::Images(arguments) => images::run(&arguments, &project).await?,
        #[cfg(feature = "cloud")]
        Task::Attestation(arguments) => attestation::run(&arguments, &project).await?,
        #[cfg(not(feature = "cloud"))]
        Task::EcrLogin(_)
        | Task::EcrLogout(_)
        | Task::PushImage(_)
        | Task::Images(_)
        | Task::Attestation(_)
        | Task::Release(_)
        | Task::Setup(_) => {
            return with_cloud::run_again(&project);
        }
        #[cfg(feature = "cloud")]
        Task::Release(arguments) => release::run(&arguments, &project).await?,
        #[cfg(feature = "cloud")]
        Task::Setup(arguments) => setup::run(&arguments, &project).await?,
        Task::Plan(arguments) => plan::run(&arguments, &project)?,
        Task::Page(arguments) => page::run(&arguments, &project)?,
        Task::Changelog(arguments) => changelog::run(&arguments, &project)?,
        Task::Sbom(arguments) => sbom::run(&arguments, &project).await?,
        Task::Completions(arguments) => completions::run(&arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}
