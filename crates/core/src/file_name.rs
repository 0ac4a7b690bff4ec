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

impl FileName {
    /// `None` for a file that is no script, such as a README.
    pub fn parse(name: &str) -> Option<Result<Self, String>> {
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
        Some(Ok(Self { version: Version(version), description, direction, reversible }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let good = |version, description: &str, direction, reversible| {
            Some(Ok(FileName {
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
            assert_eq!(FileName::parse(name), expected, "{name}");
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
            let problem = FileName::parse(name).unwrap().unwrap_err();
            assert!(problem.contains(part), "{name}: {problem}");
        }
    }
}
