//! The parts of an image's name, each a type that can hold nothing else, by the distribution spec's grammar.

use std::fmt;

use anyhow::{bail, ensure};

/// Where images are kept: `host[:port]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Registry(String);

/// A path inside a registry: `team/run-migrations`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Repository(String);

/// What people call a version of an image.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tag(String);

/// What a manifest is called by its own content.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Digest(String);

impl Registry {
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (text, None),
        };
        let port_is_one =
            port.is_none_or(|port| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok());
        if !port_is_one || !(is_ipv6(host) || host.split('.').all(is_host_part)) {
            bail!(
                "registry {text:?} is not one; it is host or host:port, without https:// and without a path"
            );
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Docker speaks plain HTTP to the loopback alone, unless it is told otherwise.
    pub fn is_loopback(&self) -> bool {
        let host =
            self.0.rsplit_once(':').filter(|(_, port)| !port.contains(']')).map_or(&*self.0, |parts| parts.0);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

fn is_host_part(part: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    !part.is_empty() && part.bytes().all(inner) && !part.starts_with('-') && !part.ends_with('-')
}

fn is_ipv6(host: &str) -> bool {
    let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    inside.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok())
}

impl Repository {
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        ensure!(
            text.len() <= 255 && text.split('/').all(is_path_component),
            "repository {text:?} is not one; it is words of a-z and 0-9, joined by one of . _ __ - inside \
             and / between them, at most 255 in all"
        );
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `alphanumeric [separator alphanumeric]*` where a separator is `.`, `_`, `__` or any number of `-`.
fn is_path_component(component: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separators = component.split(is_word).filter(|separator| !separator.is_empty());
    component.starts_with(is_word)
        && component.ends_with(is_word)
        && separators.into_iter().all(|s| [".", "_", "__"].contains(&s) || s.bytes().all(|b| b == b'-'))
}

impl Tag {
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        ensure!(
            !text.is_empty()
                && text.len() <= 128
                && !text.starts_with(['.', '-'])
                && text.chars().all(allowed),
            "tag {text:?} is not one; use up to 128 letters, digits, _, . and -, not starting with . or -"
        );
        Ok(Self(text.to_owned()))
    }

    /// What an image is called that is called nothing else.
    pub fn latest() -> Self {
        Self("latest".to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Digest {
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let length = match text.split_once(':') {
            Some(("sha256", _)) => 64,
            Some(("sha512", _)) => 128,
            _ => 0,
        };
        let is_hex = |hex: &str| hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        match text.split_once(':') {
            Some((_, hex)) if length > 0 && hex.len() == length && is_hex(hex) => Ok(Self(text.to_owned())),
            _ => bail!("digest {text:?} is not one; it is sha256: and 64 lower-case hexadecimal digits"),
        }
    }

    /// What stands behind the name of the algorithm.
    pub fn encoded(&self) -> &str {
        self.0.split_once(':').map_or(&*self.0, |(_, encoded)| encoded)
    }

    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(format!("sha256:{}", hexadecimal(&sha2::Sha256::digest(bytes))))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_told_from_what_is_none() {
        for (text, good) in [
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", true),
            ("localhost", true),
            ("127.0.0.1:4566", true),
            ("[::1]:5000", true),
            ("[::1]", true),
            ("Registry.Example", true),
            ("", false),
            ("host:", false),
            ("host:99999", false),
            ("host:+80", false),
            ("https://host", false),
            ("host/path", false),
            ("-host", false),
            ("host-.example", false),
            ("a..b", false),
            ("user@host", false),
            ("[::1", false),
            ("[nonsense]", false),
            ("under_score", false),
        ] {
            assert_eq!(Registry::parse(text).is_ok(), good, "{text}");
        }
    }

    #[test]
    fn the_loopback_is_known() {
        for (text, loopback) in [
            ("127.0.0.1:4566", true),
            ("127.8.8.8", true),
            ("localhost:80", true),
            ("[::1]:80", true),
            ("[::1]", true),
            ("127.0.0.1.example", false),
            ("10.0.0.1:80", false),
            ("localhost.example", false),
        ] {
            assert_eq!(Registry::parse(text).unwrap().is_loopback(), loopback, "{text}");
        }
    }

    #[test]
    fn repositories_are_told_from_what_is_none() {
        for (text, good) in [
            ("run-migrations", true),
            ("site/run-migrations", true),
            ("a", true),
            ("a__b/c.d/e---f", true),
            ("a_b", true),
            ("", false),
            ("a//b", false),
            ("/a", false),
            ("a/", false),
            ("A", false),
            ("a..b", false),
            ("a___b", false),
            ("a._b", false),
            ("-a", false),
            ("a-", false),
            ("a:b", false),
            ("a@b", false),
            ("ä", false),
        ] {
            assert_eq!(Repository::parse(text).is_ok(), good, "{text}");
        }
        assert!(Repository::parse(&"a".repeat(255)).is_ok());
        assert!(Repository::parse(&"a".repeat(256)).is_err());
    }

    #[test]
    fn tags_are_told_from_what_is_none() {
        for (text, good) in [
            ("latest", true),
            ("v1.2.0_a-b", true),
            ("_a", true),
            ("V1", true),
            ("", false),
            (".a", false),
            ("-a", false),
            ("a/b", false),
            ("a:b", false),
            ("a+b", false),
            ("a b", false),
            ("ä", false),
        ] {
            assert_eq!(Tag::parse(text).is_ok(), good, "{text}");
        }
        assert!(Tag::parse(&"a".repeat(128)).is_ok());
        assert!(Tag::parse(&"a".repeat(129)).is_err());
    }

    #[test]
    fn digests_are_told_from_what_is_none() {
        let hex = "0123456789abcdef".repeat(4);
        for (text, good) in [
            (format!("sha256:{hex}"), true),
            (format!("sha512:{hex}{hex}"), true),
            (format!("sha256:{}", hex.to_uppercase()), false),
            (format!("sha512:{hex}"), false),
            (format!("md5:{hex}"), false),
            (hex.clone(), false),
            (format!("sha256:{hex}\n"), false),
            ("sha256:".to_owned(), false),
        ] {
            assert_eq!(Digest::parse(&text).is_ok(), good, "{text:?}");
        }
        assert_eq!(
            Digest::of(b"").as_str(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
