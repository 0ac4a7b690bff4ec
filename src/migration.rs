//! The scripts on disk, read into a [`History`].
//!
//! File names and checksums are sqlx's, so that sqlx-cli and an application's own
//! `sqlx::migrate!` see the same migrations:
//! <https://docs.rs/sqlx/0.9.0/sqlx/migrate/trait.MigrationSource.html>.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha384};

use crate::error::{Error, ScriptProblem};

/// The first line that takes a script out of its transaction. As in sqlx, whatever follows it
/// on the line is comment.
const NO_TRANSACTION: &str = "-- no-transaction";

/// A migration's number: by convention the UTC time of its making as `YYYYMMDDHHMMSS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Version(pub i64);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Which way a step goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Applies the up script.
    Up,
    /// Takes it back with the down script.
    Down,
}

/// SHA-384 of a script's bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Checksum(Vec<u8>);

impl Checksum {
    /// The checksum of a script's text.
    pub fn of(text: &str) -> Self {
        Self(Sha384::digest(text).to_vec())
    }

    /// Reads what PostgreSQL's `encode(…, 'hex')` wrote; `None` where that is no hex.
    pub fn from_hex(hex: &str) -> Option<Self> {
        if !hex.is_ascii() || !hex.len().is_multiple_of(2) {
            return None;
        }
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).ok();
        (0..hex.len()).step_by(2).map(byte).collect::<Option<_>>().map(Self)
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checksum({self})")
    }
}

/// One SQL file, read.
#[derive(Clone, Debug)]
pub struct Script {
    /// Where it stands, as messages name it.
    pub path: PathBuf,
    /// What it holds.
    pub text: String,
}

impl Script {
    fn read(path: PathBuf) -> Result<Self, ScriptProblem> {
        let bytes = fs::read(&path).map_err(|error| ScriptProblem::file(&path, unreadable(&error)))?;
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self { path, text }),
            Err(error) => {
                let good = error.utf8_error().valid_up_to();
                let line = error.as_bytes()[..good].iter().filter(|&&byte| byte == b'\n').count() + 1;
                Err(ScriptProblem {
                    line: Some(line),
                    ..ScriptProblem::file(&path, "is not UTF-8; save it as UTF-8")
                })
            }
        }
    }

    /// Whether the script runs inside a transaction together with its bookkeeping.
    pub fn is_transactional(&self) -> bool {
        !self.text.starts_with(NO_TRANSACTION)
    }
}

/// One version of the schema: how to reach it and, unless it is up-only, how to leave it again.
#[derive(Clone, Debug)]
pub struct Migration {
    /// Its place in the history.
    pub version: Version,
    /// The rest of the file name, with spaces for underscores.
    pub description: String,
    /// The up script.
    pub up: Script,
    /// The checksum of the up script, which the bookkeeping records.
    pub checksum: Checksum,
    down: Option<PathBuf>,
}

impl Migration {
    /// Whether there is a way back.
    pub fn has_down(&self) -> bool {
        self.down.is_some()
    }

    /// Reads the script of a direction; down scripts are read only when they are wanted.
    pub fn script(&self, direction: Direction) -> Result<Script, ScriptProblem> {
        match (direction, &self.down) {
            (Direction::Up, _) => Ok(self.up.clone()),
            (Direction::Down, Some(path)) => Script::read(path.clone()),
            (Direction::Down, None) => Err(ScriptProblem::file(
                &self.up.path,
                "has no down script beside it, so it can't be taken back; \
                 write one, or restore from a backup",
            )),
        }
    }
}

/// All migrations of a directory, in version order.
#[derive(Clone, Debug)]
pub struct History {
    migrations: Vec<Migration>,
}

impl History {
    /// Reads every up script of `directory`.
    ///
    /// # Errors
    /// [`Error::Scripts`] with everything that is wrong at once: an unreadable directory, names
    /// that don't parse, duplicates, down scripts without an up, text that isn't UTF-8, and a
    /// directory without a single migration.
    pub fn read(directory: &Path) -> Result<Self, Error> {
        let names = file_names(directory).map_err(|error| {
            Error::Scripts(vec![ScriptProblem::file(directory, directory_problem(&error))])
        })?;
        let (found, mut problems) = pair_up(directory, &names);
        let mut migrations = Vec::with_capacity(found.len());
        for (version, pair) in found {
            match Script::read(pair.up) {
                Ok(up) => migrations.push(Migration {
                    version,
                    description: pair.description,
                    checksum: Checksum::of(&up.text),
                    up,
                    down: pair.down,
                }),
                Err(problem) => problems.push(problem),
            }
        }
        if migrations.is_empty() && problems.is_empty() {
            problems.push(ScriptProblem::file(
                directory,
                "holds no migration; expected files such as 20260102030405_add_phone.up.sql",
            ));
        }
        if problems.is_empty() { Ok(Self { migrations }) } else { Err(Error::Scripts(problems)) }
    }

    /// The migrations, oldest first; never empty.
    pub fn migrations(&self) -> &[Migration] {
        &self.migrations
    }

    /// The newest version.
    pub fn head(&self) -> Option<Version> {
        self.migrations.last().map(|migration| migration.version)
    }

    /// The migration of a version.
    pub fn find(&self, version: Version) -> Option<&Migration> {
        let at = self.migrations.binary_search_by_key(&version, |migration| migration.version).ok()?;
        self.migrations.get(at)
    }
}

#[cfg(test)]
impl History {
    /// A history out of thin air, for the tables of tests.
    pub(crate) fn of(versions: &[(i64, &str)]) -> Self {
        let migration = |&(version, description): &(i64, &str)| {
            let name = format!("{version}_{}", description.replace(' ', "_"));
            let text = format!("SELECT {version};\n");
            Migration {
                version: Version(version),
                description: description.to_owned(),
                checksum: Checksum::of(&text),
                up: Script { path: PathBuf::from(format!("migrations/{name}.up.sql")), text },
                down: Some(PathBuf::from(format!("migrations/{name}.down.sql"))),
            }
        };
        Self { migrations: versions.iter().map(migration).collect() }
    }
}

fn file_names(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        // Kubernetes mounts a ConfigMap's files as links.
        if kind.is_file() || (kind.is_symlink() && fs::metadata(entry.path())?.is_file()) {
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

fn unreadable(error: &io::Error) -> String {
    format!("can't be read: {error}")
}

/// What a file name says.
#[derive(Debug, PartialEq, Eq)]
struct Name {
    version: Version,
    description: String,
    direction: Direction,
    reversible: bool,
}

/// The paths of one migration.
#[derive(Debug)]
struct Pair {
    description: String,
    up: PathBuf,
    down: Option<PathBuf>,
}

/// `None` for a file that is no script, such as a README.
fn parse_name(name: &str) -> Option<Result<Name, String>> {
    if name.starts_with('.') {
        return None;
    }
    let Some(stem) = name.strip_suffix(".sql") else {
        let upper = name.to_ascii_lowercase().ends_with(".sql");
        return upper.then(|| Err("has its ending in capitals; rename it to end in .sql".to_owned()));
    };
    let (stem, direction, reversible) = if let Some(stem) = stem.strip_suffix(".up") {
        (stem, Direction::Up, true)
    } else if let Some(stem) = stem.strip_suffix(".down") {
        (stem, Direction::Down, true)
    } else {
        (stem, Direction::Up, false)
    };
    let wrong = || Err("is not named <version>_<description>.up.sql, .down.sql or .sql".to_owned());
    let Some((digits, description)) = stem.split_once('_') else { return Some(wrong()) };
    if description.is_empty() || digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(wrong());
    }
    let Some(version) = digits.parse().ok().filter(|&number| number > 0) else {
        return Some(Err(format!("has a version that is not a number from 1 to {}", i64::MAX)));
    };
    let description = description.replace('_', " ");
    Some(Ok(Name { version: Version(version), description, direction, reversible }))
}

fn pair_up(directory: &Path, names: &[String]) -> (BTreeMap<Version, Pair>, Vec<ScriptProblem>) {
    let mut problems = Vec::new();
    let mut downs: BTreeMap<Version, (String, PathBuf)> = BTreeMap::new();
    let mut ups: BTreeMap<Version, (Pair, bool)> = BTreeMap::new();
    for name in names {
        let path = directory.join(name);
        let parsed = match parse_name(name) {
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
    fn names() {
        let good = |version, description: &str, direction, reversible| {
            Some(Ok(Name {
                version: Version(version),
                description: description.to_owned(),
                direction,
                reversible,
            }))
        };
        for (name, expected) in [
            ("20260102030405_add_phone.up.sql", good(20_260_102_030_405, "add phone", Direction::Up, true)),
            ("0002_x.down.sql", good(2, "x", Direction::Down, true)),
            ("3_only_up.sql", good(3, "only up", Direction::Up, false)),
            ("4_a.b-ü.sql", good(4, "a.b-ü", Direction::Up, false)),
            ("README.md", None),
            (".hidden.sql", None),
        ] {
            assert_eq!(parse_name(name), expected, "{name}");
        }
        for (name, part) in [
            ("nonsense.sql", "is not named"),
            ("12.sql", "is not named"),
            ("12_.up.sql", "is not named"),
            ("-1_x.sql", "is not named"),
            ("+1_x.sql", "is not named"),
            ("0_x.sql", "not a number from 1"),
            ("9223372036854775808_x.sql", "not a number from 1"),
            ("1_x.UP.SQL", "capitals"),
        ] {
            let problem = parse_name(name).unwrap().unwrap_err();
            assert!(problem.contains(part), "{name}: {problem}");
        }
    }

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

    #[test]
    fn checksums_are_sqlx_s() {
        let text = "CREATE TABLE x ();\n";
        let sqlx = sqlx::migrate::Migration::new(
            1,
            "x".into(),
            sqlx::migrate::MigrationType::ReversibleUp,
            sqlx::SqlSafeStr::into_sql_str(sqlx::AssertSqlSafe(text.to_owned())),
            false,
        );
        let ours = Checksum::of(text);
        assert_eq!(ours.0, sqlx.checksum.as_ref());
        assert_eq!(Checksum::from_hex(&ours.to_string()), Some(ours));
        assert_eq!(Checksum::from_hex("abc"), None);
        assert_eq!(Checksum::from_hex("zz"), None);
    }
}
