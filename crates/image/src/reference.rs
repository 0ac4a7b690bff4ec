//! What images are called, by the distribution spec's grammar: `[registry/]repository[:tag][@digest]`. What such a text
//! promises is its type: a tag may come to name another image, a digest can't.

use std::fmt;

use anyhow::{Context, bail};
use serde::{Serialize, Serializer};

use super::name::{Digest, Registry, Repository, Tag};

/// `[registry/]repository`: whichever of its images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    pub registry: Option<Registry>,
    pub repository: Repository,
}

/// `[registry/]repository:tag`: the image that was given the tag last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaggedReference {
    pub name: Name,
    pub tag: Tag,
}

/// `[registry/]repository@digest`: this image and no other, for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedReference {
    pub name: Name,
    pub digest: Digest,
}

/// Any of them, as somebody typed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnyReference {
    Name(Name),
    Tagged(TaggedReference),
    /// A tag beside the digest says nothing more.
    Pinned(PinnedReference),
}

impl AnyReference {
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        Self::of(text).with_context(|| format!("image {text:?}"))
    }

    fn of(text: &str) -> anyhow::Result<Self> {
        let (tagged, digest) = match text.split_once('@') {
            Some((tagged, digest)) => (tagged, Some(Digest::parse(digest)?)),
            None => (text, None),
        };
        let (registry, path) = match tagged.split_once('/') {
            Some((host, path)) if is_host(host) => (Some(Registry::parse(host)?), path),
            _ => (None, tagged),
        };
        let (repository, tag) = match path.split_once(':') {
            Some((repository, tag)) => (repository, Some(Tag::parse(tag)?)),
            None => (path, None),
        };
        let name = Name { registry, repository: Repository::parse(repository)? };
        Ok(match (digest, tag) {
            (Some(digest), _) => Self::Pinned(name.pinned(digest)),
            (None, Some(tag)) => Self::Tagged(name.tagged(tag)),
            (None, None) => Self::Name(name),
        })
    }
}

/// What tells a registry from the first word of a path: a dot, a port, a capital letter, or being this machine.
fn is_host(word: &str) -> bool {
    word.contains(['.', ':']) || word == "localhost" || word.bytes().any(|b| b.is_ascii_uppercase())
}

impl Name {
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        match AnyReference::parse(text)? {
            AnyReference::Name(name) => Ok(name),
            AnyReference::Tagged(_) | AnyReference::Pinned(_) => {
                bail!("image {text:?} must be a name without tag or digest, such as run-migrations")
            }
        }
    }

    pub fn tagged(self, tag: Tag) -> TaggedReference {
        TaggedReference { name: self, tag }
    }

    pub fn pinned(self, digest: Digest) -> PinnedReference {
        PinnedReference { name: self, digest }
    }
}

impl PinnedReference {
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        match AnyReference::parse(text)? {
            AnyReference::Pinned(pinned) => Ok(pinned),
            AnyReference::Name(_) | AnyReference::Tagged(_) => {
                bail!("image {text:?} has no digest, so it may be another one tomorrow")
            }
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(registry) = &self.registry {
            write!(f, "{registry}/")?;
        }
        write!(f, "{}", self.repository)
    }
}

impl fmt::Display for TaggedReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.tag)
    }
}

impl fmt::Display for PinnedReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.digest)
    }
}

impl Serialize for PinnedReference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Result<[String; 4], String> {
        let (name, tag, digest) = match AnyReference::parse(text).map_err(|error| format!("{error:#}"))? {
            AnyReference::Name(name) => (name, None, None),
            AnyReference::Tagged(TaggedReference { name, tag }) => (name, Some(tag), None),
            AnyReference::Pinned(PinnedReference { name, digest }) => (name, None, Some(digest)),
        };
        Ok([
            name.registry.map(|registry| registry.to_string()).unwrap_or_default(),
            name.repository.to_string(),
            tag.map(|tag| tag.to_string()).unwrap_or_default(),
            digest.map(|digest| digest.to_string()).unwrap_or_default(),
        ])
    }

    #[test]
    fn references_are_taken_apart() {
        let digest = &*format!("sha256:{}", "0123456789abcdef".repeat(4));
        let pinned = |name: &str| format!("{name}@{digest}");
        for (text, expected) in [
            ("run-migrations".to_owned(), ["", "run-migrations", "", ""]),
            ("run-migrations:v1".to_owned(), ["", "run-migrations", "v1", ""]),
            ("site/job".to_owned(), ["", "site/job", "", ""]),
            ("localhost/job".to_owned(), ["localhost", "job", "", ""]),
            ("localhost:5000/site/job:v1".to_owned(), ["localhost:5000", "site/job", "v1", ""]),
            ("host.example/job".to_owned(), ["host.example", "job", "", ""]),
            ("[::1]:5000/job:v1".to_owned(), ["[::1]:5000", "job", "v1", ""]),
            ("HOST/job".to_owned(), ["HOST", "job", "", ""]),
            // no host: the image "host" of which the tag is a number
            ("host:5000".to_owned(), ["", "host", "5000", ""]),
            (pinned("site/job"), ["", "site/job", "", digest]),
            (pinned("host.example/job"), ["host.example", "job", "", digest]),
            (pinned("host.example/job:v1"), ["host.example", "job", "", digest]),
            (
                pinned("123456789012.dkr.ecr.eu-west-1.amazonaws.com/site/job"),
                ["123456789012.dkr.ecr.eu-west-1.amazonaws.com", "site/job", "", digest],
            ),
        ] {
            assert_eq!(parts(&text), Ok(expected.map(str::to_owned)), "{text}");
        }
    }

    #[test]
    fn what_is_no_reference_is_told_by_its_wrong_part() {
        for (text, part) in [
            ("", "repository \"\""),
            ("Job:v1", "repository \"Job\""),
            ("job:", "tag \"\""),
            ("job:v 1", "tag \"v 1\""),
            ("job:v1:v2", "tag \"v1:v2\""),
            ("job@", "digest \"\""),
            ("job@v1", "digest \"v1\""),
            ("host.example/job@sha256:12", "digest \"sha256:12\""),
            ("host.example/", "repository \"\""),
            ("host:port/job", "registry \"host:port\""),
            ("https://host.example/job", "registry \"https:\""),
            ("host.example//job", "repository \"/job\""),
            (" job", "repository \" job\""),
        ] {
            let error = parts(text).unwrap_err();
            assert!(error.starts_with(&format!("image {text:?}: {part} is not one")), "{error}");
        }
    }

    #[test]
    fn a_reference_is_written_as_it_is_read() {
        let name = Name::parse("127.0.0.1:4566/site/job").unwrap();
        assert_eq!(name.to_string(), "127.0.0.1:4566/site/job");
        let tagged = name.clone().tagged(Tag::parse("v1").unwrap());
        assert_eq!(tagged.to_string(), "127.0.0.1:4566/site/job:v1");
        let pinned = name.pinned(Digest::of(b""));
        assert_eq!(PinnedReference::parse(&pinned.to_string()).unwrap(), pinned);
        assert_eq!(serde_json::to_value(&pinned).unwrap(), pinned.to_string());
    }

    #[test]
    fn a_tag_is_no_digest_and_no_name() {
        let error = |result: anyhow::Result<()>| format!("{:#}", result.unwrap_err());
        for text in ["job", "host.example/job:v1"] {
            assert!(error(PinnedReference::parse(text).map(drop)).contains("has no digest"), "{text}");
        }
        for text in ["job:v1", &format!("job@{}", Digest::of(b""))] {
            assert!(error(Name::parse(text).map(drop)).contains("a name without tag or digest"), "{text}");
        }
    }
}
