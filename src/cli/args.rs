//! What clap parsed: words and flags, not yet checked against each other.

mod help;

use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use foreign_text::one_line;
use migration_core::Command;

use crate::cli::Environment;

/// Apply SQL migrations to PostgreSQL, exactly once, and say what was done.
#[derive(Debug, Default, Parser)]
#[command(name = "run-migrations", after_help = help::after())]
#[command(max_term_width = 100)]
pub(crate) struct Args {
    #[arg(help = Command::listed())]
    pub(crate) command: Option<String>,

    /// Where to go; for history a range FROM:TO; for resolve the halfway version
    #[arg(allow_hyphen_values = true)]
    pub(crate) revision: Option<String>,

    /// upgrade, downgrade, stamp: print the steps and stop
    #[arg(long)]
    pub(crate) plan: bool,

    /// upgrade, downgrade: print a psql script for this range; needs no database
    #[arg(long, value_name = "FROM:TO", allow_hyphen_values = true)]
    pub(crate) sql: Option<String>,

    /// upgrade: also apply what is pending below the current revision
    #[arg(long)]
    pub(crate) allow_out_of_order: bool,

    /// current: exit 9 when migrations are pending
    #[arg(long)]
    pub(crate) check: bool,

    /// current: wait until none are pending, at most so long
    #[arg(long, value_name = "DURATION")]
    pub(crate) wait: Option<String>,

    /// resolve: all of the halfway script is in effect
    #[arg(long)]
    pub(crate) done: bool,

    /// resolve: none of the halfway script is in effect
    #[arg(long)]
    pub(crate) retry: bool,
}

impl Args {
    /// Reads the command line. Which version this is, the image's environment knows: the same binary serves many.
    pub(crate) fn read(environment: &Environment) -> Result<Self, clap::Error> {
        let version: &'static str = version(environment).leak();
        Self::from_arg_matches(&Self::command().version(version).try_get_matches()?)
    }

    /// Whether an option was given, by its name.
    pub(crate) fn has(&self, flag: &str) -> bool {
        match flag {
            "--plan" => self.plan,
            "--sql" => self.sql.is_some(),
            "--allow-out-of-order" => self.allow_out_of_order,
            "--check" => self.check,
            "--wait" => self.wait.is_some(),
            "--done" => self.done,
            "--retry" => self.retry,
            _ => false,
        }
    }
}

fn version(environment: &Environment) -> String {
    let known = |name: &str| environment.text(name).filter(|text| *text != "unknown").map(one_line);
    let version = known("RUN_MIGRATIONS_VERSION").unwrap_or_else(|| "dev".to_owned());
    match (known("RUN_MIGRATIONS_COMMIT"), known("RUN_MIGRATIONS_CREATED")) {
        (Some(commit), Some(created)) => format!("{version} (commit {commit} of {created})"),
        (Some(commit), None) => format!("{version} (commit {commit})"),
        _ => version,
    }
}
