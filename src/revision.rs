//! What a user types for a place in the history, and which place that is.
//!
//! The grammar is Alembic's, without branches: <https://alembic.sqlalchemy.org/en/latest/tutorial.html>.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

use serde::Serialize;

use crate::migration::{History, Version};

/// A place in the history: before the first migration, or after one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Position {
    /// Before the first.
    Base,
    /// After this version.
    At(Version),
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base => f.pad("base"),
            Self::At(version) => fmt::Display::fmt(version, f),
        }
    }
}

impl Serialize for Position {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Base => serializer.serialize_str("base"),
            Self::At(version) => version.serialize(serializer),
        }
    }
}

/// A revision as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revision {
    /// The newest migration.
    Head,
    /// Before the first.
    Base,
    /// Where the database is.
    Current,
    /// A version, a unique prefix of one, or a whole description.
    Named(String),
    /// So many steps from another revision.
    Offset(Box<Revision>, Offset),
}

/// Steps up or down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offset {
    /// `+N`
    Up(NonZeroUsize),
    /// `-N`
    Down(NonZeroUsize),
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up(steps) => write!(f, "+{steps}"),
            Self::Down(steps) => write!(f, "-{steps}"),
        }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head => f.write_str("head"),
            Self::Base => f.write_str("base"),
            Self::Current => f.write_str("current"),
            Self::Named(name) => f.write_str(name),
            Self::Offset(from, offset) if **from == Self::Current => write!(f, "{offset}"),
            Self::Offset(from, offset) => write!(f, "{from}{offset}"),
        }
    }
}

impl Revision {
    /// Whether the same words mean another place after a run than before it.
    pub fn is_relative_to_current(&self) -> bool {
        match self {
            Self::Current => true,
            Self::Offset(from, _) => from.is_relative_to_current(),
            Self::Head | Self::Base | Self::Named(_) => false,
        }
    }
}

impl FromStr for Revision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.chars().any(char::is_control) {
            return Err("holds a control character".to_owned());
        }
        // A description may hold signs of its own: only a tail of digits is an offset.
        if let Some(at) = text.rfind(['+', '-']) {
            let (from, offset) = text.split_at(at);
            let (sign, digits) = offset.split_at(1);
            // 2026-11-05 is no walk of five steps.
            let is_date = digits.len() > 1 && digits.starts_with('0');
            if !digits.is_empty() && !is_date && digits.bytes().all(|byte| byte.is_ascii_digit()) {
                let steps =
                    digits.parse().map_err(|_| format!("{offset} is no number of steps; 1 is the least"))?;
                let offset = if sign == "+" { Offset::Up(steps) } else { Offset::Down(steps) };
                let from = if from.is_empty() { Self::Current } else { from.parse()? };
                return Ok(Self::Offset(Box::new(from), offset));
            }
        }
        match text {
            "" | "+" | "-" => {
                Err("expected head, base, current, +N, -N, a version or a description".to_owned())
            }
            "head" => Ok(Self::Head),
            "base" => Ok(Self::Base),
            "current" => Ok(Self::Current),
            name => Ok(Self::Named(name.to_owned())),
        }
    }
}

/// `from:to`, where either side may be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// Where it starts: what comes after this revision belongs to it.
    pub from: Revision,
    /// Where it ends, included.
    pub to: Revision,
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((from, to)) = text.split_once(':') else {
            return Err("expected FROM:TO, such as base:head".to_owned());
        };
        let side = |text: &str, default| if text.is_empty() { Ok(default) } else { text.parse() };
        Ok(Self { from: side(from, Revision::Base)?, to: side(to, Revision::Head)? })
    }
}

/// Why a revision names no place. Always decided before anything is written.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RevisionError {
    /// Nothing in the history is called so.
    #[error("no migration is called {name:?}{}", did_you_mean(closest))]
    Unknown {
        /// What was typed.
        name: String,
        /// The closest that exist, as `version (description)`.
        closest: Vec<String>,
    },
    /// More than one migration is called so.
    #[error("{name:?} names several migrations: {}; type more of the version", candidates.join(", "))]
    Ambiguous {
        /// What was typed.
        name: String,
        /// All of them, as `version (description)`.
        candidates: Vec<String>,
    },
    /// More steps than there are.
    #[error("{revision} goes {} from {from}: only {available} {} that way", walked_off(*offset), steps_are(*available))]
    OffTheEnd {
        /// What was typed.
        revision: String,
        /// Where the walk started.
        from: Position,
        /// How many steps were asked for.
        offset: Offset,
        /// How many there are.
        available: usize,
    },
    /// The database is at a version without a script here.
    #[error(
        "{revision} is relative to the database's revision {current}, which has no script here; \
         name a version instead"
    )]
    CurrentNotHere {
        /// What was typed.
        revision: String,
        /// The applied version.
        current: Version,
    },
    /// No database is asked, so there is no current revision.
    #[error("{0} depends on the database; name a version, head or base")]
    NeedsDatabase(String),
}

fn did_you_mean(closest: &[String]) -> String {
    if closest.is_empty() { String::new() } else { format!("; the closest are {}", closest.join(", ")) }
}

fn walked_off(offset: Offset) -> &'static str {
    match offset {
        Offset::Up(_) => "past head",
        Offset::Down(_) => "below base",
    }
}

fn steps_are(count: usize) -> &'static str {
    if count == 1 { "step is left" } else { "steps are left" }
}

/// Where the database is, as far as resolving needs it.
pub trait Whereabouts {
    /// The highest applied version; `Err` when nobody was asked.
    fn current(&self) -> Option<Position>;
    /// Applied versions in order: the way down follows what is applied, not what could be.
    fn applied(&self) -> &[Version];
}

/// Offline: only the files are known.
pub struct Offline;

impl Whereabouts for Offline {
    fn current(&self) -> Option<Position> {
        None
    }

    fn applied(&self) -> &[Version] {
        &[]
    }
}

/// Finds the place a revision names.
///
/// # Errors
/// [`RevisionError`] where there is none, or more than one.
pub fn resolve(
    revision: &Revision,
    history: &History,
    database: &dyn Whereabouts,
) -> Result<Position, RevisionError> {
    match revision {
        Revision::Base => Ok(Position::Base),
        Revision::Head => Ok(history.head().map_or(Position::Base, Position::At)),
        Revision::Current => {
            database.current().ok_or_else(|| RevisionError::NeedsDatabase(revision.to_string()))
        }
        Revision::Named(name) => named(name, history).map(Position::At),
        Revision::Offset(from, offset) => {
            // A description that ends in -2 is a name first.
            if let Ok(version) = described(&revision.to_string(), history)
                && !matches!(**from, Revision::Current)
            {
                return Ok(Position::At(version));
            }
            let start = resolve(from, history, database).map_err(|error| match error {
                RevisionError::NeedsDatabase(_) => RevisionError::NeedsDatabase(revision.to_string()),
                other => other,
            })?;
            let follows_database = revision.is_relative_to_current();
            walk(revision, start, *offset, history, follows_database.then_some(database))
        }
    }
}

fn walk(
    revision: &Revision,
    start: Position,
    offset: Offset,
    history: &History,
    database: Option<&dyn Whereabouts>,
) -> Result<Position, RevisionError> {
    if let Position::At(current) = start
        && history.find(current).is_none()
    {
        return Err(RevisionError::CurrentNotHere { revision: revision.to_string(), current });
    }
    let places: Vec<Position> = match (offset, database) {
        (Offset::Down(_), Some(database)) => {
            let below = database.applied().iter().rev().map(|&version| Position::At(version));
            below
                .filter(|&place| place < start)
                .chain([Position::Base])
                .filter(|&place| place < start)
                .collect()
        }
        (Offset::Down(_), None) => {
            let below = history.migrations().iter().rev().map(|migration| Position::At(migration.version));
            below.chain([Position::Base]).filter(|&place| place < start).collect()
        }
        (Offset::Up(_), _) => {
            let all = history.migrations().iter().map(|migration| Position::At(migration.version));
            all.filter(|&place| place > start).collect()
        }
    };
    let (Offset::Up(steps) | Offset::Down(steps)) = offset;
    places.get(steps.get() - 1).copied().ok_or_else(|| RevisionError::OffTheEnd {
        revision: revision.to_string(),
        from: start,
        offset,
        available: places.len(),
    })
}

fn named(name: &str, history: &History) -> Result<Version, RevisionError> {
    let all = history.migrations();
    if let Ok(number) = name.parse()
        && history.find(Version(number)).is_some()
    {
        return Ok(Version(number));
    }
    let by_prefix: Vec<_> = all
        .iter()
        .filter(|migration| {
            name.bytes().all(|byte| byte.is_ascii_digit()) && migration.version.to_string().starts_with(name)
        })
        .collect();
    match by_prefix.as_slice() {
        [one] => Ok(one.version),
        [] => described(name, history),
        several => Err(RevisionError::Ambiguous {
            name: name.to_owned(),
            candidates: several
                .iter()
                .map(|migration| label(migration.version, &migration.description))
                .collect(),
        }),
    }
}

fn described(name: &str, history: &History) -> Result<Version, RevisionError> {
    let wanted = name.replace('_', " ");
    let all = history.migrations();
    let found: Vec<_> = all.iter().filter(|migration| migration.description == wanted).collect();
    match found.as_slice() {
        [one] => Ok(one.version),
        [] => Err(RevisionError::Unknown { name: name.to_owned(), closest: closest(&wanted, history) }),
        several => Err(RevisionError::Ambiguous {
            name: name.to_owned(),
            candidates: several
                .iter()
                .map(|migration| label(migration.version, &migration.description))
                .collect(),
        }),
    }
}

fn label(version: Version, description: &str) -> String {
    format!("{version} ({description})")
}

/// At most three migrations whose version or description is like what was typed.
fn closest(wanted: &str, history: &History) -> Vec<String> {
    let likeness = |text: &str| strsim::jaro_winkler(wanted, text);
    let mut scored: Vec<_> = history
        .migrations()
        .iter()
        .map(|migration| {
            (likeness(&migration.version.to_string()).max(likeness(&migration.description)), migration)
        })
        .filter(|(score, _)| *score > 0.7)
        .collect();
    scored.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    scored
        .into_iter()
        .take(3)
        .map(|(_, migration)| label(migration.version, &migration.description))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct At(Vec<Version>);

    impl Whereabouts for At {
        fn current(&self) -> Option<Position> {
            Some(self.0.last().copied().map_or(Position::Base, Position::At))
        }

        fn applied(&self) -> &[Version] {
            &self.0
        }
    }

    fn history() -> History {
        History::of(&[
            (20_260_101, "create contacts"),
            (20_260_102, "add phone"),
            (20_260_203, "add phone index"),
            (20_270_101, "v-2"),
        ])
    }

    fn at(versions: &[i64]) -> At {
        At(versions.iter().copied().map(Version).collect())
    }

    #[test]
    fn parses_and_prints() {
        for text in [
            "head",
            "base",
            "current",
            "+1",
            "-12",
            "2026",
            "head-1",
            "base+2",
            "current",
            "add_phone-2",
            "a-b",
        ] {
            assert_eq!(text.parse::<Revision>().unwrap().to_string(), text);
        }
        for text in ["", "+", "-", "+0", "-0", "head+0", "a\nb", "+99999999999999999999999"] {
            assert!(text.parse::<Revision>().is_err(), "{text:?}");
        }
        assert_eq!("current+1".parse::<Revision>().unwrap().to_string(), "+1");
        assert_eq!(":".parse(), Ok(Range { from: Revision::Base, to: Revision::Head }));
        assert!("head".parse::<Range>().is_err());
    }

    #[test]
    fn resolves() {
        let two = [20_260_101, 20_260_102];
        for (text, applied, expected) in [
            ("head", &two[..], Position::At(Version(20_270_101))),
            ("base", &two, Position::Base),
            ("current", &two, Position::At(Version(20_260_102))),
            ("current", &[], Position::Base),
            ("20260101", &[], Position::At(Version(20_260_101))),
            ("202602", &[], Position::At(Version(20_260_203))),
            ("add phone", &[], Position::At(Version(20_260_102))),
            ("add_phone", &[], Position::At(Version(20_260_102))),
            ("v-2", &[], Position::At(Version(20_270_101))),
            ("+1", &two, Position::At(Version(20_260_203))),
            ("+4", &[], Position::At(Version(20_270_101))),
            ("-1", &two, Position::At(Version(20_260_101))),
            ("-2", &two, Position::Base),
            ("-1", &[20_260_101, 20_260_203], Position::At(Version(20_260_101))),
            ("head-1", &[], Position::At(Version(20_260_203))),
            ("head-4", &[], Position::Base),
            ("base+2", &[], Position::At(Version(20_260_102))),
            ("add_phone-1", &[], Position::At(Version(20_260_101))),
        ] {
            let found = resolve(&text.parse().unwrap(), &history(), &at(applied));
            assert_eq!(found, Ok(expected), "{text} from {applied:?}");
        }
    }

    #[test]
    fn refuses() {
        for (text, applied, expected) in [
            (
                "add_fone",
                &[][..],
                "no migration is called \"add_fone\"; the closest are 20260102 (add phone), 20260203 (add phone index)",
            ),
            ("zzz", &[], "no migration is called \"zzz\""),
            (
                "2026010",
                &[],
                "\"2026010\" names several migrations: 20260101 (create contacts), 20260102 (add phone); type more of the version",
            ),
            (
                "+2",
                &[20_260_101, 20_260_203],
                "+2 goes past head from 20260203: only 1 step is left that way",
            ),
            ("-1", &[], "-1 goes below base from base: only 0 steps are left that way"),
            ("head+1", &[], "head+1 goes past head from 20270101: only 0 steps are left that way"),
            (
                "-1",
                &[20_280_101],
                "-1 is relative to the database's revision 20280101, which has no script here; name a version instead",
            ),
        ] {
            let error = resolve(&text.parse().unwrap(), &history(), &at(applied)).unwrap_err();
            assert_eq!(error.to_string(), expected, "{text} from {applied:?}");
        }
        let error = resolve(&"-1".parse().unwrap(), &history(), &Offline).unwrap_err();
        assert_eq!(error.to_string(), "-1 depends on the database; name a version, head or base");
    }
}
