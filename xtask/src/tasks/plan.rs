//! `cargo xtask plan`: what a release or a rollback does, told from the scripts alone.

use crate::plan;
use workspace::project::Project;
use workspace::{github, ui};

/// Show what a release would apply, or a rollback revert, without a database
///
/// What is new since the last release tag, as Markdown; in a workflow also on the job's page. What a run really does is
/// decided from what the database has: `cargo xtask run-migrations upgrade head --plan`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask plan
  cargo xtask plan --down-to 20261102130627")]
pub struct Arguments {
    /// What a downgrade to this version, or to `base`, reverts
    #[arg(long, value_name = "REVISION", allow_hyphen_values = true)]
    down_to: Option<String>,
}

pub(crate) fn run(arguments: &Arguments, project: &Project) -> anyhow::Result<()> {
    let plan = match &arguments.down_to {
        Some(revision) => plan::down_to(revision, &plan::read(project, None)?)?,
        None => since_last_release(project, None)?,
    };
    let text = format!("## Plan: {}\n\n{}", github::cell(&plan.heading), plan.markdown());
    github::summarize(&text)?;
    ui::result(text.trim_end());
    Ok(())
}

pub(super) fn since_last_release(project: &Project, but: Option<&str>) -> anyhow::Result<plan::Plan> {
    let now = plan::read(project, None)?;
    let Some(tag) = plan::last_release(project, but)? else { return Ok(plan::since(None, &now)) };
    // In full: a branch may be called like it.
    let before = plan::read(project, Some(&format!("refs/tags/{tag}")))?;
    Ok(plan::since(Some((&tag, &before)), &now))
}
