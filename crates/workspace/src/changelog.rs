//! `CHANGELOG.md`, in the form of Keep a Changelog, and the versions that stand in it.

use std::fmt;

use anyhow::{Context, ensure};

use crate::project::Project;

/// The version of a release: `1.2.3`, its tag `v1.2.3`. It is the tag alone that carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(String);

impl Version {
    /// Takes the tag's form too.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let version = text.strip_prefix('v').unwrap_or(text);
        let (numbers, before) = version.split_once('-').map_or((version, None), |(a, b)| (a, Some(b)));
        let is_number = |part: &str| {
            let canonical = part == "0" || !part.starts_with('0');
            !part.is_empty() && canonical && part.bytes().all(|b| b.is_ascii_digit())
        };
        let is_word =
            |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        ensure!(
            numbers.split('.').count() == 3
                && numbers.split('.').all(is_number)
                && before.is_none_or(|before| before.split('.').all(is_word)),
            "{text:?} is not a version; use one such as 1.2.3 or 1.2.3-rc.1"
        );
        Ok(Self(version.to_owned()))
    }

    pub fn tag(&self) -> String {
        format!("v{}", self.0)
    }

    /// What orders versions, as SemVer does: a preview precedes its release.
    pub fn rank(&self) -> impl Ord + use<> {
        let (numbers, before) = self.0.split_once('-').map_or((&*self.0, None), |(a, b)| (a, Some(b)));
        // A number precedes a word, and a longer number follows a shorter one.
        let part = |part: &str| {
            let is_number = part.bytes().all(|b| b.is_ascii_digit());
            (!is_number, if is_number { part.len() } else { 0 }, part.to_owned())
        };
        let parts = |text: &str| text.split('.').map(part).collect::<Vec<_>>();
        (parts(numbers), before.is_none(), before.map(parts))
    }

    /// Whether it precedes a release, as `-rc.1` does.
    pub fn is_preview(&self) -> bool {
        self.0.contains('-')
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the project's changelog says of a version.
pub fn read(project: &Project, version: &Version) -> anyhow::Result<String> {
    let text =
        std::fs::read_to_string(project.root().join("CHANGELOG.md")).context("cannot read CHANGELOG.md")?;
    section(&text, &version.0).with_context(|| {
        format!(
            "CHANGELOG.md has no section `## [{version}]` with anything in it; write it before the release"
        )
    })
}

/// The text below the heading `## [NAME]`, without it; None where there is no heading, or nothing below it.
pub fn section(text: &str, name: &str) -> Option<String> {
    let heading = format!("## [{name}]");
    let is_heading = |line: &&str| {
        line.strip_prefix(&heading).is_some_and(|rest| rest.is_empty() || rest.starts_with(" - "))
    };
    let mut lines = text.lines().skip_while(|line| !is_heading(line));
    lines.next()?;
    // Links to the versions stand at the very end.
    let is_end = |line: &&str| line.starts_with("## ") || (line.starts_with('[') && line.contains("]: "));
    let body: Vec<_> = lines.take_while(|line| !is_end(line)).collect();
    let says_something = body.iter().any(|line| !line.trim().is_empty() && !line.starts_with('#'));
    says_something.then(|| body.join("\n").trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_from_what_is_none() {
        for (text, tag) in [
            ("1.2.3", Some("v1.2.3")),
            ("v1.2.3", Some("v1.2.3")),
            ("1.2.3-rc.1", Some("v1.2.3-rc.1")),
            ("1.2", None),
            ("1.02.3", None),
            ("1.2.3-", None),
            ("1.2.3 ", None),
            ("1.2.3;x", None),
        ] {
            assert_eq!(Version::parse(text).ok().map(|version| version.tag()).as_deref(), tag, "{text}");
        }
    }

    #[test]
    fn versions_are_in_the_order_of_semver() {
        let order = [
            "0.9.0",
            "0.10.0",
            "1.0.0-1",
            "1.0.0-11",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-rc.2",
            "1.0.0-rc.10",
            "1.0.0",
            "1.0.1-rc.1",
        ];
        for pair in order.windows(2) {
            let [a, b] = [pair[0], pair[1]].map(|text| Version::parse(text).unwrap().rank());
            assert!(a < b, "{pair:?}");
        }
    }

    #[test]
    fn a_section_ends_where_the_next_begins() {
        let text = "# Changelog\n\n## [Unreleased]\n\n## [1.1.0] - 2026-11-23\n\n### Added\n\n- A.\n\n## [1.0.0]\n- B.\n\n[1.0.0]: https://a\n";
        for (name, expected) in [
            ("1.1.0", Some("### Added\n\n- A.")),
            ("1.0.0", Some("- B.")),
            ("1.0", None),
            ("Unreleased", None),
            ("2.0.0", None),
        ] {
            assert_eq!(section(text, name).as_deref(), expected, "{name}");
        }
        assert_eq!(section("## [1.0.0]\n\n### Added\n", "1.0.0"), None, "headings say nothing");
    }
}
