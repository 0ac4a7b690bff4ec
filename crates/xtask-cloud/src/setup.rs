//! `cargo xtask setup github`: what AWS and GitHub have to be told once, so that the workflows can release.

#[cfg(feature = "cloud")]
mod check;
#[cfg(feature = "cloud")]
mod environment;
#[cfg(feature = "cloud")]
mod facts;
#[cfg(feature = "cloud")]
mod roles;
#[cfg(feature = "cloud")]
mod rulesets;
#[cfg(feature = "cloud")]
mod script;

use crate::settings::ecr::EcrFlags;

/// Set up what the workflows release with
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Github(Github),
}

/// Print the commands that let this repository's workflows release: identity provider, roles, rulesets, variables
///
/// Changes nothing by itself: read what it prints, then pipe it to a shell that has the AWS CLI and gh. The roles trust
/// the subject that GitHub really puts into this repository's tokens, and workflows on main alone: the pusher ci.yml, the
/// promoter release.yml, the deployer that and rollback.yml in the environment; the reader can't write. Rulesets let those
/// alone make tags who release, and into main what somebody else has reviewed. --check compares
/// with what is there and names every difference.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask setup github --cluster site > setup.sh    for a cluster in EKS; read it, then: sh setup.sh
  cargo xtask setup github                              without a cluster: releases end with the digest
  cargo xtask setup github --json                       the same as data
  cargo xtask setup github --check

Environment: GITHUB_REPOSITORY (else that of the remote `origin`), GH_TOKEN as gh reads it; the rest as `cargo xtask \
ecr-login --help` has it.")]
pub(crate) struct Github {
    /// Environment of GitHub whose jobs may deploy
    #[arg(long, value_name = "NAME", default_value = "production")]
    environment: String,
    /// Cluster in EKS where the job runs; without one nothing is deployed
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Compare with what is there, print the differences
    #[arg(long)]
    check: bool,
    /// Print JSON
    #[arg(long, conflicts_with = "check")]
    json: bool,
    #[command(flatten)]
    ecr: EcrFlags,
}

#[cfg(feature = "cloud")]
pub(crate) async fn run(arguments: &Arguments, project: &crate::project::Project) -> anyhow::Result<()> {
    use anyhow::{Context, bail};
    use serde_json::json;

    use crate::ui;

    let What::Github(arguments) = &arguments.what;
    let facts = facts::find(arguments, project).await?;
    let roles = roles::all(&facts);
    let variables = facts.variables();
    if arguments.check {
        let differences = check::differences(&facts, &roles, &variables)?;
        if facts.rulesets == rulesets::Rulesets::Unavailable {
            ui::warning(
                "this account's plan has no rulesets: whoever may write to the repository may make tags, and so release",
            );
        }
        if differences.is_empty() {
            ui::done(
                "As it should be",
                format!("identity provider, roles, rulesets and variables of {}", facts.repository),
            );
            return Ok(());
        }
        bail!("{} things are not as they should be\n  {}", differences.len(), differences.join("\n  "));
    }
    if arguments.json {
        let variables: serde_json::Map<_, _> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let roles: Vec<_> = roles.iter().map(roles::Role::json).collect();
        let all = json!({"provider": facts.provider(), "roles": roles, "variables": variables});
        ui::document(&serde_json::to_string_pretty(&all).context("the result can't be written")?);
    } else {
        ui::exact(&script::write(&facts, &roles, &variables));
    }
    Ok(())
}
