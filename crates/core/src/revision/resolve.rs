//! Which place in the history a revision names.

use super::{Offset, Position, Revision};
use crate::history::History;
use crate::version::Version;
use crate::wording::counted;

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
    #[error("{revision} {}", walked_off(*from, *offset, *available))]
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
    match closest {
        [] => "; `history` lists those there are".to_owned(),
        [one] => format!("; the closest is {one}"),
        several => format!("; the closest are {}", several.join(", ")),
    }
}

fn walked_off(from: Position, offset: Offset, available: usize) -> String {
    match (offset, available) {
        (Offset::Up(_), 0) => format!("goes past head: {from} is the last there is"),
        (Offset::Down(_), 0) => "goes below base, which is the first there is".to_owned(),
        (_, available) => {
            let end = if matches!(offset, Offset::Up(_)) { "past head" } else { "below base" };
            let steps = counted(available, "step is", "steps are");
            format!("goes {end} from {from}: only {steps} left that way")
        }
    }
}

/// Where the database is, as far as resolving needs it.
pub trait Whereabouts {
    /// The highest applied version; `None` when nobody was asked.
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
                .map(|migration| migration.version.called(&migration.description))
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
                .map(|migration| migration.version.called(&migration.description))
                .collect(),
        }),
    }
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
        .map(|(_, migration)| migration.version.called(&migration.description))
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
            ("zzz", &[], "no migration is called \"zzz\"; `history` lists those there are"),
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
            ("-1", &[], "-1 goes below base, which is the first there is"),
            ("head+1", &[], "head+1 goes past head: 20270101 is the last there is"),
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
