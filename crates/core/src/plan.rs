//! The steps of a run, decided before the first statement goes out.

use foreign_text::one_line;

use crate::disagreement::{Disagreement, PartiallyApplied};
use crate::drift;
use crate::history::{History, Migration};
use crate::revision::{self, Position, Revision, RevisionError};
use crate::state::{Entry, State, Status};
use crate::version::Direction;
use crate::wording;

mod group;
pub mod record;

pub use group::{Group, Transaction, groups};

/// The ordered steps of one run.
#[derive(Debug)]
pub struct Plan<'a> {
    /// Where the database is.
    pub from: Position,
    /// Where it will be.
    pub to: Position,
    /// What takes it there.
    pub steps: Vec<Step<'a>>,
    /// What is odd, but no reason to stop.
    pub warnings: Vec<String>,
}

/// One migration, one way.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// What to apply or revert.
    pub migration: &'a Migration,
    /// Which of the two.
    pub direction: Direction,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The revision names no place.
    #[error(transparent)]
    Revision(#[from] RevisionError),
    /// The place lies the other way.
    #[error("{}", wrong_way(*.direction, revision, *.to, *.from))]
    WrongWay {
        /// The way that was asked for.
        direction: Direction,
        /// What was typed.
        revision: String,
        /// The place that is.
        to: Position,
        /// Where the database is.
        from: Position,
    },
    /// History and database disagree.
    #[error(transparent)]
    Disagreement(#[from] Disagreement),
}

fn wrong_way(direction: Direction, typed: &str, to: Position, from: Position) -> String {
    let (command, way, side, other) = match direction {
        Direction::Up => ("upgrade", "up", "below", "downgrade"),
        Direction::Down => ("downgrade", "down", "above", "upgrade"),
    };
    let (typed, place) = (one_line(typed), to.to_string());
    // As it was typed, and what it names where that is not the same.
    let named = if typed == place { place } else { format!("{typed} ({place})") };
    format!("{command} only goes {way}, and {named} is {side} {from}; use {other} to go there")
}

/// What to do about migrations that are pending below the current revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutOfOrder {
    /// Stop and list them.
    Refuse,
    /// Apply them with the rest.
    Apply,
}

/// Plans the way up to `target`.
/// [`PlanError`] where the revision names no place above, or history and database disagree.
pub fn upgrade<'a>(
    history: &'a History,
    state: &State<'a>,
    target: &Revision,
    out_of_order: OutOfOrder,
) -> Result<Plan<'a>, PlanError> {
    refuse_partially_applied(state)?;
    refuse_drift(state)?;
    let mut warnings = Vec::new();
    let unknown: Vec<String> = state.with(Status::Unknown).map(Entry::label).collect();
    if !unknown.is_empty() {
        let head = history.head();
        let all_above = state.with(Status::Unknown).all(|entry| Some(entry.version) > head);
        if !all_above || state.pending().next().is_some() {
            return Err(Disagreement::Unknown(unknown).into());
        }
        warnings.push(format!(
            "the database is ahead of these scripts: {} {} no script here, as when a newer image has run",
            unknown.join(", "),
            if unknown.len() == 1 { "has" } else { "have" },
        ));
    }
    let late: Vec<String> = state.with(Status::OutOfOrder).map(Entry::label).collect();
    if !late.is_empty() {
        if out_of_order == OutOfOrder::Refuse {
            return Err(Disagreement::OutOfOrder(late).into());
        }
        warnings.push(format!("applying out of order: {}", late.join(", ")));
    }
    let from = state.position();
    let to = revision::resolve(target, history, Some(state.applied()))?;
    // An image that was rolled back has its head below the database: nothing to do.
    let is_head = history.head().map(Position::At) == Some(to);
    let is_ahead = is_head && !unknown.is_empty();
    if to < from && !is_ahead {
        return Err(PlanError::WrongWay { direction: Direction::Up, revision: target.to_string(), to, from });
    }
    let steps = state
        .pending()
        .filter(|entry| Position::At(entry.version) <= to)
        .filter_map(|entry| entry.migration)
        .map(|migration| Step { migration, direction: Direction::Up })
        .collect();
    Ok(Plan { from, to: to.max(from), steps, warnings })
}

/// Plans the way down to `target`.
/// [`PlanError`] where the revision names no place below, or history and database disagree.
pub fn downgrade<'a>(
    history: &'a History,
    state: &State<'a>,
    target: &Revision,
) -> Result<Plan<'a>, PlanError> {
    refuse_partially_applied(state)?;
    refuse_drift(state)?;
    let from = state.position();
    let to = revision::resolve(target, history, Some(state.applied()))?;
    if to > from {
        return Err(PlanError::WrongWay {
            direction: Direction::Down,
            revision: target.to_string(),
            to,
            from,
        });
    }
    let above = |entry: &&Entry<'_>| Position::At(entry.version) > to;
    let unknown: Vec<_> = state.with(Status::Unknown).filter(above).map(Entry::label).collect();
    if !unknown.is_empty() {
        return Err(Disagreement::Unknown(unknown).into());
    }
    let steps: Vec<_> = state
        .with(Status::Applied)
        .rev()
        .filter(above)
        .filter_map(|entry| entry.migration)
        .map(|migration| Step { migration, direction: Direction::Down })
        .collect();
    let lowest_kept = state.entries().iter().rev().filter(|entry| entry.applied.is_some());
    let to = lowest_kept.map(|entry| Position::At(entry.version)).find(|&place| place <= to);
    Ok(Plan { from, to: to.unwrap_or(Position::Base), steps, warnings: Vec::new() })
}

/// Nothing goes on while a no-transaction script is partially applied.
/// [`Disagreement::PartiallyApplied`]
pub fn refuse_partially_applied(state: &State<'_>) -> Result<(), Disagreement> {
    match state.with(Status::PartiallyApplied).next() {
        Some(entry) => Err(Disagreement::PartiallyApplied(PartiallyApplied {
            version: entry.version,
            label: entry.label(),
            why: "an earlier run began it and did not end it".to_owned(),
        })),
        None => Ok(()),
    }
}

fn refuse_drift(state: &State<'_>) -> Result<(), Disagreement> {
    let drifted: Vec<_> = state
        .with(Status::Drifted)
        .filter_map(|entry| Some((entry.migration?, entry.applied?)))
        .map(|(migration, applied)| {
            format!("{}: {}", wording::path(&migration.up), drift::explain(migration, applied))
        })
        .collect();
    if drifted.is_empty() { Ok(()) } else { Err(Disagreement::Drifted(drifted)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Applied, row};
    use crate::version::{Checksum, Version};

    fn history() -> History {
        History::of(&[(1, "a"), (2, "b"), (3, "c"), (4, "d")])
    }

    fn rows(versions: &[i64]) -> Vec<Applied> {
        versions.iter().copied().map(row).collect()
    }

    fn versions(plan: &Plan<'_>) -> Vec<i64> {
        plan.steps.iter().map(|step| step.migration.version.0).collect()
    }

    #[test]
    fn upgrades() {
        for (applied, target, expected, to) in [
            (&[][..], "head", &[1, 2, 3, 4][..], 4),
            (&[1, 2], "head", &[3, 4], 4),
            (&[1, 2], "+1", &[3], 3),
            (&[1, 2], "3", &[3], 3),
            (&[1, 2], "2", &[], 2),
            (&[1, 2], "current", &[], 2),
            (&[1, 2, 3, 4], "head", &[], 4),
            (&[1, 2, 3, 4, 9], "head", &[], 9),
        ] {
            let (history, rows) = (history(), rows(applied));
            let plan =
                upgrade(&history, &State::of(&history, &rows), &target.parse().unwrap(), OutOfOrder::Refuse);
            let plan = plan.unwrap();
            assert_eq!(versions(&plan), expected, "{applied:?} to {target}");
            assert_eq!(plan.to, Position::At(Version(to)), "{applied:?} to {target}");
            assert_eq!(plan.warnings.len(), usize::from(applied.contains(&9)));
        }
    }

    #[test]
    fn upgrade_refuses() {
        for (applied, target, expected) in [
            (&[1, 2][..], "1", "upgrade only goes up, and 1 is below 2; use downgrade to go there"),
            (&[1, 2], "base", "upgrade only goes up, and base is below 2; use downgrade to go there"),
            (&[1, 2, 3], "+2", "+2 goes past head from 3: only 1 step is left that way"),
            (&[1, 3], "head", "pending below the database's revision: 2 (b)"),
            (&[1, 3], "3", "pending below the database's revision: 2 (b)"),
            (&[1, 9], "head", "applied, but without a script here: 9 (row 9)"),
        ] {
            let (history, rows) = (history(), rows(applied));
            let plan =
                upgrade(&history, &State::of(&history, &rows), &target.parse().unwrap(), OutOfOrder::Refuse);
            let error = plan.unwrap_err().to_string();
            assert!(error.contains(expected), "{applied:?} to {target}: {error}");
        }
        let history = History::of(&[(1, "a"), (3, "c")]);
        let rows = rows(&[1, 2, 3]);
        let plan = upgrade(&history, &State::of(&history, &rows), &Revision::Head, OutOfOrder::Refuse);
        assert!(plan.unwrap_err().to_string().contains("2 (row 2)"));
    }

    #[test]
    fn out_of_order_on_request() {
        let (history, rows) = (history(), rows(&[1, 3]));
        let plan =
            upgrade(&history, &State::of(&history, &rows), &Revision::Head, OutOfOrder::Apply).unwrap();
        assert_eq!(versions(&plan), [2, 4]);
        assert_eq!(plan.warnings, ["applying out of order: 2 (b)"]);
    }

    #[test]
    fn downgrades() {
        for (applied, target, expected, to) in [
            (&[1, 2, 3][..], "base", &[3, 2, 1][..], Position::Base),
            (&[1, 2, 3], "-1", &[3], Position::At(Version(2))),
            (&[1, 3], "-1", &[3], Position::At(Version(1))),
            (&[1, 3], "2", &[3], Position::At(Version(1))),
            (&[1, 2, 3], "3", &[], Position::At(Version(3))),
            (&[], "base", &[], Position::Base),
        ] {
            let (history, rows) = (history(), rows(applied));
            let plan = downgrade(&history, &State::of(&history, &rows), &target.parse().unwrap()).unwrap();
            assert_eq!(versions(&plan), expected, "{applied:?} to {target}");
            assert_eq!(plan.to, to, "{applied:?} to {target}");
        }
    }

    #[test]
    fn downgrade_refuses() {
        for (applied, target, expected) in [
            (&[1, 2][..], "head", "downgrade only goes down"),
            (&[1, 2], "-3", "-3 goes below base from 2: only 2 steps are left that way"),
            (&[1, 9], "base", "9 (row 9)"),
        ] {
            let (history, rows) = (history(), rows(applied));
            let plan = downgrade(&history, &State::of(&history, &rows), &target.parse().unwrap());
            let error = plan.unwrap_err().to_string();
            assert!(error.contains(expected), "{applied:?} to {target}: {error}");
        }
    }

    #[test]
    fn drift_and_partial_application_stop_both_ways() {
        let history = history();
        let drifted = [row(1), Applied { checksum: Checksum::of("other"), ..row(2) }];
        let partial = [row(1), Applied { success: false, ..row(2) }];
        for (rows, part) in [(drifted, "2_b.up.sql"), (partial, "2 (b)")] {
            let state = State::of(&history, &rows);
            let up = upgrade(&history, &state, &Revision::Head, OutOfOrder::Refuse).unwrap_err();
            let down = downgrade(&history, &state, &Revision::Base).unwrap_err();
            assert!(up.to_string().contains(part), "{up}");
            assert!(down.to_string().contains(part), "{down}");
        }
    }
}
