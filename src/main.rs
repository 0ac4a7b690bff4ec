//! The migration job's one entry and one exit.

use std::process::ExitCode;

use clap::Parser as _;
use run_migrations::cli::Args;
use run_migrations::config::Environment;
use run_migrations::supervise;

fn main() -> ExitCode {
    supervise::report_panics();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return supervise::usage(&error),
    };
    supervise::run(&args, &Environment::of_process()).into()
}
