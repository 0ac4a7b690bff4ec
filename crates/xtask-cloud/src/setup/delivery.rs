//! `.github/delivery.env`: what a release goes by, in a file of main, which is reviewed, rather than in variables of the
//! repository, which whoever may write to it sets.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, bail, ensure};

use crate::release::inputs::MAIN;
use workspace::git::git;
use workspace::process::{self, quoted};
use workspace::project::Project;

pub(super) const FILE: &str = ".github/delivery.env";

/// The file before anybody has set anything: every key once, each below what it means.
const TEMPLATE: &str = include_str!("delivery.env");

/// Values by key; what is empty is not set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Delivery(BTreeMap<String, String>);

/// The file of this checkout, and what main at the origin has, as far as this clone knows it.
#[derive(Debug)]
pub(super) struct DeliveryFile {
    pub(super) values: Delivery,
    pub(super) main: Option<Delivery>,
}

impl DeliveryFile {
    /// Nothing is set where there is no such file.
    pub(super) fn read(project: &Project) -> anyhow::Result<Self> {
        let values = match std::fs::read_to_string(project.root().join(FILE)) {
            Ok(text) => Delivery::parse(&text)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Delivery::default(),
            Err(error) => return Err(error).with_context(|| format!("cannot read {FILE}")),
        };
        let mut ask = git(project.root());
        let main = match process::output(ask.args(["cat-file", "blob", &format!("{MAIN}:{FILE}")])) {
            Ok(text) => Some(Delivery::parse(&text).unwrap_or_default()),
            // There is no such file yet.
            Err(_)
                if process::output(git(project.root()).args(["rev-parse", "--verify", "--quiet", MAIN]))
                    .is_ok() =>
            {
                Some(Delivery::default())
            }
            Err(_) => None,
        };
        Ok(Self { values, main })
    }
}

impl Delivery {
    /// As the gate reads it, but for the values, whose meaning it judges.
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let mut found = Self::default();
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !is_comment(line)) {
            let Some((key, value)) = line.split_once('=').filter(|(key, _)| keys().any(|one| one == *key))
            else {
                bail!(
                    "{FILE}, line {number}: neither a comment nor one of {}",
                    keys().collect::<Vec<_>>().join(", ")
                );
            };
            ensure!(!found.0.contains_key(key), "{FILE}, line {number}: {key} is there already");
            found.0.insert(key.to_owned(), value.to_owned());
        }
        Ok(found)
    }

    pub(super) fn get(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }

    /// With values in the place of those that were there.
    pub(super) fn with(mut self, values: &[(&'static str, String)]) -> Self {
        self.0.extend(values.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        self
    }

    /// Has the file of the checkout say something, as it should where it does not say it yet.
    pub(super) fn command(&self, key: &str, value: &str) -> String {
        if self.0.contains_key(key) {
            // GNU's sed and BSD's have this in common.
            format!("sed -i.old {} {FILE} && rm {FILE}.old", quoted(&format!("s|^{key}=.*|{key}={value}|")))
        } else {
            format!("echo {} >> {FILE}", quoted(&format!("{key}={value}")))
        }
    }

    /// As the file holds it, with what each key means.
    pub(super) fn text(&self) -> anyhow::Result<String> {
        let mut text = String::new();
        for line in TEMPLATE.lines() {
            match line.split_once('=').filter(|_| !is_comment(line)) {
                Some((key, usual)) => {
                    let value = self.0.get(key).map_or(usual, String::as_str);
                    // The gate refuses what a shell or GitHub would read in another way, and more.
                    let is_harmless = |c: char| c.is_ascii_alphanumeric() || " +=,.@_/:-".contains(c);
                    ensure!(
                        value.chars().all(is_harmless) && value.trim() == value,
                        "{key} can't be {value:?}: it takes letters, digits and some signs of ASCII"
                    );
                    let _ = writeln!(text, "{key}={value}");
                }
                None => {
                    let _ = writeln!(text, "{line}");
                }
            }
        }
        Ok(text)
    }
}

fn is_comment(line: &str) -> bool {
    line.is_empty() || line.starts_with('#')
}

/// All that the file may set.
pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    TEMPLATE.lines().filter(|line| !is_comment(line)).filter_map(|line| Some(line.split_once('=')?.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_what_nobody_decides_stays() {
        let there = Delivery::parse("# of ours\nKUBERNETES_NAMESPACE=site\nDEPLOY=none\n").unwrap();
        let text = there.with(&[("DEPLOY", "kubernetes".to_owned())]).text().unwrap();
        let read = Delivery::parse(&text).unwrap();
        assert_eq!((read.get("DEPLOY"), read.get("KUBERNETES_NAMESPACE")), ("kubernetes", "site"));
        assert_eq!((read.get("ATTESTATIONS"), read.get("EKS_CLUSTER")), ("on", ""));
        assert_eq!(read.text().unwrap(), text);
        assert_eq!(Delivery::default().text().unwrap(), TEMPLATE);
    }

    #[test]
    fn what_the_gate_would_not_take_is_not_written() {
        for (key, value) in
            [("ENVIRONMENT", "größe"), ("ENVIRONMENT", "a\nDEPLOY=none"), ("EKS_CLUSTER", "$(id)")]
        {
            let error = Delivery::default().with(&[(key, value.to_owned())]).text().unwrap_err();
            assert!(error.to_string().starts_with(&format!("{key} can't be")), "{error}");
        }
        for (text, message) in [
            ("ATTESTATION=off\n", "line 1: neither a comment nor one of REPOSITORY, AWS_REGION"),
            ("\nDEPLOY=none\nDEPLOY=gitops\n", "line 3: DEPLOY is there already"),
        ] {
            let error = Delivery::parse(text).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
