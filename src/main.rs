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
    let code = match Args::parse(words(), &environment) {
        Ok(args) => supervise::run(&args, &environment),
        Err(error) => supervise::usage(&error, &environment),
    };
    code.into()
}

/// What was typed. A word that is not UTF-8 names nothing here, and is refused as what it looks like.
fn words() -> impl Iterator<Item = String> {
    std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned())
}
