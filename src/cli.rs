//! What people and machines see of the job: arguments, settings, the report, signals, the exit code.

pub(crate) mod args;
pub(crate) mod config;
pub(crate) mod environment;
mod error;
mod exit;
mod log;
mod print;
mod reporter;
mod signals;
pub(crate) mod supervise;
mod termination_message;

pub(crate) use args::Args;
pub(crate) use config::{Action, Config};
pub(crate) use environment::Environment;
pub(crate) use error::Error;
