//! `cargo xtask changelog`: what changed in a version.

use workspace::changelog::{self, Version};
use workspace::project::Project;
use workspace::ui;

/// Print the section of CHANGELOG.md for a version; fail if there is none
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask changelog 1.2.3")]
pub struct Arguments {
    /// The version, or its tag
    #[arg(value_name = "VERSION", value_parser = Version::parse)]
    version: Version,
}

pub(crate) fn run(arguments: &Arguments, project: &Project) -> anyhow::Result<()> {
    ui::result(&changelog::read(project, &arguments.version)?);
    Ok(())
}
