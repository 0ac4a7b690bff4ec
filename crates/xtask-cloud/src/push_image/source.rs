//! What is to be pushed: a committed tree with its identity, or, if asked for, one that has none.

use std::fmt;

use anyhow::{Context, bail, ensure};

use docker::Docker;
use image::binary::Compiler;
use image::identity::Identity;
use image::inputs;
use settings::Settings;
use workspace::git::git;
use workspace::process;
use workspace::project::Project;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// Everything is committed, so what is built can be told by its inputs.
    Committed(Identity),
    /// Something is not, for the reason given.
    Loose { why: String },
}

impl Source {
    pub(crate) async fn read(
        project: &Project,
        settings: &Settings,
        allow_loose: bool,
    ) -> anyhow::Result<Self> {
        let changes = process::output(git(project.root()).args([
            "status",
            "--porcelain",
            "--no-renames",
            "--untracked-files=all",
        ]));
        let why = match changes {
            Ok(changes) => {
                let mut paths: Vec<_> =
                    changes.lines().filter_map(|line| line.get(3..)).map(str::to_owned).collect();
                if paths.is_empty() {
                    paths = inputs::uncommitted(project)?;
                }
                match listed(&paths) {
                    None => return Ok(Self::Committed(identity(project, settings).await?)),
                    Some(listed) => format!("not everything is committed ({listed})"),
                }
            }
            Err(error) => format!("git does not say what is committed ({error:#})"),
        };
        if !allow_loose {
            bail!(
                "nothing is pushed: {why}; commit first, or push what nobody can build again with --allow-dirty"
            );
        }
        Ok(Self::Loose { why })
    }

    /// Fails if files were changed since: what was built from them must not get an identity that says otherwise.
    pub(super) async fn is_still(&self, project: &Project, settings: &Settings) -> anyhow::Result<()> {
        let Self::Committed(_) = self else { return Ok(()) };
        let now = Self::read(project, settings, true).await?;
        ensure!(
            now == *self,
            "nothing is pushed: the checkout was changed while the image was built ({self}, now {now}); try again"
        );
        Ok(())
    }
}

fn listed(paths: &[String]) -> Option<String> {
    let more = paths.len().saturating_sub(3);
    let first = paths.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!paths.is_empty()).then(|| format!("{first}{more}"))
}

async fn identity(project: &Project, settings: &Settings) -> anyhow::Result<Identity> {
    let compiler = Compiler::choose(project, settings.platform);
    let base = match &compiler {
        Compiler::Host { .. } => None,
        Compiler::Docker { .. } => Some(base_of_compile(project).await?),
    };
    let inputs = inputs::read(project, settings.platform, &compiler, base.as_deref());
    Ok(inputs.context("what the image would be made from can't be told")?.identity())
}

/// The image the stage `compile` begins with, by digest.
async fn base_of_compile(project: &Project) -> anyhow::Result<String> {
    let dockerfile =
        std::fs::read_to_string(project.root().join("Dockerfile")).context("cannot read Dockerfile")?;
    let base = stage_base(&dockerfile, "compile").context("the Dockerfile has no stage `compile`")?;
    if let Some((_, digest)) = base.split_once('@') {
        return Ok(digest.to_owned());
    }
    let docker = Docker::connect().await.context("the binary is compiled in Docker here")?;
    docker.digest_of(base).await
}

fn stage_base<'a>(dockerfile: &'a str, stage: &str) -> Option<&'a str> {
    dockerfile.lines().find_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        match words.as_slice() {
            [from, base, r#as, name]
                if from.eq_ignore_ascii_case("from") && r#as.eq_ignore_ascii_case("as") && *name == stage =>
            {
                Some(*base)
            }
            _ => None,
        }
    })
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Committed(identity) => match identity.tag() {
                Ok(tag) => write!(f, "identity {tag}"),
                Err(_) => f.write_str("committed"),
            },
            Self::Loose { why } => write!(f, "without identity: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_listed_up_to_three() {
        for (paths, expected) in [
            (&[][..], None),
            (&["src/a.rs"], Some("src/a.rs")),
            (&["a", "b", "c", "d", "e"], Some("a, b, c and 2 more")),
        ] {
            let paths: Vec<_> = paths.iter().map(|path| (*path).to_owned()).collect();
            assert_eq!(listed(&paths).as_deref(), expected);
        }
    }

    #[test]
    fn the_base_of_a_stage_is_found() {
        let dockerfile = "FROM scratch AS base\nfrom rust:1 as compile\nFROM base\n";
        for (stage, base) in [("compile", Some("rust:1")), ("base", Some("scratch")), ("other", None)] {
            assert_eq!(stage_base(dockerfile, stage), base, "{stage}");
        }
    }
}
