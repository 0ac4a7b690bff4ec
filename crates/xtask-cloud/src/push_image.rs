//! `cargo xtask push-image`: the image, in ECR, proved to be there; built once, promoted ever after.

#[cfg(feature = "cloud")]
mod attempt;
#[cfg(feature = "cloud")]
mod expected;
#[cfg(feature = "cloud")]
mod outcome;
#[cfg(feature = "cloud")]
mod release;
#[cfg(feature = "cloud")]
pub(super) mod source;

#[cfg(feature = "cloud")]
use crate::image::name::Tag;
use crate::settings::ImageFlags;
use crate::settings::ecr::EcrFlags;

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
pub(crate) struct Arguments {
    /// Tag in ECR; may be given more than once
    #[arg(long = "tag", value_name = "TAG", default_value = "latest")]
    tags: Vec<String>,
    /// Create the repository if it is missing
    #[arg(long)]
    create_repository: bool,
    /// Push although not everything is committed; such an image is never promoted
    #[arg(long)]
    allow_dirty: bool,
    /// The digest that must get the tags, so that nothing is built
    #[arg(long, value_name = "DIGEST", conflicts_with = "allow_dirty")]
    expect: Option<String>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// Say what would be pushed, ask nobody, change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    image: ImageFlags,
    #[command(flatten)]
    ecr: EcrFlags,
}

#[cfg(feature = "cloud")]
pub(crate) async fn run(arguments: &Arguments, project: &crate::project::Project) -> anyhow::Result<()> {
    use anyhow::Context;

    use crate::ecr::Ecr;
    use crate::image::name::Digest;
    use crate::settings::{Mistakes, Settings};
    use crate::ui;
    use release::Release;
    use source::Source;

    let mut mistakes = Mistakes::default();
    let tags = tags(&arguments.tags, &mut mistakes);
    let expected = arguments.expect.as_deref().map(Digest::parse).transpose();
    let expected = mistakes.found("--expect", expected.context("not the digest of an image"));
    let settings = Settings::gather_with_ecr(&arguments.image, &arguments.ecr, project, &mut mistakes)?;
    let ((settings, mut registry), expected) = mistakes.or(settings.zip(expected))?;
    registry.create |= arguments.create_repository;
    let source = Source::read(project, &settings, arguments.allow_dirty).await?;
    if arguments.dry_run {
        let place = registry.registry_without_asking();
        let place = place.map_or_else(|| "the registry of the account".to_owned(), |host| host.to_string());
        let tags: Vec<_> = tags.iter().map(Tag::as_str).collect();
        let what = format!("{} to {place}/{} as {}", settings.image, registry.repository, tags.join(", "));
        ui::note("Would push", format!("{what}; {source}"));
        return Ok(());
    }
    let ecr = Ecr::connect(&registry).await?;
    let release = Release {
        project,
        settings: &settings,
        registry: &registry,
        ecr: &ecr,
        source: &source,
        expected: expected.as_ref(),
    };
    let outcome = release.run(&tags).await?;
    outcome.summarize();
    outcome.set_outputs()?;
    if arguments.json {
        ui::document(&serde_json::to_string_pretty(&outcome).context("the result can't be written")?);
    } else {
        ui::result(&outcome.reference.to_string());
    }
    Ok(())
}

/// Each once. One that always may be moved comes last: if another is refused, it still names what it named.
#[cfg(feature = "cloud")]
fn tags(texts: &[String], mistakes: &mut crate::settings::Mistakes) -> Vec<Tag> {
    let mut tags = Vec::new();
    for text in texts {
        match mistakes.found("--tag", tag(text)) {
            Some(tag) if !tags.contains(&tag) => tags.push(tag),
            _ => {}
        }
    }
    tags.sort_by_key(|tag| tag.as_str() == "latest");
    tags
}

#[cfg(feature = "cloud")]
fn tag(text: &str) -> anyhow::Result<Tag> {
    anyhow::ensure!(
        !crate::image::identity::Identity::is_one(text),
        "tag {text:?} is the identity of an image, which is given by what it is made from"
    );
    Tag::parse(text)
}

#[cfg(all(test, feature = "cloud"))]
mod tests {
    #[test]
    fn tags_come_once_and_latest_last() {
        let identity = format!("inputs-{}", "ab".repeat(20));
        for (texts, expected) in [
            (vec!["latest"], Ok(vec!["latest"])),
            (vec!["latest", "v2", "v1", "v2"], Ok(vec!["v2", "v1", "latest"])),
            (vec!["a/b"], Err("a setting is wrong: --tag: tag \"a/b\"")),
            (vec!["v1", &*identity, "a/b"], Err("2 settings are wrong\n  --tag: tag \"inputs-abab")),
        ] {
            let texts: Vec<_> = texts.into_iter().map(str::to_owned).collect();
            let mut mistakes = crate::settings::Mistakes::default();
            let tags = super::tags(&texts, &mut mistakes);
            match (mistakes.or(Some(tags)), expected) {
                (Ok(tags), Ok(expected)) => {
                    assert_eq!(tags.iter().map(super::Tag::as_str).collect::<Vec<_>>(), expected);
                }
                (Err(error), Err(message)) => assert!(error.to_string().starts_with(message), "{error}"),
                (found, _) => panic!("{texts:?}: {found:?}"),
            }
        }
    }
}
