//! Carries a plan out, step by step, and knows at every moment where the database stands.

use std::time::{Duration, Instant, SystemTime};

use crate::config::{Manners, Transaction};
use crate::database::{Completed, DatabaseError, RunLock, Session, Table};
use crate::error::{Error, counted, seconds};
use crate::failure::{Culprit, Excerpt, Failure, Outcome};
use crate::interrupt::Interrupt;
use crate::message::{self, Frame, Message};
use crate::migration::Direction;
use crate::report::Reporter;
use crate::revision::Position;
use crate::script::Prepared;

/// An attempt that worked longer than this before it met a lock is not worth repeating.
const WORTH_REPEATING: Duration = Duration::from_secs(30);

/// Between two attempts the queue behind our lock must get time to drain.
const DRAIN: Duration = Duration::from_secs(5);

/// What a run works with.
pub struct Runner<'r> {
    /// The session that holds the lock.
    pub session: &'r mut Session,
    /// The lock.
    pub lock: &'r RunLock,
    /// The bookkeeping table.
    pub table: Table,
    /// Transactions, limits, retries.
    pub manners: Manners,
    /// Whether a signal has come.
    pub interrupt: &'r Interrupt,
    /// Where what was done is told.
    pub reporter: &'r mut Reporter,
}

/// Steps that share a transaction, or one that has none.
#[derive(Debug, PartialEq, Eq)]
pub enum Group<'p, T> {
    /// All of these or none.
    Together(&'p [T]),
    /// Statement by statement.
    Alone(&'p T),
}

/// Cuts a plan at its commits.
pub fn groups<T>(
    steps: &[T],
    transaction: Transaction,
    is_transactional: impl Fn(&T) -> bool,
) -> Vec<Group<'_, T>> {
    let mut groups = Vec::new();
    let mut rest = steps;
    while let Some(first) = rest.first() {
        let length = match (is_transactional(first), transaction) {
            (false, _) => {
                groups.push(Group::Alone(first));
                1
            }
            (true, Transaction::Each) => {
                groups.push(Group::Together(&rest[..1]));
                1
            }
            (true, Transaction::Run) => {
                let length = rest.iter().take_while(|step| is_transactional(step)).count();
                groups.push(Group::Together(&rest[..length]));
                length
            }
        };
        rest = &rest[length..];
    }
    groups
}

/// A failed step, and whether its group may be tried again.
struct Stopped {
    failure: Box<Failure>,
    may_repeat: bool,
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
                return Err(Error::Interrupted { signal, state: self.reporter.state() });
            }
            match group {
                Group::Together(steps) => self.together(steps).await?,
                Group::Alone(step) => self.alone(step).await?,
            }
        }
        Ok(())
    }

    async fn together(&mut self, steps: &[Prepared<'_>]) -> Result<(), Error> {
        let start = Instant::now();
        let mut repeated = 0;
        loop {
            let attempt = Instant::now();
            let Err(stopped) = self.transaction(steps).await else { return Ok(()) };
            let again = stopped.may_repeat && attempt.elapsed() < WORTH_REPEATING;
            self.pause_before_repeating(stopped.failure, again, &mut repeated, start).await?;
        }
    }

    /// Returns when it is time to try again.
    async fn pause_before_repeating(
        &mut self,
        mut failure: Box<Failure>,
        again: bool,
        repeated: &mut u32,
        start: Instant,
    ) -> Result<(), Error> {
        let pause = jittered(DRAIN);
        let budget = self.manners.lock_retry_budget;
        let in_budget = budget.is_zero() || start.elapsed() + pause < budget;
        if !again || *repeated >= self.manners.lock_retries || !in_budget {
            if *repeated > 0 {
                let tried = format!(
                    "tried {} within {}",
                    counted(*repeated as usize + 1, "time", "times"),
                    coarse(start.elapsed())
                );
                failure.state = format!("{tried}; {}", failure.state);
            }
            return Err(Error::Step(failure));
        }
        *repeated += 1;
        tracing::warn!(
            "{}; rolled back, trying again in {} ({repeated} of {})",
            failure.headline(),
            coarse(pause),
            self.manners.lock_retries,
        );
        self.interrupt
            .sleep(pause)
            .await
            .map_err(|signal| Error::Interrupted { signal, state: self.reporter.state() })
    }

    /// One transaction, one message for each migration.
    async fn transaction(&mut self, steps: &[Prepared<'_>]) -> Result<(), Stopped> {
        let last = steps.len() - 1;
        for (index, prepared) in steps.iter().enumerate() {
            let started = Instant::now();
            self.announce(prepared);
            let frame = Frame { begins: index == 0, commits: index == last };
            let message = Message::of(prepared, &self.table, &self.manners, frame);
            if let Err(completed) = self.session.execute(message.sql.clone()).await {
                return Err(self.rolled_back(steps, prepared, &message, completed).await);
            }
            self.reporter.ran(prepared, started.elapsed());
        }
        self.reporter.committed();
        Ok(())
    }

    fn announce(&self, prepared: &Prepared<'_>) {
        let verb = match prepared.step.direction {
            Direction::Up => "applying",
            Direction::Down => "taking back",
        };
        let migration = prepared.step.migration;
        tracing::debug!("{verb} {} ({})", migration.version, migration.description);
    }

    async fn rolled_back(
        &mut self,
        steps: &[Prepared<'_>],
        prepared: &Prepared<'_>,
        message: &Message,
        Completed { commands, error }: Completed,
    ) -> Stopped {
        let server_error = match &error {
            DatabaseError::Server(error) => Some(error.as_ref()),
            DatabaseError::Cut(_) | DatabaseError::Tls(_) => None,
        };
        let (culprit, excerpt) = message.blame(prepared, commands, server_error);
        let mut outcome = self.outcome(&error);
        if outcome != Outcome::Cut
            && let Err(Completed { error, .. }) = self.session.execute("ROLLBACK".to_owned()).await
        {
            tracing::debug!("no rollback was possible: {error}");
            outcome = Outcome::Cut;
        }
        self.reporter.discarded(prepared);
        let state = match outcome {
            Outcome::Cut => "whether it was committed is not known yet".to_owned(),
            _ if steps.len() > 1 => {
                format!("the whole run up to here was rolled back; {}", self.reporter.state())
            }
            _ => format!("it was rolled back; {}", self.reporter.state()),
        };
        let may_repeat = outcome == Outcome::NotGranted;
        let failure = self.failure(prepared, culprit, excerpt, error, outcome, state);
        Stopped { failure: Box::new(failure), may_repeat }
    }

    fn outcome(&self, error: &DatabaseError) -> Outcome {
        if error.is_outage() {
            return Outcome::Cut;
        }
        match (error.sqlstate(), self.interrupt.signal()) {
            (Some("57014"), Some(signal)) => Outcome::Stopped(signal),
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
        let advice = advice(&error, &self.manners, prepared.script.is_transactional());
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

    /// A no-transaction script: every statement commits by itself, and while it is under way a row
    /// with `success = false` says so.
    async fn alone(&mut self, prepared: &Prepared<'_>) -> Result<(), Error> {
        let started = Instant::now();
        self.announce(prepared);
        self.bookkeep(prepared, message::enter_halfway(prepared, &self.table)).await?;
        for (index, statement) in prepared.split().iter().enumerate() {
            self.statement(
                prepared,
                index,
                statement.text,
                statement.is_maintenance(),
                statement.is_concurrent(),
                statement.is_atomic(),
            )
            .await?;
        }
        if !prepared.is_session_neutral {
            self.bookkeep(prepared, message::reset_session(&self.manners)).await?;
        }
        let done = message::leave_halfway(prepared, &self.table, started.elapsed().as_nanos());
        self.bookkeep(prepared, done).await?;
        self.reporter.ran(prepared, started.elapsed());
        self.reporter.committed();
        Ok(())
    }

    /// A query of ours around a no-transaction script.
    async fn bookkeep(&mut self, prepared: &Prepared<'_>, sql: String) -> Result<(), Error> {
        let Err(Completed { error, .. }) = self.session.execute(sql).await else { return Ok(()) };
        let outcome = if error.is_outage() { Outcome::Cut } else { Outcome::Halfway };
        self.reporter.failed(prepared);
        let state = self.reporter.state();
        Err(Error::Step(Box::new(self.failure(prepared, Culprit::Bookkeeping, None, error, outcome, state))))
    }
}

/// What PostgreSQL's message leaves out.
fn advice(error: &DatabaseError, manners: &Manners, is_transactional: bool) -> Option<String> {
    let in_run = is_transactional && manners.transaction == Transaction::Run;
    let each = "set TRANSACTION=each, which commits after each migration";
    let text = match error.sqlstate()? {
        // unsafe_new_enum_value_usage
        "55P04" if in_run => format!("a new enum value can be used only after a commit; {each}"),
        "55P04" => {
            "a new enum value can be used only after a commit; add it in a migration of its own".to_owned()
        }
        // object_in_use
        "55006" if in_run => {
            format!("what earlier migrations queued in this transaction is in the way; {each}")
        }
        // out_of_memory
        "53200" if in_run => format!("one transaction for all needs too many locks; {each}"),
        "53200" => "split the migration, or raise the server's max_locks_per_transaction".to_owned(),
        // active_sql_transaction
        "25001" => {
            "this statement can't run in a transaction; make `-- no-transaction` the first line of the script"
                .to_owned()
        }
        // lock_not_available
        "55P03" => format!(
            "another session holds the table for longer than LOCK_TIMEOUT ({}); run again when it is done",
            seconds(manners.lock_timeout)
        ),
        // query_canceled
        "57014" if !manners.statement_timeout.is_zero() => {
            format!(
                "STATEMENT_TIMEOUT is {}; raise it if the statement needs longer",
                seconds(manners.statement_timeout)
            )
        }
        _ => return None,
    };
    Some(text)
}

impl Runner<'_> {
    async fn statement(
        &mut self,
        prepared: &Prepared<'_>,
        index: usize,
        text: &str,
        is_maintenance: bool,
        is_concurrent: bool,
        is_atomic: bool,
    ) -> Result<(), Error> {
        let start = Instant::now();
        let mut repeated = 0;
        loop {
            if let Some(signal) = self.interrupt.signal() {
                return Err(Error::Interrupted {
                    signal,
                    state: format!("{}; {}", half_way_state(prepared, index), self.reporter.state()),
                });
            }
            if is_maintenance {
                self.bookkeep(prepared, message::without_limits().to_owned()).await?;
            }
            if is_concurrent {
                self.lock.release_sqlx(self.session).await?;
            }
            let attempt = Instant::now();
            let result = self.session.execute(text.to_owned()).await;
            if !matches!(&result, Err(completed) if completed.error.is_outage()) {
                if is_concurrent {
                    self.lock.take_sqlx(self.session, &self.manners, self.interrupt).await?;
                }
                if is_maintenance {
                    self.bookkeep(prepared, message::settings(&self.manners)).await?;
                }
            }
            let Err(Completed { error, .. }) = result else { return Ok(()) };
            let (failure, may_repeat) = self.stopped_halfway(prepared, index, error, is_atomic).await?;
            let again = may_repeat && attempt.elapsed() < WORTH_REPEATING;
            if !(again && repeated < self.manners.lock_retries)
                && index == 0
                && is_atomic
                && failure.outcome != Outcome::Cut
            {
                self.bookkeep(prepared, message::reset_session(&self.manners)).await?;
                let migration = prepared.step.migration;
                self.bookkeep(
                    prepared,
                    message::undo_halfway(migration.version, prepared.step.direction, &self.table),
                )
                .await?;
            }
            self.pause_before_repeating(failure, again, &mut repeated, start).await?;
        }
    }

    async fn stopped_halfway(
        &mut self,
        prepared: &Prepared<'_>,
        index: usize,
        error: DatabaseError,
        is_atomic: bool,
    ) -> Result<(Box<Failure>, bool), Error> {
        let server_error = match &error {
            DatabaseError::Server(error) => Some(error.as_ref()),
            DatabaseError::Cut(_) | DatabaseError::Tls(_) => None,
        };
        let (culprit, excerpt) = message::blame_statement(prepared, index, server_error);
        let met = self.outcome(&error);
        let may_repeat = met == Outcome::NotGranted && is_atomic;
        let outcome = match met {
            Outcome::Cut => Outcome::Cut,
            nothing_done if index == 0 && is_atomic => nothing_done,
            _ => Outcome::Halfway,
        };
        let state = match outcome {
            Outcome::Cut => "whether the statement took effect is not known".to_owned(),
            Outcome::Halfway => format!("{}; {}", half_way_state(prepared, index), self.reporter.state()),
            _ => format!("nothing of the script took effect; {}", self.reporter.state()),
        };
        self.reporter.failed(prepared);
        let mut failure = self.failure(prepared, culprit, excerpt, error, outcome, state);
        if outcome == Outcome::Halfway {
            let next = format!(
                "look at what the script left behind and bring it to one side; then `resolve --done` if all of it is in \
                 effect, or `resolve --retry` if none of it is (version {})",
                failure.version
            );
            failure.advice = Some(match failure.advice.take() {
                Some(advice) => format!("{advice}\n{next}"),
                None => next,
            });
        }
        Ok((Box::new(failure), may_repeat))
    }
}

fn half_way_state(prepared: &Prepared<'_>, done: usize) -> String {
    match done {
        0 => "the script stands halfway: its first statement may have left something behind".to_owned(),
        done => format!(
            "the script stands halfway: {done} of its {} statements are in effect",
            prepared.statements
        ),
    }
}

fn coarse(duration: Duration) -> String {
    seconds(Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX) / 100 * 100))
}

/// Up to half as much again, so that two jobs don't meet at the same lock twice.
fn jittered(least: Duration) -> Duration {
    let nanoseconds =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.subsec_nanos());
    least + least.mul_f64(f64::from(nanoseconds) / 2e9)
}

/// Where a revision stands, for a sentence.
pub fn at(position: Position, head: Option<Position>) -> String {
    match position {
        Position::Base => "at base".to_owned(),
        place if head == Some(place) => format!("at {place} (head)"),
        place => format!("at {place}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_cut_at_their_commits() {
        use Group::{Alone, Together};
        let steps = ["a", "b", "-c", "d", "-e"];
        let transactional = |step: &&str| !step.starts_with('-');
        assert_eq!(
            groups(&steps, Transaction::Run, transactional),
            [Together(&["a", "b"][..]), Alone(&"-c"), Together(&["d"]), Alone(&"-e")]
        );
        assert_eq!(
            groups(&steps, Transaction::Each, transactional),
            [Together(&["a"][..]), Together(&["b"]), Alone(&"-c"), Together(&["d"]), Alone(&"-e")]
        );
        assert!(groups(&steps[..0], Transaction::Run, transactional).is_empty());
    }

    #[test]
    fn jitter_is_bounded() {
        let pause = jittered(DRAIN);
        assert!(pause >= DRAIN && pause <= DRAIN.mul_f64(1.5), "{pause:?}");
    }
}
