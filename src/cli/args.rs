//! What clap parsed: words and flags, not yet checked against each other.

use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use foreign_text::one_line;

use crate::config::Environment;

const AFTER_HELP: &str = "\
Revisions: head, base, current, a version, a unique prefix of one, a whole
description, +N, -N, <revision>+N, <revision>-N.

Environment (an argument wins over COMMAND and REVISION; 0 is no limit):
  POSTGRES_HOST          host name, or the directory of a Unix socket
  POSTGRES_PORT          port [5432]
  POSTGRES_DB            database
  POSTGRES_USER          role
  POSTGRES_PASSWORD      password, if the server asks for one; or
                         POSTGRES_PASSWORD_FILE, the file with it; or
                         POSTGRES_PASSWORD_COMMAND, a program that prints
                         it; no shell runs it: sh -c '…' does
  POSTGRES_SSLMODE       disable, allow, prefer, require, verify-ca,
                         verify-full [prefer; with POSTGRES_SSLROOTCERT
                         verify-full]
  POSTGRES_SSLROOTCERT   file with the certificates to trust, or `system`
  POSTGRES_SSLCRL        file with the certificates that were revoked
  POSTGRES_SSLCERT, POSTGRES_SSLKEY
                         client certificate and its key, in PEM
  POSTGRES_CHANNEL_BINDING
                         disable, prefer or require [prefer]
  POSTGRES_REQUIRE_AUTH  how the server may ask to log in, such as
                         scram-sha-256 or !password [password and md5 only
                         if it is verified]
  COMMAND, REVISION      as the arguments; then every command needs both
  MIGRATIONS_DIR         scripts [/migrations if that exists, else migrations]
  TRANSACTION            each: one per migration; run: one for all [each]
  CONNECT_TIMEOUT        how long to wait for the server [60s]
  RUN_LOCK_TIMEOUT       how long to wait for another run [15m]
  LOCK_TIMEOUT           how long a statement may wait for a table lock [2s]
  LOCK_RETRIES           how often a step is tried again after that [10]
  LOCK_RETRY_BUDGET      for how long altogether [10m]
  STATEMENT_TIMEOUT      how long a statement may run [0]
  MAX_BLOCKING           how long others may wait for a lock of a step [0]
  ALLOW_RELATIVE         true: allow +N and -N in a cluster, where a pod may
                         run twice [false]
  LOG_FORMAT             text, json or auto: text on a terminal [auto]
  OUTPUT                 text or json [text]
  DETAIL                 show or hide: what an error holds of rows (DETAIL,
                         CONTEXT, a function's query, values in SQLSTATE class
                         22), and what a POSTGRES_PASSWORD_COMMAND complains
                         about [show; in a cluster hide]
  RUST_LOG               error, warn, info, debug or trace; target=level [info]
  NO_COLOR               any value: no colours

--sql reads MIGRATIONS_DIR alone; its script has the default LOCK_TIMEOUT.

Exit codes:
  0 done, or nothing to do        7 history and database disagree
  1 the result wasn't written     8 refused by the server, or not trusted
  2 usage, settings, scripts      9 --check: migrations are pending
  3 server unreachable           70 a defect in the program
  4 lock not granted in time    130 interrupted (SIGINT)
  5 a migration failed          143 terminated (SIGTERM)
  6 a script stands halfway

Examples:
  run-migrations upgrade head            apply what is pending
  run-migrations upgrade head --plan     show what that would be
  run-migrations downgrade -1            take the last one back
  run-migrations current --check         exit 9 while something is pending
  run-migrations history base:head       everything, and how it stands
  run-migrations upgrade --sql base:head | psql -X -v ON_ERROR_STOP=1 …";

/// Apply SQL migrations to PostgreSQL, exactly once, and say what was done.
#[derive(Debug, Default, Parser)]
#[command(name = "run-migrations", after_help = AFTER_HELP)]
#[command(max_term_width = 100)]
pub struct Args {
    /// upgrade, downgrade, current, history, stamp or resolve
    pub command: Option<String>,

    /// Where to go; for history a range FROM:TO; for resolve the halfway version
    #[arg(allow_hyphen_values = true)]
    pub revision: Option<String>,

    /// upgrade, downgrade, stamp: print the steps and stop
    #[arg(long)]
    pub plan: bool,

    /// upgrade, downgrade: print a psql script for this range; needs no database
    #[arg(long, value_name = "FROM:TO", allow_hyphen_values = true)]
    pub sql: Option<String>,

    /// upgrade: also apply what is pending below the current revision
    #[arg(long)]
    pub allow_out_of_order: bool,

    /// current: exit 9 when migrations are pending
    #[arg(long)]
    pub check: bool,

    /// current: wait until none are pending, at most so long
    #[arg(long, value_name = "DURATION")]
    pub wait: Option<String>,

    /// resolve: all of the halfway script is in effect
    #[arg(long)]
    pub done: bool,

    /// resolve: none of the halfway script is in effect
    #[arg(long)]
    pub retry: bool,
}

impl Args {
    /// Reads the command line. Which version this is, the image's environment knows: the same binary serves many.
    ///
    /// # Errors
    /// What clap has to say, help and version included.
    pub fn read(environment: &Environment) -> Result<Self, clap::Error> {
        let version: &'static str = version(environment).leak();
        Self::from_arg_matches(&Self::command().version(version).try_get_matches()?)
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
