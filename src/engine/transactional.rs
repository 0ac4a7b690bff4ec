//! Steps that share a transaction: all of them or none.

use std::sync::Arc;
use std::time::Instant;

use migration_core::Prepared;

use crate::engine::runner::Stopped;
use crate::engine::{Attempts, Error, Event, Outcome, Runner};
use crate::postgres::batch::session::reset_session;
use crate::postgres::batch::{self, Batch};
use crate::postgres::{DatabaseError, FailedQuery};

/// Which part of its transaction a batch is.
#[derive(Clone, Copy)]
struct Frame {
    begins: bool,
    commits: bool,
}

/// What there was to roll back.
enum RolledBack {
    Transaction,
    /// No transaction was open: none had begun, or the script had ended it.
    Nothing,
}

impl Runner<'_, '_> {
    pub(super) async fn transactional(&mut self, steps: &[Prepared<'_>]) -> Result<(), Error> {
        self.watch.met_a_lock = false;
        let mut attempts = Attempts::begin();
        loop {
            attempts.next();
            let Err(stopped) = self.transaction(steps).await else { return Ok(()) };
            self.pause(stopped, &mut attempts).await?;
        }
    }

    /// One transaction, one batch for each migration.
    async fn transaction(&mut self, steps: &[Prepared<'_>]) -> Result<(), Stopped> {
        let last = steps.len() - 1;
        let mut took = Vec::with_capacity(steps.len());
        for (index, prepared) in steps.iter().enumerate() {
            if let Some(signal) = self.interrupt.signal() {
                // Without an answer the end of the session does the same.
                let _ = self.session.execute("ROLLBACK".to_owned()).await;
                self.tracker.discarded(prepared);
                return Err(Stopped::ForGood(Error::interrupted(signal, self.tracker.state())));
            }
            let started = Instant::now();
            self.tracker.began(prepared);
            let record = (index == last).then(|| batch::record(steps, &took, &self.table));
            let frame = Frame { begins: index == 0, commits: record.is_some() };
            let begins = frame.begins.then_some(&self.table);
            let batch = Batch::of(prepared, &self.session.settings, begins, record);
            self.tracker.in_doubt = frame.commits;
            let answer = self.watched(Arc::clone(&batch.sql)).await;
            self.tracker.in_doubt &= answer.as_ref().is_err_and(|failed| failed.error.is_outage());
            match answer {
                Ok(counted) if counted != batch.commands() => {
                    self.tracker.tell(Event::Miscounted(&prepared.script.path, counted, batch.commands()));
                }
                Ok(_) => {}
                Err(completed) => {
                    return Err(self.rolled_back(steps, prepared, &batch, frame, completed).await);
                }
            }
            took.push(started.elapsed());
            self.tracker.ran(prepared, started.elapsed());
        }
        self.tracker.committed();
        Ok(())
    }

    async fn rolled_back(
        &mut self,
        steps: &[Prepared<'_>],
        prepared: &Prepared<'_>,
        batch: &Batch,
        frame: Frame,
        FailedQuery { commands, error }: FailedQuery,
    ) -> Stopped {
        let (culprit, excerpt) = batch.blame(prepared, commands, error.of_server());
        let mut outcome = self.outcome(&error);
        if outcome != Outcome::Cut {
            // A commit that fails rolls back, and then there is no transaction either.
            let at_commit = frame.commits && commands + 1 == batch.commands();
            let ran_before = !at_commit && (commands > 0 || !frame.begins);
            outcome = match self.roll_back().await {
                Ok(RolledBack::Transaction) => outcome,
                Ok(RolledBack::Nothing) if !ran_before => outcome,
                Ok(RolledBack::Nothing) => Outcome::PartiallyApplied,
                Err(error) => {
                    tracing::debug!("no rollback was possible: {error}");
                    Outcome::Cut
                }
            };
        }
        self.tracker.discarded(prepared);
        let state = match outcome {
            Outcome::Cut => "whether it was committed is not known yet".to_owned(),
            Outcome::PartiallyApplied => format!(
                "the script ended its transaction by itself: what came before is committed and not recorded; {}",
                self.tracker.state()
            ),
            _ if steps.len() > 1 => {
                format!(
                    "all {} steps of its transaction were rolled back; {}",
                    steps.len(),
                    self.tracker.state()
                )
            }
            _ => format!("it was rolled back; {}", self.tracker.state()),
        };
        let may_repeat = outcome == Outcome::NotGranted;
        let failure = self.failure(prepared, culprit, excerpt, error, outcome, state);
        Stopped::of(failure, may_repeat)
    }

    /// Ends the failed transaction, if there is one, and cleans the session for another attempt.
    async fn roll_back(&mut self) -> Result<RolledBack, DatabaseError> {
        let of = |failed: FailedQuery| failed.error;
        let rolled_back = match self.session.execute("SELECT 1".to_owned()).await {
            // in_failed_sql_transaction
            Err(FailedQuery { error, .. }) if error.sqlstate() == Some("25P02") => {
                self.session.execute("ROLLBACK".to_owned()).await.map_err(of)?;
                RolledBack::Transaction
            }
            Ok(_) => RolledBack::Nothing,
            Err(failed) => return Err(failed.error),
        };
        let reset = reset_session(&self.session.settings);
        self.session.execute(reset).await.map_err(of)?;
        Ok(rolled_back)
    }
}
