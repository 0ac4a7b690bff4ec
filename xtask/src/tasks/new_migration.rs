//! `cargo xtask new-migration`: a pair of scripts with the right names and a word on what goes in.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};

use migration_core::file_name::FileName;
use workspace::project::Project;
use workspace::ui;

/// Write the scripts of a new migration
///
/// Names them after the time (UTC) and the description, never overwrites, and prints their paths on stdout.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask new-migration \"add contact city\"
  cargo xtask new-migration --no-transaction \"index contacts email\"
  $EDITOR $(cargo xtask new-migration \"add contact city\")

Reads no environment variables.")]
pub struct Arguments {
    /// What the migration does, in a few words: letters, digits, spaces, `-` and `_`
    description: String,
    /// For statements that PostgreSQL refuses inside a transaction, such as CREATE INDEX CONCURRENTLY
    #[arg(long)]
    no_transaction: bool,
    /// A migration that can't be reverted: one script, no down script
    #[arg(long)]
    up_only: bool,
}

pub(crate) fn run(arguments: &Arguments, project: &Project) -> anyhow::Result<()> {
    let directory = project.migrations();
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let names = file_names(&directory)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?.as_secs();
    let description = snake_case(&arguments.description)?;
    if let Some(same) = names.iter().find(|name| is_described(name, &description)) {
        bail!("{same} has the same description; revisions are also named by it, so choose another one");
    }
    let stem = format!("{}_{description}", next_version(&names, now));
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

/// The time, or what follows the newest script when a clock elsewhere was ahead of ours.
fn next_version(names: &[String], now: u64) -> i64 {
    let versions = names.iter().filter_map(|name| Some(FileName::parse(name).ok()?.version.0));
    let newest = versions.max().unwrap_or(0);
    let mut seconds = now;
    while timestamp(seconds) <= newest && seconds < now + 86_400 {
        seconds += 1;
    }
    timestamp(seconds).max(newest + 1)
}

/// Seconds since 1970 as the number YYYYMMDDHHMMSS in UTC.
fn timestamp(seconds: u64) -> i64 {
    let date = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string();
    date.bytes().filter(u8::is_ascii_digit).fold(0, |number, digit| number * 10 + i64::from(digit - b'0'))
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
    fn versions_are_utc_timestamps() {
        for (seconds, version) in [
            (0, 19_700_101_000_000),
            (951_782_399, 20_000_228_235_959),
            (951_782_400, 20_000_229_000_000),
            (1_709_210_096, 20_240_229_123_456),
            (1_798_761_599, 20_261_231_235_959),
            (4_107_542_400, 21_000_301_000_000),
        ] {
            assert_eq!(timestamp(seconds), version);
        }
    }

    #[test]
    fn a_version_is_above_every_other() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        for (existing, version) in [
            (names(&[]), 20_240_229_123_456),
            (names(&["20240101000000_a.up.sql", "99999999999999.txt", "x_y.sql"]), 20_240_229_123_456),
            (names(&["20240229123456_a.up.sql"]), 20_240_229_123_457),
            (names(&["20240229123459_a.sql"]), 20_240_229_123_500),
            (names(&["20300101000000_a.up.sql"]), 20_300_101_000_001),
        ] {
            assert_eq!(next_version(&existing, 1_709_210_096), version, "{existing:?}");
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
