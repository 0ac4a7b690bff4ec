//! What is typed after `images`.

use settings::ecr::EcrFlags;

/// List what the repository in ECR holds, the newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask images
  cargo xtask images --json

Environment: as `cargo xtask ecr-login --help` has it.")]
pub struct Arguments {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub ecr: EcrFlags,
}
