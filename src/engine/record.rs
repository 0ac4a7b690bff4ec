//! `stamp` and `resolve`: they change what is recorded, never what is there.

use super::{Place, bookkeeping, warn_of_refusal};
use crate::config::{Extent, Resolution};
use crate::database::{Session, Table};
use crate::drift;
use crate::error::{Disagreement, Error};
use crate::message::{self, halfway};
use crate::migration::{Direction, Migration, Version};
use crate::plan::{PlanError, refuse_halfway};
use crate::report::{Bookkeeping, Reporter, text};
use crate::revision::{Position, Revision, resolve as resolve_revision};
use crate::standing::{Entry, Standing, Status};

/// Records a revision without running a script.
pub(super) async fn stamp(
    place: &Place<'_>,
    target: &Revision,
    extent: Extent,
    reporter: &mut Reporter,
) -> Result<(), Error> {
    let mut session = place.connect(reporter).await?;
    let lock = match extent {
        Extent::Run => Some(place.lock(&mut session).await?),
        Extent::Plan => None,
    };
    let applied = session.look_again().await?;
    let standing = Standing::of(place.history, &applied);
    let to = resolve_revision(target, place.history, &standing).map_err(PlanError::from)?;
    let mut records = records(&standing, to)?;
    if *target == Revision::Current {
        // The way out of drift: a script that has yet to run below is not to be passed over.
        records.retain(|record| matches!(record, Record::Rewritten(..)));
    }
    let report = &mut reporter.report;
    report.bookkeeping = Some(Bookkeeping::planned(&session.facts));
    report.from = Some(standing.position());
    report.to = Some(to);
    report.current = report.from;
    report.recorded = Some(records.iter().map(Record::describe).collect());
    if lock.is_none() && !records.is_empty() {
        warn_of_refusal(&session, &[], reporter);
    }
    reporter.show(text::recording);
    if let Some(lock) = lock {
        if !records.is_empty() {
            let table = bookkeeping(&mut session, reporter).await?;
            let records = records.iter().map(|record| record.sql(&table));
            let all: Vec<_> = table.unchanged().into_iter().chain(records).collect();
            commit(&mut session, &all.join(";\n"), to, reporter).await?;
        }
        lock.release(&mut session).await?;
        reporter.show(text::recorded);
    }
    session.close().await;
    Ok(())
}

/// Ends the halfway standing of a no-transaction script, as a person decided.
pub(super) async fn resolve(
    place: &Place<'_>,
    named: Option<&Revision>,
    resolution: Resolution,
    reporter: &mut Reporter,
) -> Result<(), Error> {
    let mut session = place.connect(reporter).await?;
    let lock = place.lock(&mut session).await?;
    let applied = session.look_again().await?;
    let Some(row) = applied.iter().find(|row| !row.success) else {
        return Err(Error::NothingToResolve(
            "no script stands halfway; there is nothing to resolve".to_owned(),
        ));
    };
    let standing = Standing::of(place.history, &applied);
    if let Some(named) = named {
        let meant = resolve_revision(named, place.history, &standing).map_err(PlanError::from)?;
        if meant != Position::At(row.version) {
            return Err(Error::NothingToResolve(format!(
                "{named} does not stand halfway; {} does",
                row.version.called(&row.description)
            )));
        }
    }
    let table = bookkeeping(&mut session, reporter).await?;
    let direction = halfway::direction(row.execution_time);
    let sql = match resolution {
        Resolution::Done => halfway::conclude(row.version, direction, &table),
        Resolution::Retry => halfway::undo(row.version, direction, &table),
    };
    let what = match (resolution, direction) {
        (Resolution::Done, Direction::Up) => "as applied",
        (Resolution::Done, Direction::Down) => "as taken back",
        (Resolution::Retry, Direction::Up) => "as not applied; upgrade runs its script again",
        (Resolution::Retry, Direction::Down) => "as applied; downgrade runs its script again",
    };
    let is_applied = (resolution == Resolution::Done) == (direction == Direction::Up);
    let after = applied.iter().rfind(|other| other.success || (is_applied && other.version == row.version));
    let to = after.map_or(Position::Base, |row| Position::At(row.version));
    commit(&mut session, &sql, to, reporter).await?;
    reporter.report.recorded = Some(vec![format!("{} {what}", row.version.called(&row.description))]);
    lock.release(&mut session).await?;
    session.close().await;
    reporter.show(text::recording);
    reporter.show(text::recorded);
    Ok(())
}

async fn commit(
    session: &mut Session,
    sql: &str,
    to: Position,
    reporter: &mut Reporter,
) -> Result<(), Error> {
    reporter.in_doubt = true;
    let answer = session.execute(format!("BEGIN ISOLATION LEVEL READ COMMITTED;\n{sql};\nCOMMIT")).await;
    reporter.in_doubt = answer.as_ref().is_err_and(|failed| failed.error.is_outage());
    match answer {
        Ok(_) => {
            reporter.recorded(to);
            Ok(())
        }
        Err(completed) => {
            let state = if reporter.in_doubt {
                "; whether it was written is not known, `history` tells"
            } else {
                "; nothing was changed"
            };
            let source = completed.error;
            Err(Error::Database { doing: "writing the bookkeeping", source, state: state.to_owned() })
        }
    }
}
