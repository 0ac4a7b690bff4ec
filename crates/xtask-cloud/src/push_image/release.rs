//! The steps of a release, in the only order their types allow: look, build and push if ECR does not hold the image,
//! verify, tag, verify the tags.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::attempt::{self, Upload};
use super::expected;
use super::outcome::{Action, Pushed, TagOutcome, TagStatus};
use super::source::Source;
use docker::Docker;
use image::name::{Digest, Tag};
use registry::Ecr;
use registry::images::{Found, Tagged};
use registry::session::Session;
use registry::verify::PinnedImage;
use settings::Settings;
use settings::ecr::EcrSettings;
use workspace::project::Project;
use workspace::ui;
use xtask::tasks::build_image::{self, BuiltImage};

#[derive(Debug)]
pub(super) struct Release<'a> {
    pub(super) project: &'a Project,
    pub(super) settings: &'a Settings,
    pub(super) registry: &'a EcrSettings,
    pub(super) ecr: &'a Ecr,
    pub(super) source: &'a Source,
    /// The image that gets the tags, so that nothing is built.
    pub(super) expected: Option<&'a Digest>,
}

/// An image in ECR, and how it came there.
struct Held {
    image: PinnedImage,
    action: Action,
    /// For the upload with its proof, where there was one.
    upload: Option<Duration>,
}

impl Release<'_> {
    pub(super) async fn run(&self, tags: &[Tag]) -> anyhow::Result<Pushed> {
        let start = Instant::now();
        let identity = match self.source {
            Source::Committed(identity) => Some(identity.tag()?),
            Source::Loose { .. } => None,
        };
        let held = match (self.expected, &identity) {
            (Some(digest), _) => {
                expected::still_there(self.ecr, digest).await?;
                Some(digest.clone())
            }
            (None, Some(identity)) => self.held(identity).await?,
            (None, None) => {
                self.held(&Tag::latest()).await?;
                None
            }
        };
        let Held { image, action, upload } = match held {
            Some(digest) => {
                let session = Session::open(self.ecr).await?;
                let image = self.ecr.verify(&digest, self.settings.platform, &session).await?;
                Held { image, action: Action::Promoted, upload: None }
            }
            None => self.push(identity.as_ref()).await?,
        };
        let mut outcomes: Vec<TagOutcome> = Vec::new();
        for tag in tags {
            let outcome = self.tag(&image, tag).await.with_context(|| unfinished(&image, &outcomes))?;
            outcomes.push(outcome);
        }
        let took = upload.unwrap_or_else(|| start.elapsed());
        Ok(Pushed::new(&image, identity.as_ref(), action, outcomes, took))
    }

    /// The image under a tag. Where the repository is missing it is created, or the release ends here.
    async fn held(&self, tag: &Tag) -> anyhow::Result<Option<Digest>> {
        match self.ecr.by_tag(tag).await? {
            Found::Image(manifest) => Ok(Some(manifest.digest)),
            Found::NoImage => Ok(None),
            Found::NoRepository if self.registry.create => {
                self.ecr.create_repository().await?;
                ui::done("Created", format!("the repository {}", self.ecr.name()));
                Ok(None)
            }
            Found::NoRepository => Err(attempt::no_repository(self.ecr)),
        }
    }

    /// Builds, and pushes under the identity; without one, under a tag made of the image's own ID.
    async fn push(&self, identity: Option<&Tag>) -> anyhow::Result<Held> {
        let docker = Docker::connect().await.context("no image can be built without Docker")?;
        let reference = self.settings.image.clone().tagged(Tag::latest());
        let built = build_image::build(self.project, self.settings, &docker, &reference).await?;
        build_image::summarize(&reference, &built);
        let tag = match identity {
            Some(identity) => identity.clone(),
            None => loose_tag(&built)?,
        };
        let reference = self.ecr.name().tagged(tag);
        // Not before the build, which may take longer than what is left of a token. Meanwhile somebody may have pushed
        // the same inputs.
        let (mut session, held) = tokio::try_join!(Session::open(self.ecr), self.held(&reference.tag))?;
        self.source.is_still(self.project, self.settings).await?;
        docker.tag(&built.id, &reference).await?;
        let since = Instant::now();
        let upload = match held {
            Some(_) => Ok(Upload::Taken),
            None => attempt::push(&docker, self.ecr, &reference, &built.contents.layers, &mut session).await,
        };
        // The name was for the push alone; one left behind does no harm.
        let unname = async {
            if let Err(error) = docker.untag(&reference).await {
                ui::warning(format!("{error:#}"));
            }
        };
        let (proved, ()) = tokio::join!(self.prove(upload, &reference.tag, &built, &session), unname);
        let (image, action) = proved?;
        Ok(Held { image, action, upload: Some(since.elapsed()) })
    }

    /// What an upload came to, as ECR has it.
    async fn prove(
        &self,
        upload: anyhow::Result<Upload>,
        tag: &Tag,
        built: &BuiltImage,
        session: &Session,
    ) -> anyhow::Result<(PinnedImage, Action)> {
        let (digest, layers) = match upload? {
            Upload::Done { digest, pushed, existing } => (digest, Some((pushed, existing))),
            Upload::Taken => match self.ecr.by_tag(tag).await? {
                Found::Image(manifest) => (manifest.digest, None),
                _ => bail!("ECR says that {tag} is taken, but not by what; try again"),
            },
        };
        let (platform, config) = (self.settings.platform, &built.contents.config);
        let image = self.ecr.verify_pushed(tag, &digest, platform, config, session).await?;
        let action = match layers {
            Some((pushed, existing)) => {
                let sizes = image.sizes();
                let layers: u64 = pushed.iter().filter_map(|place| sizes.layers.get(*place)).sum();
                let uploaded = layers + sizes.config + image.manifest().text.len() as u64;
                Action::Pushed { pushed: pushed.len(), existing, uploaded }
            }
            None => Action::Promoted,
        };
        Ok((image, action))
    }

    async fn tag(&self, image: &PinnedImage, tag: &Tag) -> anyhow::Result<TagOutcome> {
        let tagged = self.ecr.tag(image.manifest(), tag).await?;
        if let Tagged::Taken { by } = &tagged {
            bail!(
                "{tag} names another image in {} and is immutable: it stays {by}, this is {}; a new release needs a new tag",
                self.ecr.name(),
                image.manifest().digest
            );
        }
        self.ecr.verify_tag(tag, &image.manifest().digest).await?;
        let status = TagStatus::of(tagged).context("a tag that is taken")?;
        Ok(TagOutcome { tag: tag.as_str().to_owned(), status })
    }
}

/// What is true although the next step failed.
fn unfinished(image: &PinnedImage, tagged: &[TagOutcome]) -> String {
    let so_far = match tagged {
        [] => "without any of the tags asked for".to_owned(),
        tagged => {
            let tags: Vec<_> = tagged.iter().map(|outcome| outcome.tag.as_str()).collect();
            format!("as {} so far", tags.join(", "))
        }
    };
    format!("ECR holds the image, {so_far}: {}", image.reference())
}

fn loose_tag(built: &BuiltImage) -> anyhow::Result<Tag> {
    let id = Digest::of(&built.contents.config);
    Tag::parse(&format!("dirty-{}", id.encoded().get(..20).unwrap_or(id.encoded())))
}
