//! `cargo xtask release`: everything a release needs is there, then the tag that starts it.

#[cfg(feature = "cloud")]
pub(super) mod checks;
#[cfg(feature = "cloud")]
mod image;
#[cfg(feature = "cloud")]
pub(super) mod inputs;

use crate::changelog::Version;
use crate::settings::ImageFlags;
use crate::settings::ecr::EcrFlags;

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
pub(crate) struct Arguments {
    /// The version, such as 1.2.3
    #[arg(value_name = "VERSION", value_parser = Version::parse)]
    version: Version,
    /// Check everything, tag nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    image: ImageFlags,
    #[command(flatten)]
    ecr: EcrFlags,
}

#[cfg(feature = "cloud")]
pub(crate) async fn run(arguments: &Arguments, project: &crate::project::Project) -> anyhow::Result<()> {
    use anyhow::{Context, bail};

    use crate::settings::Settings;
    use crate::ui;

    let Arguments { version, dry_run, .. } = arguments;
    let tag = version.tag();
    let (settings, registry) = Settings::read_with_ecr(&arguments.image, &arguments.ecr, project)?;
    let git = checks::Git(project);
    let mut answers = checks::all(&git, project, version)?;
    answers.push(("image", image::is_in_ecr(&git, &settings, &registry, project).await));
    let mut missing = Vec::new();
    for (name, answer) in answers {
        match answer {
            Ok(answer) => ui::done(name, answer),
            Err(error) => missing.push(format!("{name}: {error:#}")),
        }
    }
    if !missing.is_empty() {
        bail!("{tag} is not released; nothing was changed\n  {}", missing.join("\n  "));
    }
    if *dry_run {
        ui::note("Would tag", format!("{} as {tag}, and push the tag", git.say(&["rev-parse", "HEAD"])?));
        return Ok(());
    }
    // A tag that an earlier attempt could not push is there already, and names this commit: it was checked.
    if git.say(&["tag", "--list", &tag])?.is_empty() {
        git.say(&["tag", "--annotate", &tag, "--message", &format!("Release {version}")])?;
    }
    git.say(&["push", "--quiet", "origin", &format!("refs/tags/{tag}")]).with_context(|| {
        format!("the tag {tag} exists here, but not on GitHub, so nothing is released yet; run this again")
    })?;
    ui::done(
        "Tagged",
        "the workflow release.yml goes on from here: `gh run watch`, or the repository's page",
    );
    ui::result(&tag);
    Ok(())
}
