//! No-transaction scripts: every statement commits by itself. While the script is under way its row
//! has `success = false`, and each statement's start and end is recorded, so that a later run can
//! tell where this one stopped.

mod standing;

use std::time::{Duration, Instant};

use super::{Attempts, Runner, Stopped};
use crate::database::path::{self, ScriptPath};
use crate::database::{Completed, DatabaseError};
use crate::error::{Aftermath, Disagreement, Error};
use crate::failure::{Culprit, Outcome};
use crate::message::{self, halfway};
use crate::migration::Version;
use crate::script::Prepared;
use crate::statement::Statement;
use standing::{Failed, Left, Part, Standing};

/// How long the removal of an invalid index may take when a build has failed: it waits for every
/// transaction that uses the table, and a signal may have come.
const DROP_LIMIT: &str = "SET lock_timeout = 0; SET statement_timeout = '10s'";

/// How long the server may take to say that it came to that limit.
const DROP_PATIENCE: Duration = Duration::from_secs(15);

impl Runner<'_> {
    pub(super) async fn alone(&mut self, prepared: &Prepared<'_>) -> Result<(), Error> {
        // Each of its statements commits, and so does each word about them.
        self.reporter.in_doubt = true;
        let end = self.statementwise(prepared).await;
        self.reporter.in_doubt = end.as_ref().is_err_and(is_cut);
        end
    }

    async fn statementwise(&mut self, prepared: &Prepared<'_>) -> Result<(), Error> {
        let started = Instant::now();
        self.announce(prepared);
        let statements = prepared.split();
        let first = prepared.resumes_at.unwrap_or(0);
        match prepared.resumes_at {
            None => self.enter(prepared).await?,
            Some(done) => {
                let standing = Standing::Halfway { done, may_go_on: true };
                self.ours(prepared, standing, path::KEEP_ROLES_OWN.to_owned()).await?;
            }
        }
        let mut is_clear = statements.iter().take(first).all(Statement::leaves_session_alone);
        for (index, statement) in statements.iter().enumerate().skip(first) {
            let part = Part { prepared, index, statement, is_clear };
            self.until_granted(&part).await?;
            is_clear &= statement.leaves_session_alone();
        }
        let done = Standing::Halfway { done: statements.len(), may_go_on: is_clear };
        let reset = message::reset_session(&self.session.settings);
        let leave = halfway::leave(prepared, &self.table, started.elapsed().as_nanos());
        for sql in [reset, leave] {
            self.ours(prepared, done, sql).await?;
        }
        self.reporter.ran(prepared, started.elapsed());
        self.reporter.committed();
        Ok(())
    }

    /// Records that the script is under way. Until then nothing stands halfway.
    async fn enter(&mut self, prepared: &Prepared<'_>) -> Result<(), Error> {
        let mut attempts = Attempts::begin();
        loop {
            attempts.next();
            let enter = halfway::enter(prepared, &self.table);
            let Err(Completed { error, .. }) = self.session.execute(enter).await else { return Ok(()) };
            self.reporter.failed(prepared);
            let outcome = self.outcome(&error);
            let state = format!("nothing of the script was run; {}", self.reporter.state());
            let failure = self.failure(prepared, Culprit::Bookkeeping, None, error, outcome, state);
            let stopped = Stopped::of(failure, outcome == Outcome::NotGranted);
            self.pause(stopped, &mut attempts).await?;
        }
    }

    /// Runs one statement, again and again as long as it only lacks a lock.
    async fn until_granted(&mut self, part: &Part<'_>) -> Result<(), Error> {
        self.watch.met_a_lock = false;
        let mut attempts = Attempts::begin();
        loop {
            let untouched = part.standing(Left::Nothing);
            if let Some(signal) = self.interrupt.signal() {
                return Err(self
                    .ended(part.prepared, untouched, Error::interrupted(signal, String::new()))
                    .await);
            }
            attempts.next();
            let Err(failed) = self.send(part).await? else { return Ok(()) };
            let standing = part.standing(failed.left);
            let stopped = self.stopped(part, failed);
            if let Err(error) = self.pause(stopped, &mut attempts).await {
                return Err(self.ended(part.prepared, standing, error).await);
            }
        }
    }

    /// The outer result is about what we do around the statement, the inner one about itself.
    async fn send(&mut self, part: &Part<'_>) -> Result<Result<(), Failed>, Error> {
        let Part { prepared, index, statement, is_clear } = *part;
        if is_clear && statement.can_join_a_transaction() && statement.leaves_session_alone() {
            return self.joined(part).await;
        }
        let untouched = part.standing(Left::Nothing);
        let target = statement.concurrent();
        let mut before = Vec::new();
        if let Some(target) = &target {
            before = match self.session.indexes_of(target, ScriptPath::Kept).await {
                Ok(before) => before,
                Err(source) => return Err(self.ended(prepared, untouched, looking(source)).await),
            };
        }
        if is_clear {
            let existed = target.as_ref().is_some_and(|target| target.is_among(&before));
            self.ours(prepared, untouched, halfway::start(prepared, &self.table, index, existed)).await?;
        }
        if statement.is_maintenance() {
            self.ours(prepared, untouched, message::WITHOUT_LIMITS.to_owned()).await?;
        }
        if statement.is_concurrent()
            && let Err(error) = self.lock.release_sqlx(self.session).await
        {
            return Err(self.ended(prepared, untouched, error).await);
        }
        self.ours(prepared, untouched, path::SCRIPTS.to_owned()).await?;
        let result = self.watched(statement.text.to_owned()).await;
        let result = match result {
            Ok(_) => Ok(()),
            Err(Completed { error, .. }) if error.is_outage() => {
                return Ok(Err(Failed { error, left: Left::Something }));
            }
            Err(Completed { error, .. }) => Err(error),
        };
        let clearing = result.is_err().then(|| self.session.clear());
        // Until it is recorded, only the catalog could tell, and only of a build with a name.
        let is_told = is_clear && target.as_ref().is_some_and(|target| target.is_told_later(&before));
        let unknown = match result {
            Ok(()) => Standing::Halfway { done: index + 1, may_go_on: is_told },
            Err(_) => part.standing(Left::Something),
        };
        self.ours(prepared, unknown, path::SCRIPTS_NO_MORE.to_owned()).await?;
        let (standing, result) = match result {
            Ok(()) => {
                let is_recorded = is_clear && statement.leaves_session_alone();
                if is_recorded {
                    self.ours(prepared, unknown, halfway::finish(&self.table, index)).await?;
                }
                (Standing::Halfway { done: index + 1, may_go_on: is_recorded }, Ok(()))
            }
            Err(error) => {
                let left = match &target {
                    Some(target) => self.clear_away(part, target, &before).await?,
                    None if statement.is_atomic() => Left::Nothing,
                    None if statement.detaches() && self.session.nothing_is_pending().await => Left::Nothing,
                    None => Left::Something,
                };
                if left == Left::Nothing && is_clear {
                    self.ours(prepared, untouched, halfway::forget(&self.table, index)).await?;
                }
                (part.standing(left), Err(Failed { error, left }))
            }
        };
        if statement.is_maintenance() {
            self.ours(prepared, standing, message::WITH_LIMITS_AGAIN.to_owned()).await?;
        }
        drop(clearing);
        if statement.is_concurrent() {
            // What the statement itself had to say matters more than that somebody else came, unless
            // it would be tried again, without the key.
            let is_over = |failed: &Failed| self.outcome(&failed.error) != Outcome::NotGranted;
            let is_over = result.as_ref().is_err_and(is_over);
            if let Err(error) = self.lock.take_sqlx(self.session, &self.manners, self.interrupt).await
                && !is_over
            {
                return Err(self.ended(prepared, standing, error).await);
            }
        }
        Ok(result)
    }

    /// A statement and its record: both or neither.
    async fn joined(&mut self, part: &Part<'_>) -> Result<Result<(), Failed>, Error> {
        let halfway::Around { before, commands_before, after, commands_of_ours } =
            halfway::around(part.prepared, &self.table, part.index);
        let sql = format!("{before}{}{after}", part.statement.text);
        let Err(Completed { commands, error }) = self.watched(sql).await else { return Ok(Ok(())) };
        if error.is_outage() {
            return Ok(Err(Failed { error, left: Left::Something }));
        }
        let untouched = part.standing(Left::Nothing);
        if commands > 0 {
            self.ours(part.prepared, untouched, "ROLLBACK".to_owned()).await?;
        }
        // A deferred constraint of the statement fails in the commit, after all of ours.
        let is_ours = (1..commands_before).contains(&commands)
            || (commands_before + 1..=commands_before + commands_of_ours).contains(&commands);
        if is_ours {
            return match self.ours_stopped(part.prepared, untouched, error) {
                Stopped::ForGood(error) => Err(self.ended(part.prepared, untouched, error).await),
                Stopped::NotGranted(failure) => Ok(Err(Failed { error: failure.error, left: Left::Nothing })),
            };
        }
        Ok(Err(Failed { error: error.shifted_back(before.chars().count()), left: Left::Nothing }))
    }

    /// Drops what a failed build left: an invalid unique index rejects the site's writes. Says what
    /// is left then.
    async fn clear_away(
        &mut self,
        part: &Part<'_>,
        target: &crate::statement::Concurrent,
        before: &[crate::database::Index],
    ) -> Result<Left, Error> {
        let prepared = part.prepared;
        let standing = part.standing(Left::Something);
        let after = match self.session.indexes_of(target, ScriptPath::Kept).await {
            Ok(after) => after,
            Err(source) => return Err(self.ended(prepared, standing, looking(source)).await),
        };
        // Without the table nothing can be told.
        let is_there = self.session.table_is_there(target, ScriptPath::Kept).await.unwrap_or(false);
        let mut left = if is_there { Left::Nothing } else { Left::Something };
        for index in after.iter().filter(|index| target.has_left(index, before)) {
            self.ours(prepared, standing, DROP_LIMIT.to_owned()).await?;
            let again = match self.session.indexes_of(target, ScriptPath::Kept).await {
                Ok(again) => again,
                Err(source) => return Err(self.ended(prepared, standing, looking(source)).await),
            };
            if index.is_worked_on || !again.contains(index) {
                tracing::warn!("{} is not dropped: another session may be building it", index.name);
                left = Left::Something;
                continue;
            }
            let drop = format!("DROP INDEX CONCURRENTLY IF EXISTS {}", index.name);
            match self.session.execute_within(DROP_PATIENCE, drop).await {
                Ok(_) => tracing::info!("dropped {}, which the failed build left invalid", index.name),
                Err(Completed { error, .. }) => {
                    tracing::warn!("{} is invalid and could not be dropped: {error}", index.name);
                    if target.is_among(before) {
                        left = Left::Something;
                    } else if left == Left::Nothing {
                        left = Left::Index;
                    }
                }
            }
        }
        Ok(left)
    }

    /// A query of ours around the script, which so far stands so; again and again as long as it only
    /// lacks a lock.
    async fn ours(&mut self, prepared: &Prepared<'_>, standing: Standing, sql: String) -> Result<(), Error> {
        let mut attempts = Attempts::begin();
        loop {
            attempts.next();
            let Err(Completed { error, .. }) = self.session.execute(sql.clone()).await else { return Ok(()) };
            let stopped = self.ours_stopped(prepared, standing, error);
            if let Err(error) = self.pause(stopped, &mut attempts).await {
                return Err(self.ended(prepared, standing, error).await);
            }
        }
    }

    fn ours_stopped(&mut self, prepared: &Prepared<'_>, standing: Standing, error: DatabaseError) -> Stopped {
        let met = self.outcome(&error);
        let outcome = match met {
            Outcome::Cut => Outcome::Cut,
            passing @ (Outcome::NotGranted | Outcome::Stopped(_)) if standing.may_go_on() => passing,
            _ => Outcome::Halfway,
        };
        self.reporter.failed(prepared);
        let failure = self.failure(prepared, Culprit::Bookkeeping, None, error, outcome, String::new());
        Stopped::of(failure, met == Outcome::NotGranted)
    }

    /// Gives the end of a script its true state: takes back its record where nothing is in effect,
    /// says what is where something is, and whether a person has to look.
    async fn ended(&mut self, prepared: &Prepared<'_>, standing: Standing, error: Error) -> Error {
        let error = match error {
            Error::Database { source, .. } if source.is_outage() => {
                let failure =
                    self.failure(prepared, Culprit::Bookkeeping, None, source, Outcome::Cut, String::new());
                Error::Step(Box::new(failure))
            }
            other => other,
        };
        self.reporter.failed(prepared);
        if is_cut(&error) {
            return error;
        }
        let migration = prepared.step.migration;
        let of = prepared.statements;
        let script = match standing {
            Standing::Untouched if prepared.resumes_at.is_none() => {
                let reset = message::reset_session(&self.session.settings);
                let _clearing = self.session.clear();
                let undo = halfway::undo(migration.version, prepared.step.direction, &self.table);
                match self.session.execute(format!("{};\n{reset};\n{undo}", halfway::FRESH)).await {
                    Ok(_) => "nothing of the script took effect".to_owned(),
                    Err(Completed { error, .. }) => format!(
                        "nothing of the script took effect, but it is still recorded as halfway ({})",
                        Error::database("removing its record", error).in_passing()
                    ),
                }
            }
            Standing::Untouched => "nothing of the script took effect".to_owned(),
            Standing::Halfway { done: 0, .. } => {
                "the script stands halfway: its first statement may have left something behind".to_owned()
            }
            Standing::Halfway { done, .. } => {
                format!("the script stands halfway: {done} of its {of} statements are in effect")
            }
        };
        let state = format!("{script}; {}", self.reporter.state());
        let may_go_on = standing.may_go_on();
        match error {
            Error::Interrupted { signal, .. } if may_go_on => Error::interrupted(signal, state),
            Error::Interrupted { signal, .. } => {
                let state = format!("{state}; {}", ways_out(migration.version, may_go_on));
                Error::Interrupted { signal, state, left: Aftermath::Halfway }
            }
            Error::Step(mut failure) => {
                failure.state = state;
                if failure.outcome == Outcome::Halfway {
                    let ways = ways_out(migration.version, may_go_on);
                    failure.advice = Some(match failure.advice {
                        Some(advice) => format!("{advice}\n{ways}"),
                        None => ways,
                    });
                }
                Error::Step(failure)
            }
            Error::Database { doing, source, .. } if may_go_on => {
                Error::Database { doing, source, state: format!("; {state}") }
            }
            Error::RunLock { after, holder, .. } if may_go_on => Error::RunLock { after, holder, state },
            other => Disagreement::Halfway {
                version: migration.version,
                label: migration.version.called(&migration.description),
                why: script,
                because: Some(Box::new(other)),
            }
            .into(),
        }
    }

    fn stopped(&mut self, part: &Part<'_>, Failed { error, left }: Failed) -> Stopped {
        let Part { prepared, index, .. } = *part;
        let server_error = match &error {
            DatabaseError::Server(error) => Some(error.as_ref()),
            _ => None,
        };
        let (culprit, excerpt) = message::blame_statement(prepared, index, server_error);
        let met = self.outcome(&error);
        let may_repeat = met == Outcome::NotGranted && left == Left::Nothing;
        let outcome = match met {
            Outcome::Cut => Outcome::Cut,
            nothing_done if index == 0 && left == Left::Nothing => nothing_done,
            // A later run goes on here, so it is worth another one.
            passing @ (Outcome::NotGranted | Outcome::Stopped(_)) if part.may_go_on(left) => passing,
            _ => Outcome::Halfway,
        };
        self.reporter.failed(prepared);
        let state = "whether the statement took effect is not known".to_owned();
        let failure = self.failure(prepared, culprit, excerpt, error, outcome, state);
        Stopped::of(failure, may_repeat)
    }
}

fn is_cut(error: &Error) -> bool {
    matches!(error, Error::Step(failure) if failure.outcome == Outcome::Cut)
}

fn looking(source: DatabaseError) -> Error {
    Error::database("looking at the indexes of a concurrent build", source)
}

fn ways_out(version: Version, may_go_on: bool) -> String {
    let on =
        if may_go_on { "mend the cause and run again, which goes on with this statement; or " } else { "" };
    format!(
        "{on}bring what the script left behind to one side, then `resolve {version} --done` if all of it is in effect, \
         or `resolve {version} --retry` if none of it is"
    )
}
