//! The crates that the job is built from: as cargo selects them, with their features, for the platforms of an image.

use std::collections::BTreeSet;

use anyhow::{Context, bail};

use super::Sealed;
use super::lock::Locked;
use crate::binary::JOB;
use workspace::process;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Everything that has a hand in the build: build scripts and macros too.
    Built,
    /// What the binary is made of.
    Linked,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Crate {
    pub name: String,
    pub version: String,
    /// An SPDX expression.
    pub licence: Option<String>,
    pub features: String,
}

/// Crates, and which of them needs which.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Closure {
    pub crates: BTreeSet<Crate>,
    /// By name and version.
    pub needs: BTreeSet<[(String, String); 2]>,
}

impl Sealed {
    /// What cargo builds the job from for these targets.
    pub fn closure(&self, which: Which, targets: &[String]) -> anyhow::Result<Closure> {
        let edges = match which {
            Which::Built => "normal,build",
            Which::Linked => "normal,no-proc-macro",
        };
        let mut command = self.cargo("tree")?;
        command.args(["--quiet", "--package", JOB, "--edges", edges, "--no-dedupe", "--charset", "ascii"]);
        command.args(["--prefix", "depth", "--format", "|{p}|{l}|{f}"]);
        targets.iter().for_each(|target| {
            command.args(["--target", target]);
        });
        let printed =
            process::output(&mut command).context("cargo does not tell what the job is built from")?;
        parse(&printed)
    }

    pub fn locked(&self, name: &str, version: &str) -> anyhow::Result<&Locked> {
        self.tree
            .lock
            .find(name, version)
            .with_context(|| format!("Cargo.lock does not hold {name} {version}"))
    }
}

/// Lines such as `2|serde v1.0.229 (proc-macro)|MIT OR Apache-2.0|default,std`, children below their parent.
fn parse(printed: &str) -> anyhow::Result<Closure> {
    let mut closure = Closure::default();
    let mut above: Vec<(String, String)> = Vec::new();
    for line in printed.lines().filter(|line| !line.is_empty()) {
        let odd = || format!("cargo tree printed {line:?}, which is not understood");
        let [depth, package, licence, features] = line.split('|').collect::<Vec<_>>()[..] else {
            bail!(odd())
        };
        let depth: usize = depth.parse().with_context(odd)?;
        let mut words = package.split(' ');
        let (Some(name), Some(version)) =
            (words.next(), words.next().and_then(|word| word.strip_prefix('v')))
        else {
            bail!(odd())
        };
        let key = (name.to_owned(), version.to_owned());
        above.truncate(depth);
        if let Some(parent) = above.last() {
            closure.needs.insert([parent.clone(), key.clone()]);
        }
        above.push(key);
        closure.crates.insert(Crate {
            name: name.to_owned(),
            version: version.to_owned(),
            licence: Some(licence.to_owned()).filter(|licence| !licence.is_empty()),
            features: features.to_owned(),
        });
    }
    Ok(closure)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use workspace::cargo;
    use workspace::project::Project;

    /// What cargo compiles of the real workspace is the oracle: the job and its libraries for the target, as it says itself.
    #[test]
    fn what_is_linked_is_what_cargo_compiles_for_the_target() {
        let project = Project::find().unwrap();
        let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        let mut check = cargo::command(&project);
        check.args([
            "check",
            "--quiet",
            "--locked",
            "--message-format",
            "json",
            "--package",
            JOB,
            "--bin",
            JOB,
        ]);
        check.args(["--target", &target]);
        let printed = process::output(&mut check).unwrap();
        let compiled: BTreeSet<String> = printed
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter(|message| message["reason"] == "compiler-artifact" && is_linked_for(message, &target))
            .map(|message| name_and_version(message["package_id"].as_str().unwrap()))
            .collect();
        let closure = Sealed::of(&project).unwrap().closure(Which::Linked, &[target]).unwrap();
        let linked: BTreeSet<String> =
            closure.crates.iter().map(|one| format!("{} {}", one.name, one.version)).collect();
        assert!(compiled.len() > 50, "{compiled:?}");
        assert_eq!(linked, compiled);
    }

    /// Of `registry+https://…#serde@1.0.0`, or of `path+file:///…/crates/name#0.0.0`.
    fn name_and_version(id: &str) -> String {
        let (place, package) = id.rsplit_once('#').unwrap();
        let (name, version) =
            package.split_once('@').unwrap_or_else(|| (place.rsplit('/').next().unwrap(), package));
        format!("{name} {version}")
    }

    fn is_linked_for(message: &Value, target: &str) -> bool {
        let words = |value: &Value| {
            value.as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect()
        };
        let (kinds, files): (Vec<String>, Vec<String>) =
            (words(&message["target"]["kind"]), words(&message["filenames"]));
        kinds.iter().any(|kind| kind.contains("lib") || kind == "bin")
            && files.iter().any(|file| file.contains(&format!("/{target}/")))
    }

    #[test]
    fn the_tree_is_read() {
        let printed = "0|job v0.0.0 (/a)|MIT|\n1|a v1.0.0|MIT/Apache-2.0|std\n2|b v2.0.0 (proc-macro)||\n1|b v2.0.0||x\n";
        let closure = parse(printed).unwrap();
        let names: Vec<_> = closure
            .crates
            .iter()
            .map(|one| format!("{} {} {}", one.name, one.version, one.features))
            .collect();
        assert_eq!(names, ["a 1.0.0 std", "b 2.0.0 ", "b 2.0.0 x", "job 0.0.0 "]);
        let needs: Vec<_> = closure.needs.iter().map(|[from, to]| format!("{} {}", from.0, to.0)).collect();
        assert_eq!(needs, ["a b", "job a", "job b"]);
        assert!(parse("nonsense").is_err());
    }
}
