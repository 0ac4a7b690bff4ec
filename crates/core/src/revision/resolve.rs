//! Which place in the history a revision names.

use super::{Offset, Position, Revision};
use crate::history::{History, Migration};
use crate::suggestion;
use crate::version::Version;
use crate::wording::counted;

/// Why a revision names no place, in a sentence. Always decided before anything is written.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RevisionError(String);

impl RevisionError {
    fn unknown(name: &str, closest: &[String]) -> Self {
        if let Some(meant) = suggestion::revision(name) {
            return Self(format!("no migration is called {name:?}; use {meant}"));
        }
        let is_count = name.parse().is_ok_and(|number: u32| (1..1000).contains(&number));
        let steps = if is_count { format!("; +{name} is that many steps up") } else { String::new() };
        let closest = match closest {
            [] => "`history` lists those there are".to_owned(),
            [one] => format!("the closest is {one}"),
            several => format!("the closest are {}", several.join(", ")),
        };
        Self(format!("no migration is called {name:?}; {closest}{steps}"))
    }

    fn ambiguous(name: &str, candidates: &[&Migration]) -> Self {
        let called = candidates.iter().map(|migration| migration.called()).collect::<Vec<_>>().join(", ");
        Self(format!("{name:?} names several migrations: {called}; type more of the version"))
    }

    fn needs_database(revision: &Revision) -> Self {
        Self(format!("{revision} depends on the database; name a version, head or base"))
    }

    fn current_is_not_here(revision: &Revision, current: Version) -> Self {
        Self(format!(
            "{revision} is relative to the database's revision {current}, which has no script here; \
             name a version instead"
        ))
    }

    fn off_the_end(revision: &Revision, from: Position, offset: Offset, available: usize) -> Self {
        let steps = counted(available, "step is", "steps are");
        Self(match (offset, available) {
            (Offset::Up(_), 0) => format!("{revision} goes past head: {from} is the last there is"),
            (Offset::Down(_), 0) => format!("{revision} goes below base, which is the first there is"),
            (Offset::Up(_), _) => {
                format!("{revision} goes past head from {from}: only {steps} left that way")
            }
            (Offset::Down(_), _) => {
                format!("{revision} goes below base from {from}: only {steps} left that way")
            }
        })
    }
}

/// Finds the place a revision names. Of the database it takes the applied versions, in order, where one was asked: the
/// way down follows what is applied, not what could be.
/// [`RevisionError`] where there is none, or more than one.
pub fn resolve(
    revision: &Revision,
    history: &History,
    applied: Option<&[Version]>,
) -> Result<Position, RevisionError> {
    match revision {
        Revision::Base => Ok(Position::Base),
        Revision::Head => Ok(history.head().map_or(Position::Base, Position::At)),
        Revision::Current => match applied {
            Some(applied) => Ok(Position::of(applied)),
            None => Err(RevisionError::needs_database(revision)),
        },
        Revision::Named(name) => named(name, history).map(Position::At),
        Revision::Offset(from, offset) => {
            // A description that ends in -2 is a name first.
            if let Ok(version) = described(&revision.to_string(), history)
                && !matches!(**from, Revision::Current)
            {
                return Ok(Position::At(version));
            }
            let follows_database = revision.is_relative_to_current();
            if follows_database && applied.is_none() {
                return Err(RevisionError::needs_database(revision));
            }
            let start = resolve(from, history, applied)?;
            walk(revision, start, *offset, history, applied.filter(|_| follows_database))
        }
    }
}

fn walk(
    revision: &Revision,
    start: Position,
    offset: Offset,
    history: &History,
    applied: Option<&[Version]>,
) -> Result<Position, RevisionError> {
    if let Position::At(current) = start
        && history.find(current).is_none()
    {
        return Err(RevisionError::current_is_not_here(revision, current));
    }
    let all = || history.migrations().iter().map(|migration| migration.version);
    let places: Vec<Position> = match offset {
        Offset::Up(_) => all().map(Position::At).filter(|&place| place > start).collect(),
        Offset::Down(_) => {
            let versions = applied.map_or_else(|| all().collect(), <[_]>::to_vec);
            let below = versions.into_iter().rev().map(Position::At).chain([Position::Base]);
            below.filter(|&place| place < start).collect()
        }
    };
    let (Offset::Up(steps) | Offset::Down(steps)) = offset;
    let place = places.get(steps.get() - 1).copied();
    place.ok_or_else(|| RevisionError::off_the_end(revision, start, offset, places.len()))
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
        several => Err(RevisionError::ambiguous(name, several)),
    }
}

fn described(name: &str, history: &History) -> Result<Version, RevisionError> {
    let wanted = name.replace('_', " ");
    let all = history.migrations();
    let found: Vec<_> = all.iter().filter(|migration| migration.description == wanted).collect();
    match found.as_slice() {
        [one] => Ok(one.version),
        [] => Err(RevisionError::unknown(name, &closest(&wanted, history))),
        several => Err(RevisionError::ambiguous(name, several)),
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
    scored.into_iter().take(3).map(|(_, migration)| migration.called()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history() -> History {
        History::of(&[
            (20_260_101, "create contacts"),
            (20_260_102, "add phone"),
            (20_260_203, "add phone index"),
            (20_270_101, "v-2"),
        ])
    }

    fn at(versions: &[i64]) -> Vec<Version> {
        versions.iter().copied().map(Version).collect()
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
            let found = resolve(&text.parse().unwrap(), &history(), Some(&at(applied)));
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
            let error = resolve(&text.parse().unwrap(), &history(), Some(&at(applied))).unwrap_err();
            assert_eq!(error.to_string(), expected, "{text} from {applied:?}");
        }
        let error = resolve(&"-1".parse().unwrap(), &history(), None).unwrap_err();
        assert_eq!(error.to_string(), "-1 depends on the database; name a version, head or base");
    }
}
