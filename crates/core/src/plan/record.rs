//! What `stamp` changes in the bookkeeping.

use super::refuse_partially_applied;
use crate::disagreement::Disagreement;
use crate::drift;
use crate::history::Migration;
use crate::revision::Position;
use crate::state::{Entry, State, Status};
use crate::version::Version;

/// One change to the bookkeeping.
#[derive(Debug)]
pub enum Record<'a> {
    /// As applied.
    Applied(&'a Migration),
    /// As not applied, by its description.
    NotApplied(Version, String),
    /// With the checksum of its file, and how that differs from the one that was applied.
    Rewritten(&'a Migration, String),
}

impl Record<'_> {
    /// For a person.
    pub fn describe(&self) -> String {
        match self {
            Self::Applied(migration) => {
                format!("{} as applied", migration.called())
            }
            Self::NotApplied(version, description) => {
                format!("{} as not applied", version.called(description))
            }
            Self::Rewritten(migration, difference) => {
                let called = migration.called();
                format!("{called} with the checksum of its file: {difference}")
            }
        }
    }
}

/// What has to change so that the bookkeeping says `target`, and nothing else.
/// [`Disagreement`] where more than the bookkeeping is in question.
pub fn records<'a>(state: &State<'a>, target: Position) -> Result<Vec<Record<'a>>, Disagreement> {
    refuse_partially_applied(state)?;
    let at = |entry: &Entry<'_>| Position::At(entry.version);
    let unknown: Vec<_> =
        state.with(Status::Unknown).filter(|entry| at(entry) > target).map(Entry::label).collect();
    if !unknown.is_empty() {
        return Err(Disagreement::Unknown(unknown));
    }
    let record = |entry: &Entry<'a>| match (entry.migration, entry.applied, at(entry) <= target) {
        (Some(migration), None, true) => Some(Record::Applied(migration)),
        (Some(migration), Some(applied), true) if entry.status == Status::Drifted => {
            Some(Record::Rewritten(migration, drift::explain(migration, applied)))
        }
        (_, Some(applied), false) => Some(Record::NotApplied(entry.version, applied.description.clone())),
        _ => None,
    };
    Ok(state.entries().iter().filter_map(record).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::History;
    use crate::state::{Applied, row};
    use crate::version::Checksum;

    #[test]
    fn records_what_differs() {
        let history = History::of(&[(1, "a"), (2, "b"), (3, "c"), (4, "d")]);
        let drifted = Applied { checksum: Checksum::of("other"), ..row(1) };
        let rows = [drifted, row(3), row(4)];
        let state = State::of(&history, &rows);
        let lines: Vec<_> =
            records(&state, Position::At(Version(3))).unwrap().iter().map(Record::describe).collect();
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines[0].starts_with("1 (a) with the checksum of its file: its text changed"), "{lines:?}");
        assert_eq!(lines[1..], ["2 (b) as applied", "4 (row 4) as not applied"]);
        assert_eq!(records(&state, Position::Base).unwrap().len(), 3);
    }

    #[test]
    fn never_drops_what_it_does_not_know() {
        let history = History::of(&[(1, "a")]);
        let rows = [row(1), row(9)];
        let state = State::of(&history, &rows);
        assert!(matches!(records(&state, Position::At(Version(1))), Err(Disagreement::Unknown(_))));
        let partial = [Applied { success: false, ..row(1) }];
        let state = State::of(&history, &partial);
        assert!(matches!(records(&state, Position::Base), Err(Disagreement::PartiallyApplied(_))));
    }
}
