//! `cargo xtask`: everything a person or a CI job does with this repository.
//!
//! `cli` is the whole command line, `tasks` has one file for each task that needs neither AWS nor Kubernetes nor what
//! tests need. Those run in programs of their own, `xtask-cloud` and `xtask-dev`, which parse the same command line;
//! `hand_over` starts them.

pub mod cli;
mod hand_over;
pub mod order;
mod plan;
pub mod tasks;
mod version;

use std::process::ExitCode;

use clap::Parser;
use cli::Task;
use workspace::project::Project;
use workspace::ui;

/// The `main` of each of the programs: parses the command line, runs the task, tells an error.
pub fn main<F: Future<Output = anyhow::Result<ExitCode>>>(run: impl FnOnce(Task, Project) -> F) -> ExitCode {
    let task = match cli::Xtask::try_parse() {
        Ok(typed) => typed.task,
        Err(error) => return ui::usage(&error),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            ui::error(&anyhow::Error::from(error).context("the async runtime did not start"));
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(async { run(task, Project::find()?).await });
    // A thread that still waits for a child must not keep a finished task from ending.
    runtime.shutdown_background();
    outcome.unwrap_or_else(|error| {
        ui::error(&error);
        ExitCode::FAILURE
    })
}
