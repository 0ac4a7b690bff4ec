//! `current` and `history`: they only read.

use std::time::{Duration, Instant};

use migration_core::revision::resolve;
use migration_core::state::{Entry, Status};
use migration_core::summary::MigrationReport;
use migration_core::{Applied, PlanError, Position, Range, Revision, State};

use crate::engine::permission::{refuse_distrusted, refuse_other_tool, warn_unless};
use crate::engine::task::Check;
use crate::engine::{Context, Error, Event, Section, Tracker};
use crate::postgres::{Error as PostgresError, Session};

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Says where the database is, and what is not simply as it should be.
pub(super) async fn current(
    context: &Context<'_>,
    revision: Option<&Revision>,
    check: Check,
    tracker: &mut Tracker<'_>,
) -> Result<(), Error> {
    let mut session = context.connect(tracker).await?;
    let start = Instant::now();
    let mut applied = session.applied().await?;
    if let Some(revision) = revision {
        let state = State::of(context.history, &applied);
        resolve(revision, context.history, Some(state.applied())).map_err(PlanError::from)?;
    }
    let mut said = None;
    while let Check::FailIfPending(wait) = check {
        let pending = open(&State::of(context.history, &applied));
        let left = wait.saturating_sub(start.elapsed());
        if pending.is_empty() || left.is_zero() {
            break;
        }
        if said != Some(pending.len()) {
            let missing = session.info.found_bookkeeping();
            let bookkeeping = session.info.bookkeeping.is_none().then_some(&missing);
            tracker.tell(Event::WaitingForMigrations(pending.len(), bookkeeping));
            said = Some(pending.len());
        }
        context
            .interrupt
            .sleep(LOOK_EVERY.min(left))
            .await
            .map_err(|signal| Error::interrupted(signal, "it only waited; nothing was changed"))?;
        applied = read_again(context, &mut session, tracker).await?;
        tracker.report.header.bookkeeping = Some(session.info.found_bookkeeping());
    }
    match check {
        Check::Show => warn_of_a_stranger_s(&session, tracker),
        Check::FailIfPending(_) if migrates(&session) => refuse_distrusted(&session)?,
        Check::FailIfPending(_) => {}
    }
    if check == Check::Show {
        refuse_other_tool(&mut session).await?;
    }
    session.close().await;
    let state = State::of(context.history, &applied);
    let position = state.position();
    let is_current = |entry: &&Entry<'_>| Position::At(entry.version) == position;
    let worth_telling = |entry: &&Entry<'_>| entry.status != Status::Applied || is_current(entry);
    let told = state.entries().iter().filter(worth_telling);
    tracker.report.migrations =
        Some(told.map(|entry| MigrationReport::of(entry, position, context.history.head())).collect());
    tracker.report.header.current = Some(position);
    tracker.show(Section::Current);
    let pending = open(&state);
    if check == Check::Show || pending.is_empty() { Ok(()) } else { Err(Error::Pending(pending)) }
}

/// Whether the role is one that could run the migrations. To one that only reads, whoever runs them is a stranger.
fn migrates(session: &Session) -> bool {
    session.info.bookkeeping.as_ref().is_some_and(|table| table.may_create)
}

fn warn_of_a_stranger_s(session: &Session, tracker: &mut Tracker<'_>) {
    if migrates(session) {
        warn_unless(refuse_distrusted(session), session, tracker);
    }
}

/// What `--check` waits for: everything whose script has not run to its end.
fn open(state: &State<'_>) -> Vec<String> {
    let partial = state.with(Status::PartiallyApplied);
    let mut open: Vec<_> = state.pending().chain(partial).map(Entry::label).collect();
    open.sort();
    open
}

/// Reads once more, over a new connection where the old one broke.
async fn read_again(
    context: &Context<'_>,
    session: &mut Session,
    tracker: &mut Tracker<'_>,
) -> Result<Vec<Applied>, Error> {
    match session.read_again().await {
        Err(PostgresError::Query { source, .. }) if source.is_outage() => {
            *session = context.connect(tracker).await?;
            Ok(session.applied().await?)
        }
        other => Ok(other?),
    }
}

pub(super) async fn history(
    context: &Context<'_>,
    range: &Range,
    tracker: &mut Tracker<'_>,
) -> Result<(), Error> {
    let mut session = context.connect(tracker).await?;
    let applied = session.applied().await?;
    refuse_other_tool(&mut session).await?;
    warn_of_a_stranger_s(&session, tracker);
    session.close().await;
    let state = State::of(context.history, &applied);
    let side = |revision| resolve(revision, context.history, Some(state.applied())).map_err(PlanError::from);
    let (from, to) = (side(&range.from)?, side(&range.to)?);
    if from > to {
        return Err(Error::Range { from: range.from.to_string(), to: range.to.to_string() });
    }
    let position = state.position();
    // Up to head means everything: what is applied above it is what one wants to see.
    let is_head = context.history.head().map(Position::At) == Some(to);
    let in_range = |entry: &&Entry<'_>| {
        let at = Position::At(entry.version);
        at > from && (at <= to || is_head)
    };
    let entries = state.entries().iter().filter(in_range);
    tracker.report.migrations =
        Some(entries.map(|entry| MigrationReport::of(entry, position, context.history.head())).collect());
    tracker.report.header.current = Some(position);
    tracker.show(Section::History);
    Ok(())
}
