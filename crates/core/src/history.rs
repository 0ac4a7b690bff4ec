//! The scripts on disk, read into a [`History`].
//!
//! File names and checksums are sqlx's, so that sqlx-cli and an application's own
//! `sqlx::migrate!` see the same migrations:
//! <https://docs.rs/sqlx/0.9.0/sqlx/migrate/trait.MigrationSource.html>.

use std::path::{Path, PathBuf};

use crate::script_problem::{ScriptProblem, UnusableScripts};
use crate::version::{Checksum, Direction, Version};

mod checksum;
mod directory;
mod script_file;

pub use directory::{Found, Pair, pair_up};
use script_file::MOST;
pub use script_file::Script;

/// One version of the schema: how to reach it and, unless it is up-only, how to leave it again.
#[derive(Clone, Debug)]
pub struct Migration {
    /// Its place in the history.
    pub version: Version,
    /// The rest of the file name, with spaces for underscores.
    pub description: String,
    /// The up script, which is read when it is wanted: none is held for longer.
    pub up: PathBuf,
    /// The checksum of the up script, which the bookkeeping records.
    pub checksum: Checksum,
    down: Option<PathBuf>,
}

impl Migration {
    /// `version (description)`, as sentences name it.
    pub fn called(&self) -> String {
        self.version.called(&self.description)
    }

    /// Whether there is a way back.
    pub fn has_down(&self) -> bool {
        self.down.is_some()
    }

    /// Reads the script of a direction.
    pub fn script(&self, direction: Direction) -> Result<Script, ScriptProblem> {
        match (direction, &self.down) {
            (Direction::Up, _) => {
                let script = Script::read(self.up.clone(), MOST)?;
                if Checksum::of(&script.text) != self.checksum {
                    return Err(ScriptProblem::file(&self.up, "was changed during this run; run again"));
                }
                Ok(script)
            }
            (Direction::Down, Some(path)) => Script::read(path.clone(), MOST),
            (Direction::Down, None) => Err(ScriptProblem::file(
                &self.up,
                "has no down script beside it, so it can't be reverted; \
                 write one, or restore from a backup",
            )),
        }
    }
}

/// All migrations of a directory, in version order.
#[derive(Clone, Debug)]
pub struct History {
    migrations: Vec<Migration>,
    warnings: Vec<ScriptProblem>,
}

impl History {
    /// Reads every up script of `directory`.
    /// [`UnusableScripts`] with everything that is wrong at once: an unreadable directory, names
    /// that don't parse, duplicates, text that isn't UTF-8, and a directory without a single migration.
    pub fn read(directory: &Path) -> Result<Self, UnusableScripts> {
        let Found { pairs, mut problems, warnings } =
            directory::list(directory).map_err(|problem| UnusableScripts(vec![problem]))?;
        let mut migrations = Vec::with_capacity(pairs.len());
        let mut most = MOST;
        for (version, pair) in pairs {
            match checksum::of_file(&pair.up, most) {
                Ok((checksum, length)) => {
                    most -= length;
                    let Pair { description, up, down } = pair;
                    migrations.push(Migration { version, description, up, checksum, down });
                }
                Err(problem) => problems.push(problem),
            }
        }
        if migrations.is_empty() && problems.is_empty() {
            problems.push(ScriptProblem::file(
                directory,
                "holds no migration; expected files such as 20260102030405_add_phone.up.sql",
            ));
        }
        if problems.is_empty() { Ok(Self { migrations, warnings }) } else { Err(UnusableScripts(problems)) }
    }

    /// The migrations, oldest first; never empty.
    pub fn migrations(&self) -> &[Migration] {
        &self.migrations
    }

    /// What was passed over in the directory, or is odd in it.
    pub fn warnings(&self) -> &[ScriptProblem] {
        &self.warnings
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
                up: PathBuf::from(format!("migrations/{name}.up.sql")),
                down: Some(PathBuf::from(format!("migrations/{name}.down.sql"))),
            }
        };
        Self { migrations: versions.iter().map(migration).collect(), warnings: Vec::new() }
    }
}
