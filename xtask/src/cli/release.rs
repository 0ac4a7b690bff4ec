//! What is typed after `release`.

use settings::ImageFlags;
use settings::ecr::EcrFlags;
use workspace::changelog::Version;

/// Tag a release, after checking that nothing stands in its way
///
/// Everything is committed and on main, CHANGELOG.md has the section, CI was green for this very commit, and ECR holds
/// its image: then main's last commit gets the tag and the workflow release.yml does the rest. The crate's own version
/// stays 0.0.0. Prints the tag. Needs the GitHub CLI.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask release 1.2.3 --dry-run    check, tag nothing
  cargo xtask release 1.2.3

Environment: GITHUB_REPOSITORY (else that of the remote `origin`), GH_TOKEN as gh reads it; the rest as `cargo xtask \
ecr-login --help` has it.")]
pub struct Arguments {
    /// The version, such as 1.2.3
    #[arg(value_name = "VERSION", value_parser = Version::parse)]
    pub version: Version,
    /// Check everything, tag nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub image: ImageFlags,
    #[command(flatten)]
    pub ecr: EcrFlags,
}
