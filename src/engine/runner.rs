//! Carries a plan out, step by step, and knows at every moment where the database stands.

mod advice;
mod alone;
mod attempts;
mod group;

use std::time::Instant;

use crate::config::Manners;
use crate::database::{Completed, DatabaseError, RunLock, Session, Table};
use crate::error::Error;
use crate::failure::{Culprit, Excerpt, Failure, Outcome};
use crate::interrupt::Interrupt;
use crate::message::{self, Message};
use crate::migration::Direction;
use crate::report::Reporter;
use crate::revision::Position;
use crate::script::Prepared;
use crate::watch::Watch;
use crate::wording;
use advice::advice;
use attempts::{Attempts, DRAIN, jittered};
pub use group::{Group, groups};

/// What a run works with.
pub struct Runner<'r> {
    /// The session that holds the lock.
    pub session: &'r mut Session,
    /// The lock.
    pub lock: &'r RunLock,
    /// Who watches long statements.
    pub watch: Watch<'r>,
    /// The bookkeeping table.
    pub table: Table,
    /// Transactions, limits, retries.
    pub manners: Manners,
    /// Whether a signal has come.
    pub interrupt: &'r Interrupt,
    /// Where what was done is told.
    pub reporter: &'r mut Reporter,
}

/// Where a message stands in its transaction.
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

/// A failed step, and whether it may be tried again.
enum Stopped {
    /// For good.
    ForGood(Error),
    /// Only a lock was missing.
    NotGranted(Box<Failure>),
}

impl Stopped {
    fn of(failure: Failure, may_repeat: bool) -> Self {
        let failure = Box::new(failure);
        if may_repeat { Self::NotGranted(failure) } else { Self::ForGood(Error::Step(failure)) }
    }
}

impl Runner<'_> {
    /// Runs every step.
    ///
    /// # Errors
    /// What stopped it; whatever was committed before is in the report.
    pub async fn run(&mut self, steps: &[Prepared<'_>]) -> Result<(), Error> {
        let transaction = self.manners.transaction;
        for group in groups(steps, transaction, |prepared| prepared.script.is_transactional()) {
            if let Some(signal) = self.interrupt.signal() {
                return Err(Error::interrupted(signal, self.reporter.state()));
            }
            match group {
                Group::Together(steps) => self.together(steps).await?,
                Group::Alone(step) => self.alone(step).await?,
            }
        }
        Ok(())
    }

    async fn together(&mut self, steps: &[Prepared<'_>]) -> Result<(), Error> {
        self.watch.met_a_lock = false;
        let mut attempts = Attempts::begin();
        loop {
            attempts.next();
            let Err(stopped) = self.transaction(steps).await else { return Ok(()) };
            self.pause(stopped, &mut attempts).await?;
        }
    }

    /// Waits until it is time to try again.
    ///
    /// # Errors
    /// The failure itself, when it is not to be tried again.
    async fn pause(&mut self, stopped: Stopped, attempts: &mut Attempts) -> Result<(), Error> {
        let mut failure = match stopped {
            Stopped::ForGood(error) => return Err(error),
            Stopped::NotGranted(failure) => failure,
        };
        let pause = jittered(DRAIN);
        if !attempts.may_repeat_after(pause, &self.manners) {
            if attempts.count > 1 {
                let times = wording::counted(attempts.count as usize, "time", "times");
                failure.state = format!(
                    "tried {times} within {}; {}",
                    wording::duration(attempts.start.elapsed()),
                    failure.state
                );
            }
            return Err(Error::Step(failure));
        }
        tracing::warn!(
            "{}{}; rolled back, trying again in {} ({} of {})",
            failure.headline(),
            if self.watch.gave_way { ", as MAX_BLOCKING asks" } else { "" },
            wording::duration(pause),
            attempts.count,
            self.manners.lock_retries,
        );
        let waited = async { tokio::join!(self.watch.get_ready(), tokio::time::sleep(pause)) };
        let waited = self.interrupt.unless(waited).await.map(drop);
        waited.map_err(|signal| Error::interrupted(signal, self.reporter.state()))
    }

    /// One transaction, one message for each migration.
    async fn transaction(&mut self, steps: &[Prepared<'_>]) -> Result<(), Stopped> {
        let last = steps.len() - 1;
        let mut took = Vec::with_capacity(steps.len());
        for (index, prepared) in steps.iter().enumerate() {
            if let Some(signal) = self.interrupt.signal() {
                // Without an answer the end of the session does the same.
                let _ = self.session.execute("ROLLBACK".to_owned()).await;
                self.reporter.discarded(prepared);
                return Err(Stopped::ForGood(Error::interrupted(signal, self.reporter.state())));
            }
            let started = Instant::now();
            self.announce(prepared);
            let record = (index == last).then(|| message::record(steps, &took, &self.table));
            let frame = Frame { begins: index == 0, commits: record.is_some() };
            let begins = frame.begins.then_some(&self.table);
            let message = Message::of(prepared, &self.session.settings, begins, record);
            self.reporter.in_doubt = frame.commits;
            let answer = self.watched(message.sql.clone()).await;
            self.reporter.in_doubt &= answer.as_ref().is_err_and(|failed| failed.error.is_outage());
            match answer {
                Ok(commands) if commands != message.commands() => tracing::warn!(
                    "the server counted {commands} commands in {}, not {}: please report this script",
                    wording::path(&prepared.script.path),
                    message.commands()
                ),
                Ok(_) => {}
                Err(completed) => {
                    return Err(self.rolled_back(steps, prepared, &message, frame, completed).await);
                }
            }
            took.push(started.elapsed());
            self.reporter.ran(prepared, started.elapsed());
        }
        self.reporter.committed();
        Ok(())
    }

    /// Runs what may take long.
    async fn watched(&mut self, sql: String) -> Result<usize, Completed> {
        self.watch.begin();
        let result = tokio::select! {
            result = self.session.execute_patiently(sql) => result,
            never = self.watch.forever() => match never {},
        };
        let is_cut = result.as_ref().is_err_and(|failed| failed.error.is_outage());
        if !is_cut && self.watch.settle().await {
            // A cancel that came too late must hit nothing but this; in a transaction that is its end.
            let late = self.session.execute("SELECT 1".to_owned()).await;
            let again = self.session.execute("SELECT 1".to_owned()).await;
            if let (&Ok(commands), Err(Completed { error, .. }), Err(_)) = (&result, late, again) {
                return Err(Completed { commands, error });
            }
        }
        result
    }

    fn announce(&self, prepared: &Prepared<'_>) {
        let verb = match prepared.step.direction {
            Direction::Up => "applying",
            Direction::Down => "taking back",
        };
        let migration = prepared.step.migration;
        tracing::debug!("{verb} {}", migration.version.called(&migration.description));
    }

    async fn rolled_back(
        &mut self,
        steps: &[Prepared<'_>],
        prepared: &Prepared<'_>,
        message: &Message,
        frame: Frame,
        Completed { commands, error }: Completed,
    ) -> Stopped {
        let server_error = match &error {
            DatabaseError::Server(error) => Some(error.as_ref()),
            _ => None,
        };
        let (culprit, excerpt) = message.blame(prepared, commands, server_error);
        let mut outcome = self.outcome(&error);
        if outcome != Outcome::Cut {
            // A commit that fails rolls back, and then there is no transaction either.
            let at_commit = frame.commits && commands + 1 == message.commands();
            let ran_before = !at_commit && (commands > 0 || !frame.begins);
            outcome = match self.roll_back().await {
                Ok(RolledBack::Transaction) => outcome,
                Ok(RolledBack::Nothing) if !ran_before => outcome,
                Ok(RolledBack::Nothing) => Outcome::Halfway,
                Err(error) => {
                    tracing::debug!("no rollback was possible: {error}");
                    Outcome::Cut
                }
            };
        }
        self.reporter.discarded(prepared);
        let state = match outcome {
            Outcome::Cut => "whether it was committed is not known yet".to_owned(),
            Outcome::Halfway => format!(
                "the script ended its transaction by itself: what came before is committed and not recorded; {}",
                self.reporter.state()
            ),
            _ if steps.len() > 1 => {
                format!(
                    "all {} steps of its transaction were rolled back; {}",
                    steps.len(),
                    self.reporter.state()
                )
            }
            _ => format!("it was rolled back; {}", self.reporter.state()),
        };
        let may_repeat = outcome == Outcome::NotGranted;
        let failure = self.failure(prepared, culprit, excerpt, error, outcome, state);
        Stopped::of(failure, may_repeat)
    }

    /// Ends the failed transaction, if there is one, and cleans the session for another attempt.
    async fn roll_back(&mut self) -> Result<RolledBack, DatabaseError> {
        let of = |failed: Completed| failed.error;
        let rolled_back = match self.session.execute("SELECT 1".to_owned()).await {
            // in_failed_sql_transaction
            Err(Completed { error, .. }) if error.sqlstate() == Some("25P02") => {
                self.session.execute("ROLLBACK".to_owned()).await.map_err(of)?;
                RolledBack::Transaction
            }
            Ok(_) => RolledBack::Nothing,
            Err(failed) => return Err(failed.error),
        };
        let reset = message::reset_session(&self.session.settings);
        self.session.execute(reset).await.map_err(of)?;
        Ok(rolled_back)
    }

    fn outcome(&self, error: &DatabaseError) -> Outcome {
        if error.is_outage() {
            return Outcome::Cut;
        }
        match (error.sqlstate(), self.interrupt.signal()) {
            (Some("57014"), Some(signal)) => Outcome::Stopped(signal),
            (Some("57014"), None) if self.watch.gave_way => Outcome::NotGranted,
            (Some("55P03" | "40P01"), _) => Outcome::NotGranted,
            _ => Outcome::RolledBack,
        }
    }

    fn failure(
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
                wording::duration(self.manners.max_blocking)
            )),
            (Some(blockers), _) if matches!(error.sqlstate(), Some("55P03" | "40P01")) => {
                Some(format!("it waited for {blockers}; run again when that is over"))
            }
            _ => advice(&error, &self.manners, prepared.script.is_transactional()),
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

/// Where a revision stands, for a sentence.
pub fn at(position: Position, head: Option<Position>) -> String {
    match position {
        Position::Base => "at base".to_owned(),
        place if head == Some(place) => format!("at {place} (head)"),
        place => format!("at {place}"),
    }
}
