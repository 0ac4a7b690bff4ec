//! What an image is made from, as one hash: same identity, same inputs. It is no promise about bytes, since the same
//! inputs may be those of two commits, and the config names one; so the first image pushed under an identity is the one for all.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::name::{Tag, hexadecimal};

/// To be raised whenever the same inputs come to mean another image.
const SCHEME: &str = "2";

/// Everything that goes into an image, by name.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Inputs(BTreeMap<String, [u8; 32]>);

impl Inputs {
    /// Adds an input. Names are those of files, or say what they are.
    pub fn add(&mut self, name: impl Into<String>, content: &[u8]) {
        self.0.insert(name.into(), Sha256::digest(content).into());
    }

    /// The names of what is not the same in both.
    pub fn differences<'a>(&'a self, other: &'a Self) -> Vec<&'a str> {
        let differs = |name: &&String| self.0.get(*name) != other.0.get(*name);
        let names: std::collections::BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        names.into_iter().filter(differs).map(String::as_str).collect()
    }

    pub fn identity(&self) -> Identity {
        let mut hash = Sha256::new();
        let mut put = |bytes: &[u8]| {
            // The length first, so that no two lists of inputs are one stream of bytes.
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        put(SCHEME.as_bytes());
        for (name, content) in &self.0 {
            put(name.as_bytes());
            put(content);
        }
        Identity(hexadecimal(&hash.finalize()))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity(String);

impl Identity {
    const PREFIX: &str = "inputs-";

    /// Half of it is enough to tell images apart, and short enough to be read in a list.
    pub fn tag(&self) -> anyhow::Result<Tag> {
        Tag::parse(&format!("{}{}", Self::PREFIX, self.0.get(..40).unwrap_or(&self.0)))
    }

    /// Whether a tag is one.
    pub fn is_one(tag: &str) -> bool {
        tag.strip_prefix(Self::PREFIX)
            .is_some_and(|hex| hex.len() == 40 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(inputs: &[(&str, &str)]) -> String {
        let mut all = Inputs::default();
        for (name, content) in inputs {
            all.add(*name, content.as_bytes());
        }
        all.identity().tag().unwrap().as_str().to_owned()
    }

    #[test]
    fn it_depends_on_names_and_contents_and_nothing_else() {
        let one = of(&[("a", "1"), ("b", "2")]);
        assert_eq!(one, of(&[("b", "2"), ("a", "1")]), "order does not matter");
        assert_eq!(
            one, "inputs-efa08fade585c893c163704510495f23abac1a61",
            "an identity of today is the same tomorrow"
        );
        for other in [
            &[("a", "1"), ("b", "3")][..],
            &[("a", "1"), ("c", "2")],
            &[("a", "2"), ("b", "1")],
            &[("a", "1")],
            &[("a", "1"), ("b", "2"), ("c", "")],
            &[("a", "1b"), ("", "2")],
            &[],
        ] {
            assert_ne!(one, of(other), "{other:?}");
        }
    }

    #[test]
    fn its_tags_are_known() {
        for (tag, is_one) in [
            (of(&[]), true),
            ("inputs-".to_owned(), false),
            ("latest".to_owned(), false),
            (format!("inputs-{}", "g".repeat(40)), false),
        ] {
            assert_eq!(Identity::is_one(&tag), is_one, "{tag}");
        }
    }
}
