//! Carries a plan out, step by step, and knows at every moment where the database stands.

mod alone;

use std::time::{Duration, Instant, SystemTime};

use crate::config::{Manners, Transaction};
use crate::database::{Completed, DatabaseError, RunLock, Session, Table};
use crate::error::{Error, counted, seconds};
use crate::failure::{Culprit, Excerpt, Failure, Outcome};
use crate::interrupt::Interrupt;
use crate::message::{self, LOCK_LOST, Message, NOT_WRITTEN};
use crate::migration::Direction;
use crate::report::Reporter;
use crate::revision::Position;
use crate::script::Prepared;
use crate::watch::Watch;

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

/// How often a step was tried, and since when.
struct Attempts {
    start: Instant,
    latest: Instant,
    count: u32,
}

impl Attempts {
    fn begin() -> Self {
        let now = Instant::now();
        Self { start: now, latest: now, count: 0 }
    }

    fn next(&mut self) {
        self.latest = Instant::now();
        self.count += 1;
    }

    fn may_repeat_after(&self, pause: Duration, manners: &Manners) -> bool {
        let budget = manners.lock_retry_budget;
        self.count <= manners.lock_retries
            && self.latest.elapsed() < WORTH_REPEATING
            && (budget.is_zero() || self.start.elapsed() + pause < budget)
    }
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
                let times = counted(attempts.count as usize, "time", "times");
                failure.state =
                    format!("tried {times} within {}; {}", coarse(attempts.start.elapsed()), failure.state);
            }
            return Err(Error::Step(failure));
        }
        tracing::warn!(
            "{}; rolled back, trying again in {} ({} of {})",
            failure.headline(),
            coarse(pause),
            attempts.count,
            self.manners.lock_retries,
        );
        self.interrupt.sleep(pause).await.map_err(|signal| Error::interrupted(signal, self.reporter.state()))
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
            let message = Message::of(prepared, &self.session.settings, frame.begins, record);
            match self.watched(message.sql.clone()).await {
                Ok(commands) if commands != message.commands() => tracing::warn!(
                    "the server counted {commands} commands in {}, not {}: please report this script",
                    prepared.script.path.display(),
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
        tokio::select! {
            result = self.session.execute(sql) => result,
            never = self.watch.forever() => match never {},
        }
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
                seconds(self.manners.max_blocking)
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

/// What PostgreSQL's message leaves out.
fn advice(error: &DatabaseError, manners: &Manners, is_transactional: bool) -> Option<String> {
    let in_run = is_transactional && manners.transaction == Transaction::Run;
    let each = "set TRANSACTION=each, which commits after each migration";
    let text = match error.sqlstate()? {
        // What `message::proven` raises.
        "22P02" if error.to_string().contains(NOT_WRITTEN) => {
            "the script, or a trigger, rule or policy on the bookkeeping table, is in the way; remove it".to_owned()
        }
        "22P02" if error.to_string().contains(LOCK_LOST) => {
            "the script calls pg_advisory_unlock_all, or a connection pooler in transaction mode stands before the \
             server; remove the call, or connect to the server itself"
                .to_owned()
        }
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
