//! `cargo xtask`: everything a person or a CI job does with this repository, as one program.
//!
//! `cli` is what can be typed, `tasks` has one file for each task, and the modules beside it each know one outside
//! system (`docker`, `ecr`, `kubernetes`, `postgres`) or one pure subject (`image`).

mod cargo;
mod changelog;
mod cli;
mod docker;
#[cfg(feature = "cloud")]
mod ecr;
mod faults;
mod github;
mod image;
mod kubectl;
#[cfg(feature = "cloud")]
mod kubernetes;
#[cfg(feature = "cloud")]
mod log;
mod plan;
mod postgres;
mod process;
mod project;
mod proxy;
mod python;
mod sealed;
#[cfg(feature = "cloud")]
mod secret;
mod settings;
mod tasks;
mod ui;
mod verdict;
mod yaml;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let task = match cli::Xtask::try_parse() {
        Ok(typed) => typed.task,
        Err(error) => return ui::usage(&error),
    };
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let outcome = runtime.block_on(tasks::run(task));
            // A thread that still waits for a child must not keep a finished task from ending.
            runtime.shutdown_background();
            outcome.unwrap_or_else(|error| {
                ui::error(&error);
                ExitCode::FAILURE
            })
        }
        Err(error) => {
            ui::error(&anyhow::Error::from(error).context("the async runtime did not start"));
            ExitCode::FAILURE
        }
    }
}
