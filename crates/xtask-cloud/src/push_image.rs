//! `cargo xtask push-image`: the image, in ECR, proved to be there; built once, promoted ever after.

mod attempt;
mod expected;
mod outcome;
mod release;
pub(super) mod source;

use image::name::Tag;
use xtask::cli::push_image::Arguments;

pub(crate) async fn run(arguments: &Arguments, project: &workspace::project::Project) -> anyhow::Result<()> {
    use anyhow::Context;

    use image::name::Digest;
    use registry::Ecr;
    use release::Release;
    use settings::Settings;
    use source::Source;
    use workspace::given::Mistakes;
    use workspace::ui;

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
fn tags(texts: &[String], mistakes: &mut workspace::given::Mistakes) -> Vec<Tag> {
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

fn tag(text: &str) -> anyhow::Result<Tag> {
    anyhow::ensure!(
        !image::identity::Identity::is_one(text),
        "tag {text:?} is the identity of an image, which is given by what it is made from"
    );
    Tag::parse(text)
}

#[cfg(test)]
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
            let mut mistakes = workspace::given::Mistakes::default();
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
