//! `cargo xtask new-migration`: a pair of scripts with the right names and a word on what goes in.

use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};

use migration_core::file_name::FileName;
use workspace::git::git;
use workspace::project::Project;
use workspace::{process, ui};

use crate::{order, version};

/// Write the scripts of a new migration
///
/// Names them after the time (UTC) and the description, never overwrites, and prints their paths on stdout.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask new-migration \"add contact city\"
  cargo xtask new-migration --no-transaction \"index contacts email\"
  $EDITOR $(cargo xtask new-migration \"add contact city\")
  cargo xtask new-migration --renumber

The base branch is origin/main, or that of the environment variable GITHUB_BASE_REF.")]
pub struct Arguments {
    /// What the migration does, in a few words: letters, digits, spaces, `-` and `_`
    #[arg(value_parser = snake_case, required_unless_present = "renumber")]
    description: Option<String>,
    /// For statements that PostgreSQL refuses inside a transaction, such as CREATE INDEX CONCURRENTLY
    #[arg(long)]
    no_transaction: bool,
    /// A migration that can't be reverted: one script, no down script
    #[arg(long)]
    up_only: bool,
    /// Rename the new scripts that sort before one on the base branch, as after a rebase
    #[arg(long, conflicts_with_all = ["description", "no_transaction", "up_only"])]
    renumber: bool,
}

pub(crate) fn run(arguments: &Arguments, project: &Project) -> anyhow::Result<()> {
    let directory = project.migrations();
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?.as_secs();
    let Some(description) = &arguments.description else { return renumber(project, now) };
    let names = file_names(&directory)?;
    if let Some(same) = names.iter().find(|name| is_described(name, description)) {
        bail!("{same} has the same description; revisions are also named by it, so choose another one");
    }
    let stem = format!(
        "{}_{description}",
        version::next(names.iter().filter_map(|name| version::of(name)).max().unwrap_or(0), now)
    );
    let scripts = if arguments.up_only {
        vec![(format!("{stem}.sql"), template(Direction::UpOnly, arguments.no_transaction))]
    } else {
        vec![
            (format!("{stem}.up.sql"), template(Direction::Up, arguments.no_transaction)),
            (format!("{stem}.down.sql"), template(Direction::Down, arguments.no_transaction)),
        ]
    };
    for (name, text) in scripts {
        let path = directory.join(name);
        write_new(&path, &text).with_context(|| format!("cannot write {}", path.display()))?;
        ui::result(&from_here(&path).display().to_string());
    }
    Ok(())
}

fn renumber(project: &Project, now: u64) -> anyhow::Result<()> {
    let misplaced = order::misplaced(project.root(), now)?;
    if misplaced.is_empty() {
        ui::done("Unchanged", "every new migration sorts after those of the base branch");
        return Ok(());
    }
    for one in misplaced {
        let to = project.root().join(&one.to);
        if to.exists() {
            bail!("{} exists already", one.to);
        }
        let renamed = if one.is_tracked {
            process::output(git(project.root()).args(["mv", "--", &one.path, &one.to])).map(drop)
        } else {
            std::fs::rename(project.root().join(&one.path), &to).map_err(Into::into)
        };
        renamed.with_context(|| format!("cannot rename {}", one.path))?;
        ui::note("Renamed", format!("{}: it {}", one.path, one.why));
        ui::result(&from_here(&to).display().to_string());
    }
    ui::note("Next", "a database that has one of them under its old version: `cargo xtask database reset`");
    Ok(())
}

/// A path as one would type it here.
fn from_here(path: &Path) -> &Path {
    std::env::current_dir().ok().and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path)
}

fn file_names(directory: &Path) -> anyhow::Result<Vec<String>> {
    std::fs::read_dir(directory)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("cannot list {}", directory.display()))
        .map(|entries| entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}

fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}

fn is_described(name: &str, description: &str) -> bool {
    FileName::parse(name).is_ok_and(|parsed| parsed.description == description.replace('_', " "))
}

fn snake_case(description: &str) -> anyhow::Result<String> {
    if let Some(bad) = description.chars().find(|c| !(c.is_ascii_alphanumeric() || " -_".contains(*c))) {
        bail!(
            "the description holds {bad:?}, which does not belong in a file name; use letters, digits, spaces, - and _"
        );
    }
    let words: Vec<_> =
        description.split([' ', '-', '_']).filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
    if !words.iter().any(|word| word.contains(|c: char| c.is_ascii_alphabetic())) {
        bail!("the description holds no word; say what the migration does, for example \"add contact city\"");
    }
    let name = words.join("_");
    if name.len() > 100 {
        bail!(
            "the description is {} characters long; say it in at most 100 and leave the rest to a comment",
            name.len()
        );
    }
    Ok(name)
}

enum Direction {
    Up,
    Down,
    UpOnly,
}

fn template(direction: Direction, no_transaction: bool) -> String {
    let mut text = String::new();
    if no_transaction {
        text += "-- no-transaction\n\
                 -- Statements run one by one, each on its own: keep to one, and let it say IF [NOT] EXISTS, so that a\n\
                 -- script that stopped in the middle can run again.\n";
    } else {
        text +=
            "-- Runs in a transaction of its own: all of it happens, or nothing. Write no BEGIN or COMMIT.\n";
    }
    text += match direction {
        Direction::Up => {
            "-- Write here what takes the schema one step forward; its inverse belongs in the .down.sql beside it.\n"
        }
        Direction::Down => "-- Write here the inverse of the .up.sql beside it, last statement first.\n",
        Direction::UpOnly => {
            "-- Write here what takes the schema one step forward. It has no inverse: no downgrade goes below it.\n"
        }
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_become_file_names() {
        for (description, name) in [
            ("add contact city", "add_contact_city"),
            ("  Add--Contact _city ", "add_contact_city"),
            ("v2 of metrics", "v2_of_metrics"),
        ] {
            assert_eq!(snake_case(description).unwrap(), name);
        }
        for (description, part) in [
            ("", "holds no word"),
            (" - ", "holds no word"),
            ("42", "holds no word"),
            ("a/b", "holds '/'"),
            ("..", "holds '.'"),
            ("größe", "holds 'ö'"),
            (&"long ".repeat(30), "149 characters long"),
        ] {
            let message = snake_case(description).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn descriptions_are_read_back() {
        for (name, description) in [("1_a.up.sql", "a"), ("1_a_b.down.sql", "a_b"), ("1_a.sql", "a")] {
            assert!(is_described(name, description), "{name}");
        }
        assert!(!is_described("a.sql", "a") && !is_described("1_a.txt", "a"));
    }
}
