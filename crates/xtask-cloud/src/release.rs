//! `cargo xtask release`: everything a release needs is there, then the tag that starts it.

pub(super) mod checks;
mod image;
pub(super) mod inputs;

use xtask::cli::release::Arguments;

pub(crate) async fn run(arguments: &Arguments, project: &workspace::project::Project) -> anyhow::Result<()> {
    use anyhow::{Context, bail};

    use settings::Settings;
    use workspace::ui;

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
