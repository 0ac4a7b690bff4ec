//! What is typed after `setup`.

use settings::ecr::EcrFlags;

/// Set up what the workflows release with
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    pub what: What,
}

#[derive(Debug, clap::Subcommand)]
pub enum What {
    Github(Github),
}

/// Print the commands that let this repository's workflows release: identity provider, roles, rulesets, settings
///
/// Changes nothing by itself: read what it prints, then pipe it to a shell that has the AWS CLI and gh. The roles trust
/// the subject that GitHub really puts into this repository's tokens, and workflows on main alone: the pusher ci.yml, the
/// promoter release.yml, the deployer that and rollback.yml in the environment; the reader can't write. Rulesets let those
/// alone make tags who release, and into main what somebody else has reviewed. What the workflows go by is written to
/// .github/delivery.env, which has to be committed, and has an effect on main alone. --check compares with what is there
/// and names every difference.
///
/// A run that is repeated takes the workflow of its own commit, which the roles trust as long as it was one of main. So
/// after an upgrade from a rollback.yml that checked out the tag it was given, delete its runs (below).
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask setup github --cluster site > setup.sh    for a cluster in EKS; read it, then: sh setup.sh
  cargo xtask setup github                              without a cluster: releases end with the digest
  cargo xtask setup github --json                       the same as data
  cargo xtask setup github --check
  gh run list --workflow rollback.yml --limit 1000 --json databaseId --jq '.[].databaseId' | xargs -n1 gh run delete

Environment: GITHUB_REPOSITORY (else that of the remote `origin`), GH_TOKEN as gh reads it; the rest as `cargo xtask \
ecr-login --help` has it.")]
pub struct Github {
    /// Environment of GitHub whose jobs may deploy
    #[arg(long, value_name = "NAME", default_value = "production")]
    pub environment: String,
    /// Cluster in EKS where the job runs; without one nothing is deployed
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
    /// Compare with what is there, print the differences
    #[arg(long)]
    pub check: bool,
    /// Print JSON
    #[arg(long, conflicts_with = "check")]
    pub json: bool,
    #[command(flatten)]
    pub ecr: EcrFlags,
}
