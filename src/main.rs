//! The migration job's one entry and one exit.

use std::process::ExitCode;

use run_migrations::cli::Args;
use run_migrations::config::Environment;
use run_migrations::supervise;

fn main() -> ExitCode {
    let environment = Environment::of_process();
    supervise::report_panics(&environment);
    let code = match Args::read(&environment) {
        Ok(args) => supervise::run(&args, &environment),
        Err(error) => supervise::usage(&error, &environment),
    };
    code.into()
}
