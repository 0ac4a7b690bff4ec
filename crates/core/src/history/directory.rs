//! A directory's file names → which files make up which migration.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::file_name::FileName;
use crate::script_problem::ScriptProblem;
use crate::version::{Direction, Version};

/// The migrations of a directory, and what is wrong with the rest of it.
/// Where the directory can't be read at all.
pub(super) fn list(directory: &Path) -> Result<(BTreeMap<Version, Pair>, Vec<ScriptProblem>), ScriptProblem> {
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

/// Which files make up which migration, and what is wrong with the rest.
pub fn pair_up(directory: &Path, names: &[String]) -> (BTreeMap<Version, Pair>, Vec<ScriptProblem>) {
    let mut problems = Vec::new();
    let mut downs: BTreeMap<Version, (String, PathBuf)> = BTreeMap::new();
    let mut ups: BTreeMap<Version, (Pair, bool)> = BTreeMap::new();
    for name in names {
        let path = directory.join(name);
        let parsed = match FileName::parse(name) {
            None => continue,
            Some(Err(problem)) => {
                problems.push(ScriptProblem::file(&path, problem));
                continue;
            }
            Some(Ok(parsed)) => parsed,
        };
        let earlier = match parsed.direction {
            Direction::Up => ups.get(&parsed.version).map(|(pair, _)| pair.up.clone()),
            Direction::Down => downs.get(&parsed.version).map(|(_, path)| path.clone()),
        };
        if let Some(earlier) = earlier {
            let problem = format!("has the version of {}; give one of them another", file_name(&earlier));
            problems.push(ScriptProblem::file(&path, problem));
            continue;
        }
        match parsed.direction {
            Direction::Up => {
                let pair = Pair { description: parsed.description, up: path, down: None };
                ups.insert(parsed.version, (pair, parsed.reversible));
            }
            Direction::Down => {
                downs.insert(parsed.version, (parsed.description, path));
            }
        }
    }
    for (version, (description, path)) in downs {
        match ups.get_mut(&version) {
            Some((pair, true)) if pair.description == description => pair.down = Some(path),
            Some((pair, reversible)) => {
                let why = if *reversible { "another description than" } else { "beside it the up-only" };
                problems.push(ScriptProblem::file(&path, format!("has {why} {}", file_name(&pair.up))));
            }
            None => problems.push(ScriptProblem::file(&path, "has no up script beside it")),
        }
    }
    let pairs = ups.into_iter().map(|(version, (pair, _))| (version, pair)).collect();
    (pairs, problems)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs() {
        let problems = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            let (_, problems) = pair_up(Path::new("m"), &names);
            problems.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert!(problems(&["1_a.up.sql", "1_a.down.sql", "2_b.sql", "notes.txt"]).is_empty());
        for (names, expected) in [
            (
                &["1_a.up.sql", "1_b.up.sql"][..],
                "m/1_b.up.sql has the version of 1_a.up.sql; give one of them another",
            ),
            (
                &["01_a.sql", "1_a.up.sql"],
                "m/1_a.up.sql has the version of 01_a.sql; give one of them another",
            ),
            (&["1_a.down.sql"], "m/1_a.down.sql has no up script beside it"),
            (&["1_a.down.sql", "1_b.up.sql"], "m/1_a.down.sql has another description than 1_b.up.sql"),
            (&["1_a.down.sql", "1_a.sql"], "m/1_a.down.sql has beside it the up-only 1_a.sql"),
        ] {
            assert_eq!(problems(names), [expected], "{names:?}");
        }
    }
}
