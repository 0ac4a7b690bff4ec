//! An application that migrates its database when it starts, with sqlx's own Migrator. The campaign of faults lets it
//! run among the jobs.

use std::path::PathBuf;
use std::process::ExitCode;

use sqlx::ConnectOptions as _;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgConnectOptions;

/// EX_TEMPFAIL of sysexits.h: a script is under way, or is partially applied.
const DIRTY: u8 = 75;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let directory = PathBuf::from(std::env::var("MIGRATIONS_DIR")?);
    // PGHOST and the rest.
    let mut connection = PgConnectOptions::new().connect().await?;
    match Migrator::new(directory).await?.run(&mut connection).await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(MigrateError::Dirty(_)) => Ok(ExitCode::from(DIRTY)),
        Err(error) => Err(error.into()),
    }
}
