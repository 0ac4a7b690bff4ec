//! The tasks of `cargo xtask` that talk to AWS and Kubernetes. It parses the same command line, and runs every other
//! task as `xtask` does.

mod attestation;
mod ecr_login;
mod ecr_logout;
mod images;
mod layers;
mod log;
mod push_image;
mod release;
mod run_migrations;
mod setup;

use std::process::ExitCode;

use workspace::project::Project;
use xtask::cli::Task;

fn main() -> ExitCode {
    xtask::main(run)
}

async fn run(task: Task, project: Project) -> anyhow::Result<ExitCode> {
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
        Task::RunMigrations(arguments) if arguments.is_in_cluster() => {
            return run_migrations::run(&arguments, &project).await;
        }
        Task::EcrLogin(arguments) => ecr_login::run(&arguments, &project).await?,
        Task::EcrLogout(arguments) => ecr_logout::run(&arguments, &project).await?,
        Task::PushImage(arguments) => push_image::run(&arguments, &project).await?,
        Task::Images(arguments) => images::run(&arguments, &project).await?,
        Task::Attestation(arguments) => attestation::run(&arguments, &project).await?,
        Task::Release(arguments) => release::run(&arguments, &project).await?,
        Task::Setup(arguments) => setup::run(&arguments, &project).await?,
        other => return xtask::tasks::run(other, project).await,
    }
    Ok(ExitCode::SUCCESS)
}
