//! What became of a step whose connection broke, asked of the server over another one.

use std::time::{Duration, Instant};

use migration_core::Direction;

use crate::engine::permission::refuse_unwritable;
use crate::engine::{Context, Error, Event, Failure, Outcome, Tracker, resume};
use crate::postgres::{RunLock, Session};

/// After the connection broke: was it committed? Getting the run lock again proves that the old
/// session is gone; then the bookkeeping tells.
pub(super) async fn learn(
    context: &Context<'_>,
    mut failure: Box<Failure>,
    tracker: &mut Tracker<'_>,
) -> Error {
    let again = "run again to go on";
    if !tracker.in_doubt {
        // The server was not told to commit.
        failure.state = format!("it was rolled back; {}; {again}", tracker.state());
        failure.outcome = context.interrupt.signal().map_or(Outcome::Cut, Outcome::Stopped);
        return Error::Failed(failure);
    }
    tracker.tell(Event::Reconnecting(&failure));
    failure.state = match ask(context, &failure, tracker).await {
        Ok(Became::Committed) => {
            tracker.turned_out_committed();
            format!("it was committed all the same; {}; {again}", tracker.state())
        }
        Ok(Became::RolledBack) => format!("it was rolled back; {}; {again}", tracker.state()),
        Ok(Became::Lost(lost)) => format!(
            "the server that answers now lacks what this run committed: {}, as after a failover to a standby that had \
             not received it; the database is {}; make sure that this is the server to go on with, then {again}",
            lost.join(", "),
            tracker.report.place(),
        ),
        Ok(Became::Interrupted) => format!("its script is partially applied; {}; {again}", tracker.state()),
        Err(error) if error.is_partially_applied() => {
            failure.outcome = Outcome::PartiallyApplied;
            error.in_passing()
        }
        Err(Error::Interrupted { signal, .. }) => {
            format!("what became of it is not known ({signal}); {again}")
        }
        Err(error) => format!("what became of it is not known ({}); {again}", error.in_passing()),
    };
    Error::Failed(failure)
}

enum Became {
    Committed,
    RolledBack,
    /// Nobody knows: the server has forgotten steps before it.
    Lost(Vec<String>),
    Interrupted,
}

async fn ask(context: &Context<'_>, failure: &Failure, tracker: &mut Tracker<'_>) -> Result<Became, Error> {
    let mut session = primary(context, tracker).await?;
    refuse_unwritable(&session)?;
    let lock = RunLock::take(&mut session, &context.server.options, context.interrupt).await?;
    let applied = session.read_again().await?;
    let resumed = resume::find(&mut session, context, &applied, failure.direction).await?;
    lock.release(&mut session).await?;
    session.close().await;
    let versions: Vec<_> = applied.iter().filter(|row| row.success).map(|row| row.version).collect();
    let lost = tracker.found(&versions);
    if !lost.is_empty() {
        return Ok(Became::Lost(lost));
    }
    if resumed.is_some() {
        return Ok(Became::Interrupted);
    }
    let is_there = applied.iter().any(|row| row.version == failure.version);
    let was_committed = is_there == (failure.direction == Direction::Up);
    Ok(if was_committed { Became::Committed } else { Became::RolledBack })
}

/// Connects, and waits for a standby that is about to take over.
async fn primary(context: &Context<'_>, tracker: &mut Tracker<'_>) -> Result<Session, Error> {
    let timeout = context.server.options.connect_timeout;
    let start = Instant::now();
    loop {
        let session = context.connect(tracker).await?;
        if !session.info.is_standby || (!timeout.is_zero() && start.elapsed() >= timeout) {
            return Ok(session);
        }
        session.close().await;
        context.backend.set(None);
        let waited = context.interrupt.sleep(Duration::from_millis(500)).await;
        waited.map_err(|signal| Error::interrupted(signal, "the server is a standby"))?;
    }
}
