//! What became of a step whose connection broke, asked of the server over another one.

use std::time::{Duration, Instant};

use super::{Place, halfway, refuse_unwritable};
use crate::database::{RunLock, Session};
use crate::error::{Error, ExitCode};
use crate::failure::{Failure, Outcome};
use crate::migration::Direction;
use crate::report::Reporter;
use crate::revision::Position;
use crate::run::at;

/// After the connection broke: was it committed? Getting the run lock again proves that the old
/// session is gone; then the bookkeeping tells.
pub(super) async fn learn(place: &Place<'_>, mut failure: Box<Failure>, reporter: &mut Reporter) -> Error {
    let again = "run again to go on";
    if !reporter.in_doubt {
        // The server was not told to commit.
        failure.state = format!("it was rolled back; {}; {again}", reporter.state());
        failure.outcome = place.interrupt.signal().map_or(Outcome::Cut, Outcome::Stopped);
        return Error::Step(failure);
    }
    tracing::warn!("{}; connecting again to learn what became of it", failure.headline());
    failure.state = match ask(place, &failure, reporter).await {
        Ok(Became::Committed) => {
            reporter.turned_out_committed();
            format!("it was committed all the same; {}; {again}", reporter.state())
        }
        Ok(Became::RolledBack) => format!("it was rolled back; {}; {again}", reporter.state()),
        Ok(Became::Lost(lost)) => format!(
            "the server that answers now lacks what this run committed: {}, as after a failover to a standby that had \
             not received it; the database is {}; make sure that this is the server to go on with, then {again}",
            lost.join(", "),
            at(reporter.report.current.unwrap_or(Position::Base), reporter.report.head.map(Position::At)),
        ),
        Ok(Became::Interrupted) => format!("its script stands halfway; {}; {again}", reporter.state()),
        Err(error) if error.exit_code() == ExitCode::Halfway => {
            failure.outcome = Outcome::Halfway;
            error.in_passing()
        }
        Err(Error::Interrupted { signal, .. }) => {
            format!("what became of it is not known ({signal}); {again}")
        }
        Err(error) => format!("what became of it is not known ({}); {again}", error.in_passing()),
    };
    Error::Step(failure)
}

/// What became of a step whose connection broke.
enum Became {
    Committed,
    RolledBack,
    /// Nobody knows: the server has forgotten steps before it.
    Lost(Vec<String>),
    /// A no-transaction script, which can go on.
    Interrupted,
}

async fn ask(place: &Place<'_>, failure: &Failure, reporter: &mut Reporter) -> Result<Became, Error> {
    let mut session = primary(place, reporter).await?;
    refuse_unwritable(&session)?;
    let lock = RunLock::take(&mut session, &place.server.manners, place.interrupt).await?;
    let applied = session.look_again().await?;
    let resumed = halfway::find(&mut session, place, &applied, failure.direction).await?;
    lock.release(&mut session).await?;
    session.close().await;
    let versions: Vec<_> = applied.iter().filter(|row| row.success).map(|row| row.version).collect();
    let lost = reporter.found(&versions);
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
async fn primary(place: &Place<'_>, reporter: &mut Reporter) -> Result<Session, Error> {
    let timeout = place.server.manners.connect_timeout;
    let start = Instant::now();
    loop {
        let session = place.connect(reporter).await?;
        if !session.facts.is_standby || (!timeout.is_zero() && start.elapsed() >= timeout) {
            return Ok(session);
        }
        session.close().await;
        place.serving.set(None);
        let waited = place.interrupt.sleep(Duration::from_millis(500)).await;
        waited.map_err(|signal| Error::interrupted(signal, "the server is a standby"))?;
    }
}
