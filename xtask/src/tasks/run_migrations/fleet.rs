//! `run-migrations --on kubernetes --fleet`: what is typed for many databases.

use std::path::PathBuf;

/// Which databases, and how many at once.
#[derive(Debug, Default, clap::Args)]
pub struct FleetFlags {
    /// In a cluster: a Job for each database of this file, a list of name, host, database, secretRef and, where it
    /// differs, port. The exit code is that of the gravest failure: 6, 70, 5, 7, 8, 2, 9, others, 1, 4, 3
    #[arg(long, value_name = "FILE", requires = "on", conflicts_with = "detach")]
    pub fleet: Option<PathBuf>,
    /// --fleet: the first so many go ahead, the rest only when all of them have succeeded
    #[arg(long, value_name = "N", default_value_t = 0, requires = "fleet")]
    pub canary: usize,
    /// --fleet: how many run at once
    #[arg(long, value_name = "N", default_value_t = 10, requires = "fleet", value_parser = at_least_one)]
    pub parallel: usize,
    /// --fleet: stop starting new Jobs after this many failures
    #[arg(long, value_name = "N", default_value_t = 1, requires = "fleet", value_parser = at_least_one)]
    pub max_failed: usize,
    /// --fleet: print how the databases stand as JSON
    #[arg(long, requires = "fleet")]
    pub json: bool,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "use a number from 1".to_owned())
}
