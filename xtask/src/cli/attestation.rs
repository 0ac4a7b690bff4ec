//! What is typed after `attestation`.

use settings::ImageFlags;
use settings::ecr::EcrFlags;

/// Say whether ECR holds the image of these inputs, and verify who attested it
///
/// Prints `repository@sha256:…` if it is there and attested by this repository's ci.yml on main; the commit it was built
/// from must be on main, not merely on a branch that was merged, and have the inputs of this one, so the checkout needs
/// its history. If there is no such image, a gate `required` or `off` fails, and any other prints nothing; one that is
/// named must be there. In a workflow the step gets the outputs `found`, `attested`, `reference`, `name` and `digest`.
/// Needs the GitHub CLI.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask attestation
  cargo xtask attestation --gate required
  cargo xtask attestation --gate required 123456789012.dkr.ecr.eu-west-1.amazonaws.com/run-migrations@sha256:…

Environment: GITHUB_REPOSITORY (else that of the remote `origin`), GITHUB_SERVER_URL (https://github.com), GH_TOKEN as gh reads it; the rest as `cargo xtask \
ecr-login --help` has it.")]
pub struct Arguments {
    /// What is asked of the image, if it is there
    #[arg(long, value_enum, default_value_t = Gate::Ask)]
    pub gate: Gate,
    /// Image in ECR, by digest [default: the one with the identity of these inputs]
    #[arg(value_name = "REFERENCE")]
    pub reference: Option<String>,
    #[command(flatten)]
    pub image: ImageFlags,
    #[command(flatten)]
    pub ecr: EcrFlags,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Gate {
    /// Whether it is attested
    Ask,
    /// That it is attested, or else is what this commit builds, which is built for that; else this fails
    Own,
    /// That it is there and attested; else this fails
    Required,
    /// That it is there: GitHub is not asked who attested it
    Off,
}
