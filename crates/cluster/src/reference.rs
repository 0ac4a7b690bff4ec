//! The image of a run: the very one that was asked for, or none.

use std::fmt;

use anyhow::bail;

use image::name::Tag;
use image::reference::{AnyReference, Name, PinnedReference, TaggedReference};

/// What a pod's image may be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// `[registry/]repository@sha256:…`; kubelet makes sure that it is what the digest says.
    Pinned(PinnedReference),
    /// `repository:tag` without a registry: an image that was loaded into the nodes of a local cluster. It is never
    /// pulled, for some public image may have that name.
    Loaded(TaggedReference),
}

impl Reference {
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        match AnyReference::parse(text)? {
            AnyReference::Pinned(pinned) => Ok(Self::Pinned(pinned)),
            AnyReference::Tagged(tagged) if tagged.name.registry.is_none() => Ok(Self::Loaded(tagged)),
            AnyReference::Name(name @ Name { registry: None, .. }) => {
                Ok(Self::Loaded(name.tagged(Tag::latest())))
            }
            AnyReference::Tagged(_) | AnyReference::Name(_) => bail!(
                "image {text:?} has no digest, so it may be another one tomorrow; an image runs in a cluster by its \
                 digest, registry/repository@sha256:…, as `cargo xtask push-image` prints it"
            ),
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
            Self::Pinned(pinned) => pinned.fmt(f),
            Self::Loaded(tagged) => tagged.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_not_change_is_taken() {
        let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
        for (text, written, policy) in [
            (format!("localhost:5000/site/job@{digest}"), None, Ok("IfNotPresent")),
            (
                format!("host.example/job:v1@{digest}"),
                Some(format!("host.example/job@{digest}")),
                Ok("IfNotPresent"),
            ),
            (format!("site/job@{digest}"), None, Ok("IfNotPresent")),
            ("run-migrations:test".to_owned(), None, Ok("Never")),
            ("run-migrations".to_owned(), Some("run-migrations:latest".to_owned()), Ok("Never")),
            ("host.example/job:v1".to_owned(), None, Err("has no digest")),
            ("localhost/job".to_owned(), None, Err("has no digest")),
            ("job:v 1".to_owned(), None, Err("tag \"v 1\" is not one")),
        ] {
            match (Reference::parse(&text), policy) {
                (Ok(reference), Ok(policy)) => {
                    assert_eq!(reference.pull_policy(), policy, "{text}");
                    assert_eq!(reference.to_string(), written.unwrap_or(text));
                }
                (Err(error), Err(message)) => assert!(format!("{error:#}").contains(message), "{error:#}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }
}
