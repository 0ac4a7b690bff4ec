//! The migration job: SQL scripts in a directory, a PostgreSQL database, and the one safe way from
//! where the database is to where it should be.
//!
//! ```text
//! arguments + environment → Config → History (files) ┐
//!                            └→ Database (applied) ──┴→ Plan → engine → Report → exit code
//! ```

mod cli;
mod engine;
mod postgres;

use std::process::ExitCode;

use cli::args::Args;
use cli::environment::Environment;
use cli::supervise;

fn main() -> ExitCode {
    let environment = Environment::of_process();
    supervise::report_panics(&environment);
    let code = match Args::read(&environment) {
        Ok(args) => supervise::run(&args, &environment),
        Err(error) => supervise::usage(&error, &environment),
    };
    code.into()
}
