//! `Cargo.lock`: what a package reaches in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context, ensure};
use serde::Deserialize;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Locked {
    pub name: String,
    pub version: String,
    /// None of a package of this workspace.
    pub source: Option<String>,
    /// SHA-256 of the file that is downloaded.
    pub checksum: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

impl fmt::Display for Locked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, version, source, checksum, .. } = self;
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        write!(f, "{name} {version} {} {}", text(source), text(checksum))
    }
}

#[derive(Debug, Deserialize)]
struct File {
    #[serde(default)]
    package: Vec<Locked>,
}

#[derive(Debug)]
pub struct Lock {
    packages: Vec<Locked>,
}

impl Lock {
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let File { package } = toml::from_str(text).context("Cargo.lock is not understood")?;
        Ok(Self { packages: package })
    }

    pub fn find(&self, name: &str, version: &str) -> Option<&Locked> {
        self.packages.iter().find(|package| package.name == name && package.version == version)
    }

    /// Everything that the packages of this workspace with these names reach, themselves included.
    pub fn reached<'a>(&'a self, names: &[&str]) -> BTreeSet<&'a Locked> {
        let mut by_name: BTreeMap<&str, Vec<&Locked>> = BTreeMap::new();
        for package in &self.packages {
            by_name.entry(&package.name).or_default().push(package);
        }
        let starts = self.packages.iter().filter(|package| names.contains(&package.name.as_str()));
        let mut next: Vec<&Locked> = starts.collect();
        let mut reached: BTreeSet<&Locked> = next.iter().copied().collect();
        while let Some(package) = next.pop() {
            for dependency in &package.dependencies {
                // `name`, or `name version` where there are several, with `(source)` behind it where these are alike.
                let mut words = dependency.split(' ');
                let (name, version) = (words.next().unwrap_or_default(), words.next());
                let named = by_name.get(name).into_iter().flatten();
                let new = named.filter(|one| version.is_none_or(|version| one.version == version));
                next.extend(new.filter(|one| reached.insert(one)));
            }
        }
        reached
    }

    /// The text of a file that holds these alone, without their checksums, which cargo puts in anew.
    pub(super) fn only(&self, kept: &BTreeSet<&Locked>) -> String {
        let mut text = String::from("version = 4\n");
        for package in self.packages.iter().filter(|package| kept.contains(package)) {
            let Locked { name, version, source, dependencies, .. } = package;
            text += &format!("\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n");
            text += &source.as_ref().map(|source| format!("source = \"{source}\"\n")).unwrap_or_default();
            if !dependencies.is_empty() {
                let lines: String = dependencies.iter().map(|name| format!(" \"{name}\",\n")).collect();
                text += &format!("dependencies = [\n{lines}]\n");
            }
        }
        text
    }

    /// Makes sure that every crate here is locked there.
    pub(super) fn check_within(&self, whole: &Self) -> anyhow::Result<()> {
        for Locked { name, version, source, checksum, .. } in &self.packages {
            let known = whole.packages.iter().any(|one| {
                (&one.name, &one.version, &one.source, &one.checksum) == (name, version, source, checksum)
            });
            ensure!(
                known,
                "Cargo.lock does not hold {name} {version}; run `cargo check` and commit Cargo.lock"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"version = 4

[[package]]
name = "a"
version = "1.0.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "00ff"
dependencies = [
 "b 2.0.0",
]

[[package]]
name = "b"
version = "1.0.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "01"

[[package]]
name = "b"
version = "2.0.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "02"

[[package]]
name = "job"
version = "0.0.0"
dependencies = [
 "a",
]

[[package]]
name = "xtask"
version = "0.0.0"
dependencies = [
 "a",
 "b 1.0.0",
]
"#;

    #[test]
    fn only_what_is_reached_is_kept() {
        let lock = Lock::parse(LOCK).unwrap();
        let kept = lock.reached(&["job"]);
        let names: Vec<_> = kept.iter().map(|one| format!("{} {}", one.name, one.version)).collect();
        assert_eq!(names, ["a 1.0.0", "b 2.0.0", "job 0.0.0"]);
        let text = lock.only(&kept);
        assert!(
            LOCK.replace("checksum = \"00ff\"\n", "").contains(text.split("\n\n").nth(1).unwrap()),
            "{text}"
        );
        let reduced = Lock::parse(&LOCK[..LOCK.find("\n[[package]]\nname = \"job\"").unwrap()]).unwrap();
        reduced.check_within(&lock).unwrap();
        let other = Lock::parse(&LOCK.replace("00ff", "00fe")).unwrap();
        let error = reduced.check_within(&other).unwrap_err().to_string();
        assert!(error.starts_with("Cargo.lock does not hold a 1.0.0"), "{error}");
    }
}
