//! The image of a run: the very one that was asked for, or none.

use std::fmt;

use anyhow::{Context, bail};

use crate::image::name::{Digest, Registry, Repository, Tag};

/// What a pod's image may be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reference {
    /// `[registry/]repository@sha256:…`, which can't come to mean something else.
    Pinned(String),
    /// `repository:tag` without a registry: an image that was loaded into the nodes of a local cluster. It is never
    /// pulled, for some public image may have that name.
    Loaded(String),
}

impl Reference {
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let how = "an image runs in a cluster by its digest, registry/repository@sha256:…, as `cargo xtask \
                   push-image` prints it";
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => {
                (name, Some(Digest::parse(digest).with_context(|| format!("image {text:?}"))?))
            }
            None => (text, None),
        };
        let (registry, path) = match name.split_once('/') {
            Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => {
                (Some(Registry::parse(host).with_context(|| format!("image {text:?}"))?), path)
            }
            _ => (None, name),
        };
        let (repository, tag) = match path.split_once(':') {
            Some((repository, tag)) => (repository, Some(Tag::parse(tag)?)),
            None => (path, None),
        };
        Repository::parse(repository).with_context(|| format!("image {text:?}"))?;
        match (registry, digest, tag) {
            (_, Some(_), _) => Ok(Self::Pinned(text.to_owned())),
            (None, None, Some(_)) => Ok(Self::Loaded(text.to_owned())),
            (None, None, None) => Ok(Self::Loaded(format!("{text}:latest"))),
            (Some(_), None, _) => {
                bail!("image {text:?} has no digest, so it may be another one tomorrow; {how}")
            }
        }
    }

    /// Whether and when kubelet asks a registry.
    pub(super) fn pull_policy(&self) -> &'static str {
        match self {
            Self::Pinned(_) => "IfNotPresent",
            Self::Loaded(_) => "Never",
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pinned(text) | Self::Loaded(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_not_change_is_taken() {
        let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
        for (text, policy) in [
            (format!("123456789012.dkr.ecr.eu-west-1.amazonaws.com/job@{digest}"), Ok("IfNotPresent")),
            (format!("localhost:5000/site/job@{digest}"), Ok("IfNotPresent")),
            (format!("host.example/job:v1@{digest}"), Ok("IfNotPresent")),
            (format!("site/job@{digest}"), Ok("IfNotPresent")),
            ("run-migrations:test".to_owned(), Ok("Never")),
            ("run-migrations".to_owned(), Ok("Never")),
            ("host.example/job:v1".to_owned(), Err("has no digest")),
            ("localhost/job".to_owned(), Err("has no digest")),
            ("host.example/job@sha256:12".to_owned(), Err("digest \"sha256:12\" is not one")),
            ("Job:v1".to_owned(), Err("repository \"Job\" is not one")),
            ("job:v 1".to_owned(), Err("tag \"v 1\" is not one")),
            (String::new(), Err("repository \"\" is not one")),
        ] {
            match (Reference::parse(&text), policy) {
                (Ok(reference), Ok(policy)) => assert_eq!(reference.pull_policy(), policy, "{text}"),
                (Err(error), Err(message)) => assert!(format!("{error:#}").contains(message), "{error:#}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }
}
