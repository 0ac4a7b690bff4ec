//! `cargo xtask attestation`: whether ECR's image of these inputs is one that our workflows vouch for.

use xtask::cli::attestation::{Arguments, Gate};

use anyhow::{Context, bail, ensure};

use crate::push_image::source::Source;
use crate::release::checks::Git;
use crate::release::inputs;
use docker::Docker;
use image::manifest::{Content, Manifest};
use image::name::{Digest, Tag};
use image::reference::PinnedReference;
use registry::Ecr;
use registry::images::Found;
use registry::session::Session;
use settings::Settings;
use workspace::github::cli::{get, gh};
use workspace::github::files::Files;
use workspace::github::repository::Repository;
use workspace::github::set_outputs;
use workspace::given::Mistakes;
use workspace::project::Project;
use workspace::ui;
use xtask::tasks::build_image;

/// What the certificates of the one workflow that builds are for, as a regular expression.
fn signer(server: &str, repository: &Repository) -> String {
    let place = format!("{server}/{repository}/.github/workflows/ci.yml");
    format!("^{}@refs/heads/main$", place.replace('.', r"\."))
}

pub(crate) async fn run(arguments: &Arguments, project: &Project) -> anyhow::Result<()> {
    let mut mistakes = Mistakes::default();
    let named = arguments.reference.as_deref().map(PinnedReference::parse);
    let named = named.and_then(|named| mistakes.found("REFERENCE", named));
    let settings = Settings::gather_with_ecr(&arguments.image, &arguments.ecr, project, &mut mistakes)?;
    let (settings, registry) = mistakes.or(settings)?;
    let repository = Repository::find(project)?;
    let ecr = Ecr::connect(&registry).await?;
    let manifest = if let Some(named) = named {
        held(&ecr, &named).await?
    } else {
        let Source::Committed(identity) = Source::read(project, &settings, false).await? else {
            bail!("a checkout with changes has no image of its own");
        };
        let tag = identity.tag()?;
        let Found::Image(manifest) = ecr.by_tag(&tag).await? else {
            let none = format!("ECR holds no image of these inputs, {}", tag.as_str());
            ensure!(
                !matches!(arguments.gate, Gate::Required | Gate::Off),
                "{none}, and a release builds none; run ci.yml of this commit again (`gh run rerun`, or its page), which \
                 pushes and attests it, then run this again"
            );
            ui::note("Not there", none);
            return set_outputs(&[("found", "false"), ("attested", "false")]);
        };
        manifest
    };
    let reference = ecr.name().pinned(manifest.digest.clone()).to_string();
    let name = ecr.name().to_string();
    set_outputs(&[
        ("found", "true"),
        ("reference", &reference),
        ("name", &name),
        ("digest", manifest.digest.as_str()),
    ])?;
    if arguments.gate == Gate::Off {
        let commit = built_from(&manifest, &ecr, project)
            .await
            .with_context(|| format!("{reference} is not known to be the image of these inputs"))?;
        ui::note(
            "Not asked",
            format!("who attested it; it says that it was built from {commit}, which is on main"),
        );
        ui::result(&reference);
        return set_outputs(&[("attested", "off")]);
    }
    // A bill of materials alone vouches for nothing: a run that broke off between the two attests again.
    let of = format!("repos/{repository}/attestations/{}?predicate_type=provenance", manifest.digest);
    let attestations = get(&of)?;
    let is_attested =
        attestations.and_then(|answer| Some(!answer["attestations"].as_array()?.is_empty())).unwrap_or(false);
    if !is_attested && arguments.gate == Gate::Required {
        bail!(
            "{reference} is in ECR, but nobody attested it; if it is ci.yml's, run that commit's job `push` again, which \
             attests what it has built; if nobody knows whose it is, take it out of ECR"
        );
    }
    if is_attested {
        let commit = built_from(&manifest, &ecr, project).await.with_context(|| {
            format!("{reference} is attested, but is not known to be the image of these inputs")
        })?;
        verify(&manifest, &commit, &repository, project)?;
        ui::done("Verified", format!("attested by this repository's ci.yml on main, built from {commit}"));
        ui::result(&reference);
    } else {
        if arguments.gate == Gate::Own {
            is_built_here(project, &settings, &manifest).await.with_context(|| {
                format!(
                    "{reference} is in ECR, but nobody attested it, and it is not known to be this commit's; run the \
                     job `push` of the commit that pushed it again, or take it out of ECR"
                )
            })?;
        }
        ui::note("Not attested", &reference);
    }
    set_outputs(&[("attested", if is_attested { "true" } else { "false" })])
}

async fn held(ecr: &Ecr, named: &PinnedReference) -> anyhow::Result<Manifest> {
    ensure!(named.name == ecr.name(), "{named} is not an image of {}, and nothing else may run", ecr.name());
    let Found::Image(manifest) = ecr.by_digest(&named.digest).await? else {
        bail!(
            "ECR does not hold {named}; if it has expired, run ci.yml of the release's commit again, which builds it, and then release.yml"
        );
    };
    Ok(manifest)
}

/// An attestation tells who built an image, not from what: whoever may push to ECR can put an earlier image where this
/// tree's is looked for. The commit stands in the config, whose digest the attested manifest holds.
async fn built_from(manifest: &Manifest, ecr: &Ecr, project: &Project) -> anyhow::Result<String> {
    let described = ecr.describe(&manifest.digest, &Session::open(ecr).await?).await?;
    let commit = described.and_then(|(config, _)| config.commit);
    let commit = commit.context("it does not say which commit it was built from")?;
    let git = Git(project);
    ensure!(
        inputs::are_those_of(&git, &commit)?,
        "it was built from {commit}, which has other inputs; take this tag out of ECR, find out who put it there, and \
         have ci.yml push again"
    );
    ensure!(
        inputs::is_of_main(&git, inputs::MAIN, &commit)?,
        "it was built from {commit}, which is not on main; take this tag out of ECR, find out who put it there, and have \
         ci.yml push again"
    );
    Ok(commit)
}

/// Whoever may push to ECR can be the first with an image of these inputs. To attest what others have built would be
/// to lie, so it is built once more: the same commit gives the same image, down to its config.
async fn is_built_here(project: &Project, settings: &Settings, manifest: &Manifest) -> anyhow::Result<()> {
    let Content::Image { config, .. } = manifest.content()? else { bail!("it is an index, no image") };
    let docker = Docker::connect().await?;
    let reference = settings.image.clone().tagged(Tag::latest());
    let own = build_image::pack(project, settings, &docker, &reference).await?;
    let own = Digest::of(&own.contents.config);
    ensure!(own == config, "its config is {config}, that of the image built here {own}");
    ui::done("Compared", "it is the image that this commit builds");
    Ok(())
}

/// The digest of an image is that of its manifest, so gh verifies the manifest as it would any file and needs no
/// login to the registry. A run can check out another commit than its own, and build that: the commit in the
/// certificate must be the one that the image says it was built from.
fn verify(
    manifest: &Manifest,
    commit: &str,
    repository: &Repository,
    project: &Project,
) -> anyhow::Result<()> {
    let server = std::env::var("GITHUB_SERVER_URL").ok().filter(|server| !server.is_empty());
    let server = server.as_deref().unwrap_or("https://github.com");
    let files = Files::below(&project.target())?;
    let file = files.write("manifest.json", &manifest.text)?;
    gh(&[
        "attestation",
        "verify",
        &file,
        "--repo",
        &repository.to_string(),
        "--cert-identity-regex",
        &signer(server, repository),
        "--source-digest",
        commit,
        "--deny-self-hosted-runners",
    ])
    .with_context(|| {
        format!(
            "the image in ECR is attested, but not by this repository's ci.yml on main, in a run of {commit}, from which \
             it says it was built"
        )
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signer_is_told_by_all_of_its_certificate() {
        let repository = Repository::parse("site/run.migrations").unwrap();
        assert_eq!(
            signer("https://github.com", &repository),
            r"^https://github\.com/site/run\.migrations/\.github/workflows/ci\.yml@refs/heads/main$"
        );
    }
}
