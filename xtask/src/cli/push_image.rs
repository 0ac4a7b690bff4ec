//! What is typed after `push-image`.

use settings::ImageFlags;
use settings::ecr::EcrFlags;

/// Build the image, push it to ECR, and prove that ECR holds it
///
/// Prints `repository@sha256:…` alone on stdout. An image that was built from the same inputs before is promoted: it
/// gets the tag, nothing is built or uploaded, so what was tested is what is released, bit for bit. Needs no earlier
/// login.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask push-image                                 as latest
  cargo xtask push-image --tag v1.2.3 --tag latest       a release
  cargo xtask push-image --create-repository             the first one
  cargo xtask push-image --tag v1.2.3 --expect \"$DIGEST\"  this very image, or none
  docker pull \"$(cargo xtask push-image --tag v1.2.3)\"

Environment: as `cargo xtask build-image --help` and `cargo xtask ecr-login --help` have it.

Settings of the repository stand under `ecr` in xtask/release.yaml.")]
pub struct Arguments {
    /// Tag in ECR; may be given more than once
    #[arg(long = "tag", value_name = "TAG", default_value = "latest")]
    pub tags: Vec<String>,
    /// Create the repository if it is missing
    #[arg(long)]
    pub create_repository: bool,
    /// Push although not everything is committed; such an image is never promoted
    #[arg(long)]
    pub allow_dirty: bool,
    /// The digest that must get the tags, so that nothing is built
    #[arg(long, value_name = "DIGEST", conflicts_with = "allow_dirty")]
    pub expect: Option<String>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
    /// Say what would be pushed, ask nobody, change nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub image: ImageFlags,
    #[command(flatten)]
    pub ecr: EcrFlags,
}
