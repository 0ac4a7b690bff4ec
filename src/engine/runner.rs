//! Carries a plan out, step by step, and knows at every moment where the database is.

use std::sync::Arc;

use migration_core::plan::groups;
use migration_core::{Direction, Excerpt, Group, Position, Prepared, wording};

use crate::engine::advice::advice;
use crate::engine::event::Retry;
use crate::engine::retry::{DRAIN, jittered};
use crate::engine::watch::Watch;
use crate::engine::{Attempts, Error, Event, Failure, Outcome, Tracker};
use crate::postgres::{Culprit, DatabaseError, FailedQuery, Interrupt, RunLock, RunOptions, Session, Table};

pub(crate) struct Runner<'r, 'o> {
    pub(crate) session: &'r mut Session,
    pub(crate) lock: &'r RunLock,
    pub(crate) watch: Watch<'r>,
    pub(crate) table: Table,
    /// The progress table, as it was when the no-transaction script that is under way began.
    pub(crate) progress: Table,
    /// Transactions, limits, retries.
    pub(crate) options: RunOptions,
    pub(crate) interrupt: &'r Interrupt,
    pub(crate) tracker: &'r mut Tracker<'o>,
}

pub(super) enum Stopped {
    ForGood(Error),
    NotGranted(Box<Failure>),
}

impl Stopped {
    pub(super) fn of(failure: Failure, may_repeat: bool) -> Self {
        let failure = Box::new(failure);
        if may_repeat { Self::NotGranted(failure) } else { Self::ForGood(Error::Failed(failure)) }
    }
}

impl Runner<'_, '_> {
    pub(crate) async fn run(&mut self, steps: &[Prepared<'_>]) -> Result<(), Error> {
        let transaction = self.options.transaction;
        for group in groups(steps, transaction, |prepared| prepared.script.is_transactional()) {
            if let Some(signal) = self.interrupt.signal() {
                return Err(Error::interrupted(signal, self.tracker.state()));
            }
            match group {
                Group::Transactional(steps) => self.transactional(steps).await?,
                Group::NonTransactional(step) => self.non_transactional(step).await?,
            }
        }
        Ok(())
    }

    pub(super) async fn pause(&mut self, stopped: Stopped, attempts: &mut Attempts) -> Result<(), Error> {
        let mut failure = match stopped {
            Stopped::ForGood(error) => return Err(error),
            Stopped::NotGranted(failure) => failure,
        };
        let pause = jittered(DRAIN);
        if !attempts.may_repeat_after(pause, &self.options) {
            if attempts.count > 1 {
                let times = wording::counted(attempts.count as usize, "time", "times");
                failure.state = format!(
                    "tried {times} within {}; {}",
                    wording::duration(attempts.start.elapsed()),
                    failure.state
                );
            }
            return Err(Error::Failed(failure));
        }
        let gave_way = self.watch.gave_way;
        let (attempt, most) = (attempts.count, self.options.lock_retries);
        self.tracker.tell(Event::Retrying(Retry { failure: &failure, gave_way, pause, attempt, most }));
        let waited = async { tokio::join!(self.watch.get_ready(), tokio::time::sleep(pause)) };
        let waited = self.interrupt.unless(waited).await.map(drop);
        self.tracker.waited(failure.version, attempts.since_latest());
        waited.map_err(|signal| Error::interrupted(signal, self.tracker.state()))
    }

    pub(super) async fn watched(&mut self, sql: impl Into<Arc<String>>) -> Result<usize, FailedQuery> {
        self.watch.begin();
        let result = tokio::select! {
            result = self.session.execute_patiently(sql) => result,
            never = self.watch.forever(self.tracker) => match never {},
        };
        self.tracker.tell(Event::Watched);
        let is_cut = result.as_ref().is_err_and(|failed| failed.error.is_outage());
        if !is_cut && self.watch.settle().await {
            // A cancel that came too late must hit nothing but this; in a transaction that is its end.
            let late = self.session.execute("SELECT 1".to_owned()).await;
            let again = self.session.execute("SELECT 1".to_owned()).await;
            if let (&Ok(commands), Err(FailedQuery { error, .. }), Err(_)) = (&result, late, again) {
                return Err(FailedQuery { commands, error });
            }
        }
        result
    }

    fn is_first_of_all(&self, prepared: &Prepared<'_>) -> bool {
        let step = &prepared.step;
        let is_first = self.tracker.report.steps().first().map(|first| first.version);
        step.direction == Direction::Up
            && self.tracker.report.header.from == Some(Position::Base)
            && is_first == Some(step.migration.version)
    }

    pub(super) fn outcome(&self, error: &DatabaseError) -> Outcome {
        if error.is_outage() {
            return Outcome::Cut;
        }
        match (error.sqlstate(), self.interrupt.signal()) {
            (Some("57014"), Some(signal)) => Outcome::Stopped(signal),
            (Some("57014"), None) if self.watch.gave_way => Outcome::NotGranted,
            (Some("55P03" | "40P01" | "40001"), _) => Outcome::NotGranted,
            _ => Outcome::RolledBack,
        }
    }

    pub(super) fn failure(
        &self,
        prepared: &Prepared<'_>,
        culprit: Culprit,
        excerpt: Option<Excerpt>,
        error: DatabaseError,
        outcome: Outcome,
        state: String,
    ) -> Failure {
        let migration = prepared.step.migration;
        let advice = match (&self.watch.blockers, outcome) {
            _ if self.watch.gave_way => Some(format!(
                "others waited for its locks longer than MAX_BLOCKING ({}); run again when the site is calm, or \
                 split the migration",
                wording::duration(self.options.max_blocking)
            )),
            (Some(blockers), _) if matches!(error.sqlstate(), Some("55P03" | "40P01")) => {
                Some(format!("it waited for {blockers}; run again when that is over"))
            }
            _ if self.is_first_of_all(prepared) && is_duplicate(&error) => Some(format!(
                "the database has tables and no history; if it has all that this migration makes, record that with \
                 `stamp {}`",
                migration.version
            )),
            _ => advice(&error, &self.options, prepared, &culprit),
        };
        Failure {
            version: migration.version,
            description: migration.description.clone(),
            direction: prepared.step.direction,
            path: prepared.script.path.clone(),
            culprit,
            excerpt,
            error,
            outcome,
            state,
            advice,
        }
    }
}

/// A table, schema, function or other object is there already.
fn is_duplicate(error: &DatabaseError) -> bool {
    matches!(error.sqlstate(), Some("42P07" | "42P06" | "42723" | "42710"))
}
