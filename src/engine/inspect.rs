//! `current` and `history`: they only read.

use std::time::{Duration, Instant};

use super::{Place, refuse_alembic};
use crate::config::Check;
use crate::database::Session;
use crate::error::Error;
use crate::plan::PlanError;
use crate::report::{Bookkeeping, MigrationReport, Reporter, text};
use crate::revision::{Position, Range, resolve};
use crate::standing::{Applied, Entry, Standing, Status};

/// How often `--wait` looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Says where the database is, and what does not simply stand as it should.
pub(super) async fn current(place: &Place<'_>, check: Check, reporter: &mut Reporter) -> Result<(), Error> {
    let mut session = place.connect(reporter).await?;
    let start = Instant::now();
    let mut applied = session.applied().await?;
    let mut said = None;
    while let Check::FailIfPending(wait) = check {
        let pending = open(&Standing::of(place.history, &applied));
        let left = wait.saturating_sub(start.elapsed());
        if pending.is_empty() || left.is_zero() {
            break;
        }
        if said != Some(pending.len()) {
            let plural = if pending.len() == 1 { "" } else { "s" };
            let missing = match (&session.facts.bookkeeping, &reporter.report.bookkeeping) {
                (None, Some(bookkeeping)) => format!("; {bookkeeping}"),
                _ => String::new(),
            };
            tracing::info!("waiting for {} pending migration{plural}{missing}", pending.len());
            said = Some(pending.len());
        }
        place
            .interrupt
            .sleep(LOOK_EVERY.min(left))
            .await
            .map_err(|signal| Error::interrupted(signal, "it only waited; nothing was changed".to_owned()))?;
        applied = look_again(place, &mut session, reporter).await?;
        reporter.report.bookkeeping = Some(Bookkeeping::found(&session.facts));
    }
    if check == Check::Show {
        refuse_alembic(&mut session).await?;
    }
    session.close().await;
    let standing = Standing::of(place.history, &applied);
    let position = standing.position();
    let is_current = |entry: &&Entry<'_>| Position::At(entry.version) == position;
    let worth_telling = |entry: &&Entry<'_>| entry.status != Status::Applied || is_current(entry);
    let told = standing.entries().iter().filter(worth_telling);
    reporter.report.migrations =
        Some(told.map(|entry| MigrationReport::of(entry, position, place.history.head())).collect());
    reporter.report.current = Some(position);
    reporter.show(text::current);
    let pending = open(&standing);
    if check == Check::Show || pending.is_empty() { Ok(()) } else { Err(Error::Pending(pending)) }
}

/// What `--check` waits for: everything whose script has not run to its end.
fn open(standing: &Standing<'_>) -> Vec<String> {
    let halfway = standing.with(Status::Halfway);
    let mut open: Vec<_> = standing.pending().chain(halfway).map(Entry::label).collect();
    open.sort();
    open
}

/// Reads once more, over a new connection where the old one broke.
async fn look_again(
    place: &Place<'_>,
    session: &mut Session,
    reporter: &mut Reporter,
) -> Result<Vec<Applied>, Error> {
    match session.look_again().await {
        Err(Error::Database { source, .. }) if source.is_outage() => {
            *session = place.connect(reporter).await?;
            session.applied().await
        }
        other => other,
    }
}

/// Says how every migration of a range stands.
pub(super) async fn history(place: &Place<'_>, range: &Range, reporter: &mut Reporter) -> Result<(), Error> {
    let mut session = place.connect(reporter).await?;
    let applied = session.applied().await?;
    refuse_alembic(&mut session).await?;
    session.close().await;
    let standing = Standing::of(place.history, &applied);
    let side = |revision| resolve(revision, place.history, &standing).map_err(PlanError::from);
    let (from, to) = (side(&range.from)?, side(&range.to)?);
    if from > to {
        return Err(Error::Range { from: range.from.to_string(), to: range.to.to_string() });
    }
    let position = standing.position();
    // Up to head means everything: what is applied above it is what one wants to see.
    let is_head = place.history.head().map(Position::At) == Some(to);
    let in_range = |entry: &&Entry<'_>| {
        let at = Position::At(entry.version);
        at > from && (at <= to || is_head)
    };
    let entries = standing.entries().iter().filter(in_range);
    reporter.report.migrations =
        Some(entries.map(|entry| MigrationReport::of(entry, position, place.history.head())).collect());
    reporter.report.current = Some(position);
    reporter.show(text::history);
    Ok(())
}
