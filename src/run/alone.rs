//! No-transaction scripts: every statement commits by itself. While the script is under way its row
//! has `success = false`, and each statement's start and end is recorded, so that a later run can
//! tell where this one stopped.

use std::time::Instant;

use super::{Attempts, Runner, Stopped};
use crate::database::{Completed, DatabaseError};
use crate::error::Error;
use crate::failure::{Culprit, Outcome};
use crate::message::{self, halfway};
use crate::script::Prepared;
use crate::statement::Statement;

/// How long the removal of an invalid index may take when a build has failed: it waits for every
/// transaction that uses the table, and a signal may have come.
const DROP_LIMIT: &str = "SET lock_timeout = 0; SET statement_timeout = '10s'";

/// One statement of a script.
struct Part<'p> {
    prepared: &'p Prepared<'p>,
    index: usize,
    statement: &'p Statement<'p>,
    /// Whether all before it left the session alone: only then can more be recorded, and only then
    /// can another session go on here.
    is_clear: bool,
}

/// A statement that failed.
struct Failed {
    error: DatabaseError,
    /// Whether nothing of it is left.
    is_gone: bool,
}

/// Why a script ended at a statement.
struct Ended {
    error: Error,
    /// Whether nothing of the statement is left.
    is_gone: bool,
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self { error, is_gone: false }
    }
}

impl Part<'_> {
    /// What is in effect when this statement is not.
    fn state(&self, is_gone: bool) -> String {
        let of = self.prepared.statements;
        match self.index {
            0 if is_gone => "nothing of the script took effect".to_owned(),
            0 => "the script stands halfway: its first statement may have left something behind".to_owned(),
            done => format!("the script stands halfway: {done} of its {of} statements are in effect"),
        }
    }
}

impl Runner<'_> {
    pub(super) async fn alone(&mut self, prepared: &Prepared<'_>) -> Result<(), Error> {
        let started = Instant::now();
        self.announce(prepared);
        let first = prepared.resumes_at.unwrap_or(0);
        if prepared.resumes_at.is_none() {
            self.bookkeep(prepared, halfway::enter(prepared, &self.table)).await?;
        }
        let statements = prepared.split();
        for (index, statement) in statements.iter().enumerate().skip(first) {
            let is_clear = statements[..index].iter().all(Statement::leaves_session_alone);
            let part = Part { prepared, index, statement, is_clear };
            if let Err(Ended { error, is_gone }) = self.until_granted(&part).await {
                if is_gone && index == 0 {
                    self.undo(prepared).await?;
                }
                return Err(error);
            }
        }
        if !prepared.is_session_neutral {
            self.bookkeep(prepared, message::reset_session(&self.session.settings)).await?;
        }
        let done = halfway::leave(prepared, &self.table, started.elapsed().as_nanos());
        self.bookkeep(prepared, done).await?;
        self.reporter.ran(prepared, started.elapsed());
        self.reporter.committed();
        Ok(())
    }

    /// Runs one statement, again and again as long as it only lacks a lock.
    async fn until_granted(&mut self, part: &Part<'_>) -> Result<(), Ended> {
        let mut attempts = Attempts::begin();
        loop {
            if let Some(signal) = self.interrupt.signal() {
                let state = format!("{}; {}", part.state(true), self.reporter.state());
                return Err(Ended { error: Error::Interrupted { signal, state }, is_gone: true });
            }
            attempts.next();
            match self.send(part).await? {
                Ok(()) => return Ok(()),
                Err(failed) => {
                    let is_gone = failed.is_gone;
                    let stopped = self.stopped(part, failed);
                    self.pause(stopped, &mut attempts).await.map_err(|error| Ended { error, is_gone })?;
                }
            }
        }
    }

    /// The outer result is about what we do around the statement, the inner one about itself.
    async fn send(&mut self, part: &Part<'_>) -> Result<Result<(), Failed>, Error> {
        let Part { prepared, index, statement, is_clear } = *part;
        if is_clear && statement.can_join_a_transaction() && statement.leaves_session_alone() {
            let (before, after) = halfway::around(prepared, &self.table, index);
            return self.joined(part, before, &after).await;
        }
        let target = statement.concurrent();
        let mut before = Vec::new();
        if let Some(target) = &target {
            before = self.session.indexes_of(target).await.map_err(looking)?;
        }
        if is_clear {
            self.bookkeep(prepared, halfway::start(prepared, &self.table, index, !before.is_empty())).await?;
        }
        match self.by_itself(part).await? {
            Ok(()) => {
                if is_clear && statement.leaves_session_alone() {
                    self.bookkeep(prepared, halfway::finish(&self.table, index)).await?;
                }
                Ok(Ok(()))
            }
            Err(error) if error.is_outage() => Ok(Err(Failed { error, is_gone: false })),
            Err(error) => {
                let mut is_gone = statement.is_atomic();
                if let Some(target) = &target {
                    let after = self.session.indexes_of(target).await.map_err(looking)?;
                    let invalid = after
                        .iter()
                        .filter(|index| !index.is_valid && !before.iter().any(|old| old.name == index.name));
                    is_gone =
                        self.drop_all(prepared, invalid.map(|index| index.name.as_str()).collect()).await?;
                }
                if is_gone && is_clear {
                    self.bookkeep(prepared, halfway::forget(&self.table, index)).await?;
                }
                Ok(Err(Failed { error, is_gone }))
            }
        }
    }

    /// A statement and its record: both or neither.
    async fn joined(
        &mut self,
        part: &Part<'_>,
        before: &str,
        after: &str,
    ) -> Result<Result<(), Failed>, Error> {
        let Err(Completed { commands, error }) =
            self.watched(format!("{before}{}{after}", part.statement.text)).await
        else {
            return Ok(Ok(()));
        };
        if error.is_outage() {
            return Ok(Err(Failed { error, is_gone: false }));
        }
        self.bookkeep(part.prepared, "ROLLBACK".to_owned()).await?;
        // BEGIN is the first command, the statement the second; the rest is ours.
        if commands > 1 {
            return Err(self.ours_failed(part.prepared, error));
        }
        Ok(Err(Failed { error: error.shifted_back(before.chars().count()), is_gone: true }))
    }

    /// A statement that can't share a transaction.
    async fn by_itself(&mut self, part: &Part<'_>) -> Result<Result<(), DatabaseError>, Error> {
        let Part { prepared, statement, .. } = *part;
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

    /// Drops what a failed build left: an invalid unique index rejects the site's writes. Says
    /// whether nothing is left.
    async fn drop_all(&mut self, prepared: &Prepared<'_>, indexes: Vec<&str>) -> Result<bool, Error> {
        let mut is_gone = true;
        for index in indexes {
            self.bookkeep(prepared, DROP_LIMIT.to_owned()).await?;
            let dropped = self.session.execute(format!("DROP INDEX CONCURRENTLY IF EXISTS {index}")).await;
            match dropped {
                Ok(()) => tracing::info!("dropped {index}, which the failed build left invalid"),
                Err(Completed { error, .. }) => {
                    tracing::warn!("{index} is invalid and could not be dropped: {error}");
                    is_gone = false;
                }
            }
            self.bookkeep(prepared, self.session.settings.clone()).await?;
        }
        Ok(is_gone)
    }

    /// A query of ours around the script.
    async fn bookkeep(&mut self, prepared: &Prepared<'_>, sql: String) -> Result<(), Error> {
        match self.session.execute(sql).await {
            Ok(()) => Ok(()),
            Err(Completed { error, .. }) => Err(self.ours_failed(prepared, error)),
        }
    }

    fn ours_failed(&mut self, prepared: &Prepared<'_>, error: DatabaseError) -> Error {
        let outcome = if error.is_outage() { Outcome::Cut } else { Outcome::Halfway };
        self.reporter.failed(prepared);
        let state = self.reporter.state();
        Error::Step(Box::new(self.failure(prepared, Culprit::Bookkeeping, None, error, outcome, state)))
    }

    /// Nothing took effect, so nothing stands halfway.
    async fn undo(&mut self, prepared: &Prepared<'_>) -> Result<(), Error> {
        let step = prepared.step;
        let undo = halfway::undo(step.migration.version, step.direction, &self.table);
        self.bookkeep(prepared, format!("{};\n{undo}", message::reset_session(&self.session.settings))).await
    }

    fn stopped(&mut self, part: &Part<'_>, Failed { error, is_gone }: Failed) -> Stopped {
        let Part { prepared, index, is_clear, .. } = *part;
        let server_error = match &error {
            DatabaseError::Server(error) => Some(error.as_ref()),
            DatabaseError::Cut(_) | DatabaseError::Tls(_) => None,
        };
        let (culprit, excerpt) = message::blame_statement(prepared, index, server_error);
        let met = self.outcome(&error);
        let may_repeat = met == Outcome::NotGranted && is_gone;
        let outcome = match met {
            Outcome::Cut => Outcome::Cut,
            nothing_done if index == 0 && is_gone => nothing_done,
            // A later run goes on here, so it is worth another one.
            passing @ (Outcome::NotGranted | Outcome::Stopped(_)) if is_clear => passing,
            _ => Outcome::Halfway,
        };
        self.reporter.failed(prepared);
        let state = match outcome {
            Outcome::Cut => "whether the statement took effect is not known".to_owned(),
            _ => format!("{}; {}", part.state(is_gone), self.reporter.state()),
        };
        let mut failure = self.failure(prepared, culprit, excerpt, error, outcome, state);
        if outcome == Outcome::Halfway {
            failure.advice = Some(match failure.advice.take() {
                Some(advice) => format!("{advice}\n{}", way_out(part)),
                None => way_out(part),
            });
        }
        Stopped::of(failure, may_repeat)
    }
}

fn looking(source: DatabaseError) -> Error {
    Error::database("looking at the indexes of a concurrent build", source)
}

fn way_out(part: &Part<'_>) -> String {
    let version = part.prepared.step.migration.version;
    let on = if part.is_clear {
        "mend the cause and run again, which goes on with this statement; or "
    } else {
        ""
    };
    format!(
        "{on}bring what the script left behind to one side, then `resolve {version} --done` if all of it is in effect, \
         or `resolve {version} --retry` if none of it is"
    )
}
