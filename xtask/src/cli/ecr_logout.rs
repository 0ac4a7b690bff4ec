//! What is typed after `ecr-logout`.

use settings::ecr::EcrFlags;

/// Take the ECR token out of where Docker looks for it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask ecr-logout

Environment: as `cargo xtask ecr-login --help` has it. Where account and region are set, AWS is not asked.")]
pub struct Arguments {
    /// Say what would be taken out, take nothing out
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub ecr: EcrFlags,
}
