//! A directory's file names → which files make up which migration.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::file_name::{FileName, NotAMigration};
use crate::script_problem::ScriptProblem;
use crate::version::{Direction, Version};

/// What a directory holds; an error if it can't be read at all.
pub(super) fn list(directory: &Path) -> Result<Found, ScriptProblem> {
    let names =
        file_names(directory).map_err(|error| ScriptProblem::file(directory, directory_problem(&error)))?;
    Ok(pair_up(directory, &names))
}

fn file_names(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        // Kubernetes mounts a ConfigMap's files as links. One that leads nowhere is a script that can't be read.
        let leads_to_a_file = || fs::metadata(entry.path()).map_or(true, |target| target.is_file());
        if kind.is_file() || (kind.is_symlink() && leads_to_a_file()) {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn directory_problem(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "is not there; set MIGRATIONS_DIR to the directory that holds the migrations".to_owned()
        }
        io::ErrorKind::NotADirectory => "is not a directory".to_owned(),
        _ => unreadable(error),
    }
}

pub(super) fn unreadable(error: &io::Error) -> String {
    format!("can't be read: {error}")
}

/// The paths of one migration.
#[derive(Debug)]
pub struct Pair {
    /// What its files are named.
    pub description: String,
    /// The up script.
    pub up: PathBuf,
    /// The down script, unless it is up-only.
    pub down: Option<PathBuf>,
}

/// The files of a directory, put together.
#[derive(Debug, Default)]
pub struct Found {
    /// Which files make up which migration.
    pub pairs: BTreeMap<Version, Pair>,
    /// What has to be changed before any of them can be used.
    pub problems: Vec<ScriptProblem>,
    /// What sqlx passes over, and a reader had better know of.
    pub warnings: Vec<ScriptProblem>,
}

/// Which files make up which migration, and what is wrong with the rest.
pub fn pair_up(directory: &Path, names: &[String]) -> Found {
    let mut found = Found::default();
    let mut downs: BTreeMap<Version, (String, PathBuf)> = BTreeMap::new();
    let mut up_only = BTreeSet::new();
    for name in names {
        let path = directory.join(name);
        let parsed = match FileName::parse(name) {
            Ok(parsed) => parsed,
            Err(NotAMigration::NotSql) => continue,
            Err(NotAMigration::NoVersion) => {
                let problem = "is ignored: its name does not begin with a version";
                found.warnings.push(ScriptProblem::file(&path, problem));
                continue;
            }
            Err(NotAMigration::Wrong(problem)) => {
                found.problems.push(ScriptProblem::file(&path, problem));
                continue;
            }
        };
        let earlier = match parsed.direction {
            Direction::Up => found.pairs.get(&parsed.version).map(|pair| &pair.up),
            Direction::Down => downs.get(&parsed.version).map(|(_, path)| path),
        };
        if let Some(earlier) = earlier {
            let problem = format!("has the version of {}; give one of them another", file_name(earlier));
            found.problems.push(ScriptProblem::file(&path, problem));
            continue;
        }
        if parsed.direction == Direction::Down {
            downs.insert(parsed.version, (parsed.description, path));
            continue;
        }
        if !parsed.reversible {
            up_only.insert(parsed.version);
        }
        found.pairs.insert(parsed.version, Pair { description: parsed.description, up: path, down: None });
    }
    for (version, (description, path)) in downs {
        let Some(pair) = found.pairs.get_mut(&version) else {
            found.warnings.push(ScriptProblem::file(&path, "is ignored: it has no up script beside it"));
            continue;
        };
        let up = file_name(&pair.up);
        if pair.description != description {
            let problem = format!("is used for {up}, which has another description");
            found.warnings.push(ScriptProblem::file(&path, problem));
        } else if up_only.contains(&version) {
            let problem = format!("is used for {up}, whose name says that it has no way back");
            found.warnings.push(ScriptProblem::file(&path, problem));
        }
        pair.down = Some(path);
    }
    found
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs() {
        let told = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            let Found { problems, warnings, .. } = pair_up(Path::new("m"), &names);
            let texts = |all: Vec<ScriptProblem>| all.iter().map(ToString::to_string).collect::<Vec<_>>();
            (texts(problems), texts(warnings))
        };
        assert_eq!(told(&["1_a.up.sql", "1_a.down.sql", "2_b.sql", "notes.txt"]), (vec![], vec![]));
        for (names, expected) in [
            (
                &["1_a.up.sql", "1_b.up.sql"][..],
                "m/1_b.up.sql has the version of 1_a.up.sql; give one of them another",
            ),
            (
                &["01_a.sql", "1_a.up.sql"],
                "m/1_a.up.sql has the version of 01_a.sql; give one of them another",
            ),
        ] {
            assert_eq!(told(names), (vec![expected.to_owned()], vec![]), "{names:?}");
        }
        // As sqlx does, which asks for a version alone.
        for (names, expected) in [
            (&["1_a.down.sql"][..], "m/1_a.down.sql is ignored: it has no up script beside it"),
            (&["schema.sql"], "m/schema.sql is ignored: its name does not begin with a version"),
            (
                &["1_a.down.sql", "1_b.up.sql"],
                "m/1_a.down.sql is used for 1_b.up.sql, which has another description",
            ),
            (
                &["1_a.down.sql", "1_a.sql"],
                "m/1_a.down.sql is used for 1_a.sql, whose name says that it has no way back",
            ),
        ] {
            assert_eq!(told(names), (vec![], vec![expected.to_owned()]), "{names:?}");
        }
    }
}
