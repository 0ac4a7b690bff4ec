//! `cargo xtask attestation`: whether ECR's image of these inputs is one that our workflows vouch for.

use crate::image::name::Tag;
use crate::settings::ImageFlags;
use crate::settings::ecr::EcrFlags;

/// Say whether ECR holds the image of these inputs, and verify who attested it
///
/// Prints `repository@sha256:…` if it is there and attested by this repository's ci.yml on main; with --tag also by
/// release.yml for that tag, which builds what ECR does not hold. Prints nothing if there is no such image. In a
/// workflow the step gets the outputs `found`, `attested` and `reference`. Needs the GitHub CLI.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask attestation
  cargo xtask attestation --tag v1.2.3 --gate required

Environment: GITHUB_REPOSITORY (else that of the remote `origin`), GH_TOKEN as gh reads it; the rest as `cargo xtask \
ecr-login --help` has it.")]
pub(crate) struct Arguments {
    /// The release's tag
    #[arg(long, value_name = "TAG", value_parser = Tag::parse)]
    tag: Option<Tag>,
    /// What is asked of the image, if it is there
    #[arg(long, value_enum, default_value_t = Gate::Ask)]
    gate: Gate,
    #[command(flatten)]
    image: ImageFlags,
    #[command(flatten)]
    ecr: EcrFlags,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Gate {
    /// Whether it is attested
    Ask,
    /// That it is attested; else this fails
    Required,
    /// Nothing: GitHub is not asked
    Off,
}

#[cfg(feature = "cloud")]
pub(crate) use verifying::run;

#[cfg(feature = "cloud")]
mod verifying {
    use anyhow::{Context, bail};

    use super::{Arguments, Gate};
    use crate::ecr::Ecr;
    use crate::ecr::images::Found;
    use crate::github::cli::{get, gh};
    use crate::github::repository::Repository;
    use crate::github::set_outputs;
    use crate::image::manifest::Manifest;
    use crate::image::name::Tag;
    use crate::project::Project;
    use crate::settings::Settings;
    use crate::tasks::push_image::source::Source;
    use crate::ui;

    /// A workflow, and the ref it must have run for.
    #[derive(Debug, Clone, PartialEq, Eq)]
    struct Signer {
        workflow: &'static str,
        reference: String,
    }

    fn signers(tag: Option<&Tag>) -> Vec<Signer> {
        let ci = Signer { workflow: "ci.yml", reference: "refs/heads/main".to_owned() };
        let release = tag
            .map(|tag| Signer { workflow: "release.yml", reference: format!("refs/tags/{}", tag.as_str()) });
        std::iter::once(ci).chain(release).collect()
    }

    pub(crate) async fn run(arguments: &Arguments, project: &Project) -> anyhow::Result<()> {
        let (settings, registry) = Settings::read_with_ecr(&arguments.image, &arguments.ecr, project)?;
        let repository = Repository::find(project)?;
        let Source::Committed(identity) = Source::read(project, &settings, false).await? else {
            bail!("a checkout with changes has no image of its own");
        };
        let ecr = Ecr::connect(&registry).await?;
        let Found::Image(manifest) = ecr.by_tag(&identity.tag()?).await? else {
            ui::note(
                "Not there",
                format!("ECR holds no image of these inputs, {}", identity.tag()?.as_str()),
            );
            return set_outputs(&[("found", "false"), ("attested", "false")]);
        };
        let reference = ecr.name().pinned(manifest.digest.clone()).to_string();
        set_outputs(&[("found", "true"), ("reference", &reference)])?;
        if arguments.gate == Gate::Off {
            ui::note("Not asked", "who attested it");
            ui::result(&reference);
            return set_outputs(&[("attested", "off")]);
        }
        let attestations = get(&format!("repos/{repository}/attestations/{}", manifest.digest))?;
        let is_attested = attestations
            .and_then(|answer| Some(!answer["attestations"].as_array()?.is_empty()))
            .unwrap_or(false);
        if !is_attested && arguments.gate == Gate::Required {
            bail!(
                "{reference} is in ECR, but nobody attested it; if it is ci.yml's, run that commit's job `push` again, \
                 which attests what it finds; if nobody knows whose it is, take it out of ECR"
            );
        }
        if is_attested {
            let signer = verify(&manifest, &repository, &signers(arguments.tag.as_ref()))?;
            ui::done("Verified", format!("attested by {} for {}", signer.workflow, signer.reference));
            ui::result(&reference);
        } else {
            ui::note("Not attested", &reference);
        }
        set_outputs(&[("attested", if is_attested { "true" } else { "false" })])
    }

    /// The digest of an image is that of its manifest, so gh verifies the manifest as it would any file and needs no
    /// login to the registry.
    fn verify(manifest: &Manifest, repository: &Repository, signers: &[Signer]) -> anyhow::Result<Signer> {
        let file = std::env::temp_dir().join(format!("xtask-manifest-{}.json", std::process::id()));
        std::fs::write(&file, &manifest.text).with_context(|| format!("cannot write {}", file.display()))?;
        let mut refusals = Vec::new();
        let found = signers.iter().find(|signer| {
            let workflow = format!("{repository}/.github/workflows/{}", signer.workflow);
            let verified = gh(&[
                "attestation",
                "verify",
                &file.to_string_lossy(),
                "--repo",
                &repository.to_string(),
                "--signer-workflow",
                &workflow,
                "--source-ref",
                &signer.reference,
                "--deny-self-hosted-runners",
            ]);
            verified.map_err(|error| refusals.push(format!("{error:#}"))).is_ok()
        });
        // A copy of what the registry gives to anyone who may read it.
        let _ = std::fs::remove_file(&file);
        match found {
            Some(signer) => Ok(signer.clone()),
            None => bail!(
                "the image in ECR is attested, but not by this repository's ci.yml on main or release.yml for this tag: {}",
                refusals.join("; ")
            ),
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_release_may_have_built_what_was_not_there() {
            let names = |tag: Option<&str>| {
                let tag = tag.map(|tag| Tag::parse(tag).unwrap());
                let signers = signers(tag.as_ref());
                signers
                    .into_iter()
                    .map(|one| format!("{} {}", one.workflow, one.reference))
                    .collect::<Vec<_>>()
            };
            assert_eq!(names(None), ["ci.yml refs/heads/main"]);
            assert_eq!(names(Some("v1")), ["ci.yml refs/heads/main", "release.yml refs/tags/v1"]);
        }
    }
}
