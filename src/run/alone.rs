//! No-transaction scripts: every statement commits by itself, and while the script is under way
//! its row has `success = false`.

use std::time::Instant;

use super::{Attempts, Runner, Stopped};
use crate::database::{Completed, DatabaseError};
use crate::error::Error;
use crate::failure::{Culprit, Outcome};
use crate::message;
use crate::script::Prepared;
use crate::statement::Statement;

impl Runner<'_> {
    pub(super) async fn alone(&mut self, prepared: &Prepared<'_>) -> Result<(), Error> {
        let started = Instant::now();
        self.announce(prepared);
        self.bookkeep(prepared, message::enter_halfway(prepared, &self.table)).await?;
        for (index, statement) in prepared.split().iter().enumerate() {
            if let Err(error) = self.until_granted(prepared, index, statement).await {
                if left_nothing(&error, index, statement) {
                    self.undo(prepared).await?;
                }
                return Err(error);
            }
        }
        if !prepared.is_session_neutral {
            self.bookkeep(prepared, message::reset_session(&self.session.settings)).await?;
        }
        let done = message::leave_halfway(prepared, &self.table, started.elapsed().as_nanos());
        self.bookkeep(prepared, done).await?;
        self.reporter.ran(prepared, started.elapsed());
        self.reporter.committed();
        Ok(())
    }

    /// Runs one statement, again and again as long as it only lacks a lock.
    async fn until_granted(
        &mut self,
        prepared: &Prepared<'_>,
        index: usize,
        statement: &Statement<'_>,
    ) -> Result<(), Error> {
        let mut attempts = Attempts::begin();
        loop {
            if let Some(signal) = self.interrupt.signal() {
                let state = format!("{}; {}", state_after(prepared, index, statement), self.reporter.state());
                return Err(Error::Interrupted { signal, state });
            }
            attempts.next();
            match self.send(prepared, statement).await? {
                Ok(()) => return Ok(()),
                Err(error) => {
                    let stopped = self.stopped(prepared, index, statement, error);
                    self.pause(stopped, &mut attempts).await?;
                }
            }
        }
    }

    /// The outer result is about what we do around the statement, the inner one about itself.
    async fn send(
        &mut self,
        prepared: &Prepared<'_>,
        statement: &Statement<'_>,
    ) -> Result<Result<(), DatabaseError>, Error> {
        if statement.is_maintenance() {
            self.bookkeep(prepared, message::without_limits().to_owned()).await?;
        }
        if statement.is_concurrent() {
            self.lock.release_sqlx(self.session).await?;
        }
        let result = self.watched(statement.text.to_owned()).await.map_err(|completed| completed.error);
        if matches!(&result, Err(error) if error.is_outage()) {
            return Ok(result);
        }
        if statement.is_concurrent() {
            self.lock.take_sqlx(self.session, &self.manners, self.interrupt).await?;
        }
        if statement.is_maintenance() {
            self.bookkeep(prepared, self.session.settings.clone()).await?;
        }
        Ok(result)
    }

    /// A query of ours around the script.
    async fn bookkeep(&mut self, prepared: &Prepared<'_>, sql: String) -> Result<(), Error> {
        let Err(Completed { error, .. }) = self.session.execute(sql).await else { return Ok(()) };
        let outcome = if error.is_outage() { Outcome::Cut } else { Outcome::Halfway };
        self.reporter.failed(prepared);
        let state = self.reporter.state();
        let failure = self.failure(prepared, Culprit::Bookkeeping, None, error, outcome, state);
        Err(Error::Step(Box::new(failure)))
    }

    /// Nothing took effect, so nothing stands halfway.
    async fn undo(&mut self, prepared: &Prepared<'_>) -> Result<(), Error> {
        let step = prepared.step;
        let undo = message::undo_halfway(step.migration.version, step.direction, &self.table);
        self.bookkeep(prepared, format!("{};\n{undo}", message::reset_session(&self.session.settings))).await
    }

    fn stopped(
        &mut self,
        prepared: &Prepared<'_>,
        index: usize,
        statement: &Statement<'_>,
        error: DatabaseError,
    ) -> Stopped {
        let server_error = match &error {
            DatabaseError::Server(error) => Some(error.as_ref()),
            DatabaseError::Cut(_) | DatabaseError::Tls(_) => None,
        };
        let (culprit, excerpt) = message::blame_statement(prepared, index, server_error);
        let met = self.outcome(&error);
        let may_repeat = met == Outcome::NotGranted && statement.is_atomic();
        let outcome = match met {
            Outcome::Cut => Outcome::Cut,
            nothing_done if index == 0 && statement.is_atomic() => nothing_done,
            _ => Outcome::Halfway,
        };
        self.reporter.failed(prepared);
        let state = match outcome {
            Outcome::Cut => "whether the statement took effect is not known".to_owned(),
            _ => format!("{}; {}", state_after(prepared, index, statement), self.reporter.state()),
        };
        let mut failure = self.failure(prepared, culprit, excerpt, error, outcome, state);
        if outcome == Outcome::Halfway {
            let next = format!(
                "bring what the script left behind to one side; then `resolve {version} --done` if all of it is in \
                 effect, or `resolve {version} --retry` if none of it is",
                version = failure.version
            );
            failure.advice = Some(match failure.advice.take() {
                Some(advice) => format!("{advice}\n{next}"),
                None => next,
            });
        }
        Stopped::of(failure, may_repeat)
    }
}

/// Whether a script that ended with `error` at this statement left no trace.
fn left_nothing(error: &Error, index: usize, statement: &Statement<'_>) -> bool {
    match error {
        Error::Step(failure) => !matches!(failure.outcome, Outcome::Cut | Outcome::Halfway),
        Error::Interrupted { .. } => index == 0 && statement.is_atomic(),
        _ => false,
    }
}

/// What is in effect when statement `index` is not.
fn state_after(prepared: &Prepared<'_>, index: usize, statement: &Statement<'_>) -> String {
    match index {
        0 if statement.is_atomic() => "nothing of the script took effect".to_owned(),
        0 => "the script stands halfway: its first statement may have left something behind".to_owned(),
        done => format!(
            "the script stands halfway: {done} of its {} statements are in effect",
            prepared.statements
        ),
    }
}
