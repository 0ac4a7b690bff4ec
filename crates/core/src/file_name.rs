//! What the name of a script says: `<version>_<description>.up.sql`, `.down.sql` or `.sql`, as in sqlx.

use crate::version::{Direction, Version};

/// What a file name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileName {
    /// The number in front.
    pub version: Version,
    /// The rest, with spaces for underscores.
    pub description: String,
    /// Which of the two scripts it is.
    pub direction: Direction,
    /// Whether it may have another script beside it: `.up.sql` and `.down.sql`, not plain `.sql`.
    pub reversible: bool,
}

/// Why a file is no script of a migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAMigration {
    /// It holds no SQL.
    NotSql,
    /// SQL without a version, such as `schema.sql`, which sqlx passes over as well.
    NoVersion,
    /// It is meant to be one, and its name is wrong in this way.
    Wrong(String),
}

impl FileName {
    /// Reads a file's name. [`NotAMigration`] if it is not that of a script.
    pub fn parse(name: &str) -> Result<Self, NotAMigration> {
        let wrong = |problem: &str| Err(NotAMigration::Wrong(problem.to_owned()));
        // A sign is one that sqlx would take for a part of the number.
        let is_numbered = name.trim_start_matches(['+', '-']).starts_with(|c: char| c.is_ascii_digit());
        let Some(stem) = name.strip_suffix(".sql").filter(|_| !name.starts_with('.')) else {
            let in_capitals = is_numbered && name.to_ascii_lowercase().ends_with(".sql");
            let problem = "has its ending in capitals; rename it to end in .sql";
            return if in_capitals { wrong(problem) } else { Err(NotAMigration::NotSql) };
        };
        if !is_numbered {
            return Err(NotAMigration::NoVersion);
        }
        let (stem, direction, reversible) = if let Some(stem) = stem.strip_suffix(".up") {
            (stem, Direction::Up, true)
        } else if let Some(stem) = stem.strip_suffix(".down") {
            (stem, Direction::Down, true)
        } else {
            (stem, Direction::Up, false)
        };
        let (digits, description) = stem.split_once('_').unwrap_or_default();
        if description.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return wrong("is not named <version>_<description>.up.sql, .down.sql or .sql");
        }
        let Ok(version) = digits.parse() else {
            return wrong(&format!("has a version that is not a number from 0 to {}", i64::MAX));
        };
        let description = description.replace('_', " ");
        Ok(Self { version: Version(version), description, direction, reversible })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let good = |version, description: &str, direction, reversible| {
            Ok(FileName {
                version: Version(version),
                description: description.to_owned(),
                direction,
                reversible,
            })
        };
        for (name, expected) in [
            ("20260102030405_add_phone.up.sql", good(20_260_102_030_405, "add phone", Direction::Up, true)),
            ("0002_x.down.sql", good(2, "x", Direction::Down, true)),
            ("3_only_up.sql", good(3, "only up", Direction::Up, false)),
            ("4_a.b-ü.sql", good(4, "a.b-ü", Direction::Up, false)),
            ("0_x.sql", good(0, "x", Direction::Up, false)),
            ("README.md", Err(NotAMigration::NotSql)),
            (".hidden.sql", Err(NotAMigration::NotSql)),
            ("schema.SQL", Err(NotAMigration::NotSql)),
            ("schema.sql", Err(NotAMigration::NoVersion)),
            ("all_tables.up.sql", Err(NotAMigration::NoVersion)),
        ] {
            assert_eq!(FileName::parse(name), expected, "{name}");
        }
        for (name, part) in [
            ("12.sql", "is not named"),
            ("12_.up.sql", "is not named"),
            ("2026O102_x.sql", "is not named"),
            ("-1_x.sql", "is not named"),
            ("+1_x.up.sql", "is not named"),
            ("9223372036854775808_x.sql", "not a number from 0"),
            ("1_x.UP.SQL", "capitals"),
        ] {
            let Err(NotAMigration::Wrong(problem)) = FileName::parse(name) else { panic!("{name}") };
            assert!(problem.contains(part), "{name}: {problem}");
        }
    }
}
