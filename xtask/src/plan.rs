//! What a release would do to a database that has the last one, told from the scripts alone, without a database.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, bail};

use migration_core::Version;
use migration_core::history::{Found, Pair, pair_up};
use migration_core::script_problem::UnusableScripts;
use verdict::migrations;
use workspace::changelog;
use workspace::git::git;
use workspace::github::cell;
use workspace::process;
use workspace::project::Project;

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Scripts {
    description: String,
    /// The text of what is applied.
    up: String,
    has_down: bool,
}

/// All of a tree, by version.
pub(crate) type History = BTreeMap<Version, Scripts>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) heading: String,
    steps: Vec<PlannedScript>,
    /// What a reader must not overlook.
    warnings: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct PlannedScript {
    version: Version,
    description: String,
    notes: Vec<&'static str>,
}

/// The scripts of the checkout, or of a commit. What the job would refuse, it refuses.
pub(crate) fn read(project: &Project, commit: Option<&str>) -> anyhow::Result<History> {
    let ask = |words: &[&str]| process::output(git(project.root()).args(words));
    let paths = match commit {
        Some(commit) => ask(&["ls-tree", "-z", "--name-only", commit, "--", "migrations/"])?,
        None => ask(&["ls-files", "-z", "--", "migrations/"])?,
    };
    history(paths.split_terminator('\0'), |path| match commit {
        Some(commit) => ask(&["show", &format!("{commit}:{path}")]),
        None => {
            std::fs::read_to_string(project.root().join(path)).with_context(|| format!("cannot read {path}"))
        }
    })
}

/// The job reads no directories below.
fn history<'a>(
    paths: impl Iterator<Item = &'a str>,
    text: impl Fn(&str) -> anyhow::Result<String>,
) -> anyhow::Result<History> {
    let names = paths.filter_map(|path| path.strip_prefix("migrations/")).filter(|name| !name.contains('/'));
    let names: Vec<_> = names.map(str::to_owned).collect();
    let Found { pairs, problems, .. } = pair_up(Path::new("migrations"), &names);
    if !problems.is_empty() {
        return Err(UnusableScripts(problems).into());
    }
    let scripts = |(version, pair): (Version, Pair)| {
        let up = text(&pair.up.to_string_lossy())?;
        Ok((version, Scripts { description: pair.description, up, has_down: pair.down.is_some() }))
    };
    pairs.into_iter().map(scripts).collect()
}

/// The tag of the release before a commit, among those it grew from.
pub(crate) fn last_release(project: &Project, but: Option<&str>) -> anyhow::Result<Option<String>> {
    let mut git = git(project.root());
    git.args(["tag", "--list", "v*", "--merged", "HEAD"]);
    let tags = process::output(&mut git).context("git does not list the releases")?;
    Ok(newest(tags.lines().filter(|tag| Some(*tag) != but)).map(str::to_owned))
}

/// Others may have tags that begin with a v, too.
fn newest<'a>(tags: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let releases = tags.filter_map(|tag| Some((changelog::Version::parse(tag).ok()?.rank(), tag)));
    releases.max_by(|(a, _), (b, _)| a.cmp(b)).map(|(_, tag)| tag)
}

/// What is new since the last release; all of it where there was none.
pub(crate) fn since(last: Option<(&str, &History)>, now: &History) -> Plan {
    let empty = History::new();
    let (tag, before) = last.unwrap_or(("", &empty));
    let newest = before.keys().next_back();
    let mut warnings = Vec::new();
    for (version, scripts) in before {
        match now.get(version) {
            None => warnings.push(format!("{version} ({}) is gone since {tag}", scripts.description)),
            Some(own) if own.up != scripts.up => {
                warnings.push(format!(
                    "{version} ({}) was edited since {tag}; a run refuses it",
                    own.description
                ));
            }
            Some(_) => {}
        }
    }
    let steps: Vec<_> = now
        .iter()
        .filter(|(version, _)| !before.contains_key(version))
        .map(|(version, scripts)| {
            let mut step = PlannedScript::up(*version, scripts);
            if newest.is_some_and(|newest| version < newest) {
                step.notes.push("older than what was released: out of order");
            }
            step
        })
        .collect();
    let count = steps.len();
    let heading = match (tag, count) {
        ("", _) => format!("the first release: {}", migrations(count)),
        (tag, 0) => format!("no migration since {tag}"),
        (tag, _) => format!("{} since {tag}", migrations(count)),
    };
    Plan { heading, steps, warnings }
}

/// What a downgrade to a revision reverts. Only what means the same whenever it is run: a version, or `base`.
pub(crate) fn down_to(revision: &str, now: &History) -> anyhow::Result<Plan> {
    let above = match revision {
        "base" => None,
        text => {
            let version = text.parse().ok().map(Version).filter(|version| now.contains_key(version));
            version
                .map(Some)
                .with_context(|| format!("{text:?} is neither `base` nor a version of this release"))?
        }
    };
    let steps: Vec<_> = now.iter().rev().filter(|(version, _)| Some(**version) > above).collect();
    let stuck: Vec<_> = steps.iter().filter(|(_, scripts)| !scripts.has_down).collect();
    if let Some((version, scripts)) = stuck.first() {
        bail!("{version} ({}) has no script that reverts it", scripts.description);
    }
    Ok(Plan {
        heading: format!("{} to revert, as far as they are applied", migrations(steps.len())),
        steps: steps.into_iter().map(|(version, scripts)| PlannedScript::of(*version, scripts)).collect(),
        warnings: Vec::new(),
    })
}

impl PlannedScript {
    fn of(version: Version, scripts: &Scripts) -> Self {
        Self { version, description: scripts.description.clone(), notes: Vec::new() }
    }

    fn up(version: Version, scripts: &Scripts) -> Self {
        let mut step = Self::of(version, scripts);
        if scripts.up.starts_with("-- no-transaction") {
            step.notes.push("without a transaction");
        }
        if !scripts.has_down {
            step.notes.push("no way back");
        }
        step
    }
}

impl Plan {
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        for warning in &self.warnings {
            let _ = writeln!(text, "> [!WARNING]\n> {}\n", cell(warning));
        }
        if !self.steps.is_empty() {
            text.push_str("| version | migration | note |\n|---|---|---|\n");
        }
        for PlannedScript { version, description, notes } in &self.steps {
            let _ = writeln!(text, "| `{version}` | {} | {} |", cell(description), notes.join(", "));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(files: &[(&str, &str)]) -> History {
        try_history(files).unwrap()
    }

    fn try_history(files: &[(&str, &str)]) -> anyhow::Result<History> {
        let text =
            |path: &str| files.iter().find(|(known, _)| *known == path).map(|(_, text)| (*text).to_owned());
        super::history(files.iter().map(|(path, _)| *path), |path| text(path).context("no text"))
    }

    const BEFORE: &[(&str, &str)] = &[
        ("migrations/2_add_a.up.sql", "SELECT 2;"),
        ("migrations/2_add_a.down.sql", "SELECT -2;"),
        ("migrations/4_drop_b.sql", "SELECT 4;"),
        ("migrations/README.md", ""),
    ];

    #[test]
    fn the_last_release_is_the_newest_version() {
        for (tags, expected) in [
            (&["v1.2.3", "v1.2.3-rc.1", "vendor-2020", "v9"][..], Some("v1.2.3")),
            (&["v1.9.0", "v1.10.0-rc.1"], Some("v1.10.0-rc.1")),
            (&["vendor-2020"], None),
        ] {
            assert_eq!(newest(tags.iter().copied()), expected, "{tags:?}");
        }
    }

    /// It approved names and doubles that the job refuses.
    #[test]
    fn the_scripts_are_those_that_the_job_would_take() {
        for (path, expected) in [
            ("migrations/1_a.sql", 1),
            ("migrations/1_größe.up.sql", 1),
            ("migrations/old/1_a.sql", 0),
            ("migrations/README.md", 0),
            ("migrations/schema.sql", 0),
        ] {
            assert_eq!(history(&[(path, "")]).len(), expected, "{path}");
        }
        for (paths, problem) in [
            (&["migrations/+1_x.up.sql"][..], "migrations/+1_x.up.sql is not named <version>_<description>"),
            (&["migrations/2_y.UP.SQL"], "migrations/2_y.UP.SQL has its ending in capitals"),
            (
                &["migrations/1_a.sql", "migrations/01_b.sql"],
                "migrations/01_b.sql has the version of 1_a.sql",
            ),
        ] {
            let files: Vec<_> = paths.iter().map(|path| (*path, "")).collect();
            let error = try_history(&files).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn a_release_is_what_is_new_in_it() {
        let before = history(BEFORE);
        let now = history(&[
            ("migrations/2_add_a.up.sql", "SELECT 'edited';"),
            ("migrations/3_late.sql", "SELECT 3;"),
            ("migrations/5_index.up.sql", "-- no-transaction\nSELECT 5;"),
            ("migrations/5_index.down.sql", "SELECT -5;"),
        ]);
        let plan = since(Some(("v1.0.0", &before)), &now);
        assert_eq!(plan.heading, "2 migrations since v1.0.0");
        assert_eq!(
            plan.markdown(),
            "> [!WARNING]\n> 2 (add a) was edited since v1.0.0; a run refuses it\n\n\
             > [!WARNING]\n> 4 (drop b) is gone since v1.0.0\n\n\
             | version | migration | note |\n|---|---|---|\n\
             | `3` | late | no way back, older than what was released: out of order |\n\
             | `5` | index | without a transaction |\n"
        );
        assert_eq!(since(Some(("v1.0.0", &before)), &before).heading, "no migration since v1.0.0");
        assert_eq!(since(None, &before).heading, "the first release: 2 migrations");
    }

    #[test]
    fn the_way_back_is_known_or_refused() {
        let now = history(&[BEFORE, &[("migrations/4_drop_b.down.sql", "SELECT -4;")]].concat());
        let plan = down_to("base", &now).unwrap();
        assert_eq!(plan.steps.iter().map(|step| step.version.0).collect::<Vec<_>>(), [4, 2]);
        assert_eq!(down_to("2", &now).unwrap().steps.len(), 1);
        for (revision, now, message) in [
            ("-1", &now, "\"-1\" is neither `base` nor a version of this release"),
            ("3", &now, "\"3\" is neither `base` nor a version of this release"),
            ("2", &history(BEFORE), "4 (drop b) has no script that reverts it"),
        ] {
            assert_eq!(down_to(revision, now).unwrap_err().to_string(), message);
        }
    }
}
