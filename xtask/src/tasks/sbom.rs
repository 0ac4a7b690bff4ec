//! `cargo xtask sbom`: what the binary in the image is made of, from the lock file.

mod document;

use std::process::Command;

use anyhow::Context;
use serde_json::Value;

use crate::project::Project;
use crate::settings::{ImageFlags, PostgresFlags, Settings};
use crate::{cargo, process, ui};
use document::Origin;

/// Print the bill of materials of the image's binary, in SPDX 2.3
///
/// Every crate that Cargo.lock puts into the binary for the image's platform, with version, licence and checksum. The
/// same commit gives the same document.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask sbom > run-migrations.spdx.json

Environment: DOCKER_DEFAULT_PLATFORM, the platform of the image.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    image: ImageFlags,
}

pub(crate) fn run(arguments: &Arguments, project: &Project) -> anyhow::Result<()> {
    let settings = Settings::read(&arguments.image, &PostgresFlags::default(), project)?;
    let target = format!("{}-unknown-linux-gnu", settings.platform.rust());
    let mut command = cargo::command(project);
    command.args(["metadata", "--format-version", "1", "--locked", "--filter-platform", &target]);
    let metadata = process::output(&mut command).context("cargo does not tell the dependencies")?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata printed no JSON")?;
    let lock =
        std::fs::read_to_string(project.root().join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let git = |format: &str| {
        let mut git = Command::new("git");
        git.arg("-C").arg(project.root()).env("TZ", "UTC0");
        git.args(["show", "--no-patch", "--date=format-local:%Y-%m-%dT%H:%M:%SZ", format, "HEAD"]);
        process::output(&mut git).map(|said| said.trim().to_owned()).context("git does not tell the commit")
    };
    let origin = Origin { commit: git("--format=%H")?, time: git("--format=%cd")? };
    let document = document::write(&metadata, &lock, &origin).context("the dependencies can't be told")?;
    ui::document(&serde_json::to_string_pretty(&document).context("the document can't be written")?);
    Ok(())
}
