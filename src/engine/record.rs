//! `stamp` and `resolve`: they change what is recorded, never what is there.

use migration_core::plan::record::{Record, records};
use migration_core::revision::resolve as resolve_revision;
use migration_core::script::prepare;
use migration_core::{Direction, PlanError, Position, Revision, State, Step};

use crate::engine::change::bookkeeping;
use crate::engine::permission::warn_of_refusal;
use crate::engine::task::Resolution;
use crate::engine::{Context, Error, Mode, Section, Tracker};
use crate::postgres::batch::{self, partially_applied};
use crate::postgres::{Error as PostgresError, Session, Table};

fn sql(record: &Record<'_>, table: &Table) -> String {
    match record {
        Record::Applied(migration) => batch::insert(migration, table, true, "0"),
        Record::NotApplied(version, _) => batch::remove(*version, table),
        Record::Rewritten(migration, _) => batch::rewrite_checksum(migration, table),
    }
}

/// What is recorded as applied is a script that `upgrade` would have run.
fn check(records: &[Record<'_>]) -> Result<(), Error> {
    let mut steps = Vec::new();
    for record in records {
        if let Record::Applied(migration) = record {
            steps.push(Step { migration, direction: Direction::Up });
        }
    }
    prepare(&steps)?;
    Ok(())
}

pub(super) async fn stamp(
    context: &Context<'_>,
    target: &Revision,
    mode: Mode,
    tracker: &mut Tracker<'_>,
) -> Result<(), Error> {
    let mut session = context.connect(tracker).await?;
    let lock = match mode {
        Mode::Run => Some(context.lock(&mut session).await?),
        Mode::Plan => None,
    };
    let applied = session.read_again().await?;
    let state = State::of(context.history, &applied);
    let to = resolve_revision(target, context.history, Some(state.applied())).map_err(PlanError::from)?;
    let mut records = records(&state, to)?;
    if *target == Revision::Current {
        // The way out of drift: a script that has yet to run below is not to be passed over.
        records.retain(|record| matches!(record, Record::Rewritten(..)));
    }
    check(&records)?;
    let report = &mut tracker.report;
    report.header.bookkeeping = Some(session.info.planned_bookkeeping());
    report.header.from = Some(state.position());
    report.header.to = Some(to);
    report.header.current = report.header.from;
    report.recorded = Some(records.iter().map(Record::describe).collect());
    // Without a table the next run would find the database in the same state again.
    let is_first = session.info.bookkeeping.is_none() && *target != Revision::Current;
    if is_first && records.is_empty() {
        report.recorded = Some(vec!["that no migration is applied".to_owned()]);
    }
    if lock.is_none() && !records.is_empty() {
        warn_of_refusal(&session, &[], tracker);
    }
    tracker.show(Section::Recording);
    if let Some(lock) = lock {
        if !records.is_empty() || is_first {
            let table = bookkeeping(&mut session, tracker).await?;
            let records = records.iter().map(|record| sql(record, &table));
            let all: Vec<_> = table.unchanged().into_iter().chain(records).collect();
            commit(&mut session, &all.join(";\n"), to, tracker).await?;
        }
        lock.release(&mut session).await?;
        tracker.show(Section::Recorded);
    }
    session.close().await;
    Ok(())
}

/// Ends the partial application of a no-transaction script, as a person decided.
pub(super) async fn resolve(
    context: &Context<'_>,
    named: Option<&Revision>,
    resolution: Resolution,
    tracker: &mut Tracker<'_>,
) -> Result<(), Error> {
    let mut session = context.connect(tracker).await?;
    let lock = context.lock(&mut session).await?;
    let applied = session.read_again().await?;
    let Some(row) = applied.iter().find(|row| !row.success) else {
        return Err(Error::NothingToResolve(
            "no script is partially applied; there is nothing to resolve".to_owned(),
        ));
    };
    let state = State::of(context.history, &applied);
    if let Some(named) = named {
        let meant =
            resolve_revision(named, context.history, Some(state.applied())).map_err(PlanError::from)?;
        if meant != Position::At(row.version) {
            return Err(Error::NothingToResolve(format!(
                "{named} is not partially applied; {} is",
                row.version.called(&row.description)
            )));
        }
    }
    let table = bookkeeping(&mut session, tracker).await?;
    let direction = partially_applied::direction(row.execution_time);
    let sql = match resolution {
        Resolution::Done => partially_applied::conclude(row.version, direction, &table),
        Resolution::Retry => partially_applied::undo(row.version, direction, &table),
    };
    let what = match (resolution, direction) {
        (Resolution::Done, Direction::Up) => "as applied",
        (Resolution::Done, Direction::Down) => "as reverted",
        (Resolution::Retry, Direction::Up) => "as not applied; upgrade runs its script again",
        (Resolution::Retry, Direction::Down) => "as applied; downgrade runs its script again",
    };
    let is_applied = (resolution == Resolution::Done) == (direction == Direction::Up);
    let after = applied.iter().rfind(|other| other.success || (is_applied && other.version == row.version));
    let to = after.map_or(Position::Base, |row| Position::At(row.version));
    commit(&mut session, &sql, to, tracker).await?;
    tracker.report.recorded = Some(vec![format!("{} {what}", row.version.called(&row.description))]);
    lock.release(&mut session).await?;
    session.close().await;
    tracker.show(Section::Recording);
    tracker.show(Section::Recorded);
    Ok(())
}

async fn commit(
    session: &mut Session,
    sql: &str,
    to: Position,
    tracker: &mut Tracker<'_>,
) -> Result<(), Error> {
    tracker.in_doubt = true;
    let answer = session.execute(format!("BEGIN ISOLATION LEVEL READ COMMITTED;\n{sql};\nCOMMIT")).await;
    tracker.in_doubt = answer.as_ref().is_err_and(|failed| failed.error.is_outage());
    match answer {
        Ok(_) => {
            tracker.recorded(to);
            Ok(())
        }
        Err(failed) => {
            let state = if tracker.in_doubt {
                "; whether it was written is not known, `history` tells"
            } else {
                "; nothing was changed"
            };
            let source = failed.error;
            let doing = "writing the bookkeeping";
            Err(PostgresError::Query { doing, source, state: state.to_owned() }.into())
        }
    }
}
