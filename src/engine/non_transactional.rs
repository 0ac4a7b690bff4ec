//! No-transaction scripts: every statement commits by itself. While the script is under way its row
//! has `success = false`, and each statement's start and end is recorded, so that a later run can
//! tell where this one stopped.

mod leftovers;
mod part;

use std::time::Instant;

use migration_core::{PartiallyApplied, Prepared, Statement, Version};

use crate::engine::non_transactional::part::{Failed, Left, Part, ScriptState};
use crate::engine::runner::Stopped;
use crate::engine::{Aftermath, Attempts, Error, Event, Outcome, Runner};
use crate::postgres::batch::session::{WITH_LIMITS_AGAIN, WITHOUT_LIMITS, reset_session};
use crate::postgres::batch::{self, partially_applied};
use crate::postgres::{Culprit, DatabaseError, Error as PostgresError, FailedQuery, Session, path};

impl Runner<'_, '_> {
    pub(super) async fn non_transactional(&mut self, prepared: &Prepared<'_>) -> Result<(), Error> {
        // Each of its statements commits, and so does each word about them.
        self.tracker.in_doubt = true;
        let end = self.statementwise(prepared).await;
        self.tracker.in_doubt = end.as_ref().is_err_and(is_cut);
        end
    }

    async fn statementwise(&mut self, prepared: &Prepared<'_>) -> Result<(), Error> {
        let started = Instant::now();
        self.tracker.began(prepared);
        let statements = prepared.split();
        let first = prepared.resumes_at.unwrap_or(0);
        match prepared.resumes_at {
            None => self.enter(prepared).await?,
            Some(done) => {
                let progress = ScriptState::PartiallyApplied { done, may_go_on: true };
                self.ours(prepared, progress, path::KEEP_ROLES_OWN.to_owned()).await?;
            }
        }
        self.progress = self.session.info.progress.clone().unwrap_or_default();
        let mut is_clear = statements.iter().take(first).all(Statement::leaves_session_alone);
        for (index, statement) in statements.iter().enumerate().skip(first) {
            self.tracker.tell(Event::Statement(index + 1, statements.len()));
            let part = Part { prepared, index, statement, is_clear };
            self.until_granted(&part).await?;
            is_clear &= statement.leaves_session_alone();
        }
        let done = ScriptState::PartiallyApplied { done: statements.len(), may_go_on: is_clear };
        let reset = reset_session(&self.session.settings);
        let leave = partially_applied::leave(prepared, &self.table, started.elapsed().as_nanos());
        for sql in [reset, leave] {
            self.ours(prepared, done, sql).await?;
        }
        self.tracker.ran(prepared, started.elapsed());
        self.tracker.committed();
        Ok(())
    }

    /// Records that the script is under way. Until then nothing of it is applied.
    async fn enter(&mut self, prepared: &Prepared<'_>) -> Result<(), Error> {
        let mut attempts = Attempts::begin();
        loop {
            attempts.next();
            let enter = partially_applied::enter(prepared, &self.table);
            let Err(FailedQuery { error, .. }) = self.session.execute(enter).await else { break };
            self.tracker.failed(prepared);
            let outcome = self.outcome(&error);
            let state = format!("nothing of the script was run; {}", self.tracker.state());
            let is_name = error.of_server().is_some_and(|error| error.untranslatable().is_some());
            let culprit = if is_name { Culprit::FileName } else { Culprit::Bookkeeping };
            let failure = self.failure(prepared, culprit, None, error, outcome, state);
            let stopped = Stopped::of(failure, outcome == Outcome::NotGranted);
            self.pause(stopped, &mut attempts).await?;
        }
        let looked = self.session.look_again().await.map_err(Error::from);
        let problem = |session: &Session| {
            let table = session.info.progress.as_ref();
            table.map_or(Some("the progress table was taken away".to_owned()), |it| {
                it.distrusted(&session.info.user)
            })
        };
        let trusted =
            looked.and_then(|()| problem(self.session).map_or(Ok(()), |it| Err(Error::refused(it))));
        match trusted {
            Ok(()) => Ok(()),
            Err(error) => Err(self.ended(prepared, ScriptState::Untouched, error).await),
        }
    }

    /// Runs one statement, again and again as long as it only lacks a lock.
    async fn until_granted(&mut self, part: &Part<'_>) -> Result<(), Error> {
        self.watch.met_a_lock = false;
        let mut attempts = Attempts::begin();
        loop {
            let untouched = part.state(Left::Nothing);
            if let Some(signal) = self.interrupt.signal() {
                return Err(self
                    .ended(part.prepared, untouched, Error::interrupted(signal, String::new()))
                    .await);
            }
            attempts.next();
            let Err(failed) = self.send(part).await? else { return Ok(()) };
            let progress = part.state(failed.left);
            let stopped = self.stopped(part, failed);
            if let Err(error) = self.pause(stopped, &mut attempts).await {
                return Err(self.ended(part.prepared, progress, error).await);
            }
        }
    }

    /// The outer result is about what we do around the statement, the inner one about itself.
    async fn send(&mut self, part: &Part<'_>) -> Result<Result<(), Failed>, Error> {
        let Part { prepared, index, statement, is_clear } = *part;
        let mut commits_in_pieces = false;
        if is_clear && statement.can_join_a_transaction() && statement.leaves_session_alone() {
            match self.joined(part).await? {
                // active_sql_transaction: an extension may refuse one, whatever the statement's words say.
                Err(failed) if failed.error.sqlstate() == Some("25001") => commits_in_pieces = true,
                end => return Ok(end),
            }
        }
        let untouched = part.state(Left::Nothing);
        let target = statement.concurrent();
        let before = match &target {
            Some(target) => self.indexes_of(part, untouched, target).await?,
            None => Vec::new(),
        };
        if is_clear {
            let existed = target.as_ref().is_some_and(|target| target.is_among(&before));
            self.ours(
                prepared,
                untouched,
                partially_applied::start(prepared, &self.progress, (index, statement.text), existed),
            )
            .await?;
        }
        if statement.is_maintenance() {
            self.ours(prepared, untouched, WITHOUT_LIMITS.to_owned()).await?;
        }
        if statement.is_concurrent()
            && let Err(error) = self.lock.release_sqlx(self.session).await
        {
            return Err(self.ended(prepared, untouched, error.into()).await);
        }
        self.ours(prepared, untouched, path::SCRIPTS.to_owned()).await?;
        let result = self.watched(statement.text.to_owned()).await;
        let result = match result {
            Ok(_) => Ok(()),
            Err(FailedQuery { error, .. }) if error.is_outage() => {
                return Ok(Err(Failed { error, left: Left::Something }));
            }
            Err(FailedQuery { error, .. }) => Err(error),
        };
        let clearing = result.is_err().then(|| self.session.clear());
        // Until it is recorded, only the catalog could tell, and only of a build with a name.
        let is_told = is_clear && target.as_ref().is_some_and(|target| target.is_told_later(&before));
        let unknown = match result {
            Ok(()) => ScriptState::PartiallyApplied { done: index + 1, may_go_on: is_told },
            Err(_) => part.state(Left::Something),
        };
        self.ours(prepared, unknown, path::SCRIPTS_NO_MORE.to_owned()).await?;
        let (progress, result) = match result {
            Ok(()) => {
                let is_recorded = is_clear && statement.leaves_session_alone();
                if is_recorded {
                    self.ours(prepared, unknown, partially_applied::finish(&self.progress, index)).await?;
                }
                (ScriptState::PartiallyApplied { done: index + 1, may_go_on: is_recorded }, Ok(()))
            }
            Err(error) => {
                let is_refused = was_refused(&error);
                let left = match &target {
                    Some(target) => match self.clear_away(part, target, &before).await? {
                        Left::Something if is_refused => Left::Nothing,
                        left => left,
                    },
                    None if is_refused => Left::Nothing,
                    // What refuses a transaction for reasons of its own may commit in pieces.
                    None if statement.is_atomic() && !commits_in_pieces => Left::Nothing,
                    None if statement.detaches() && self.session.nothing_is_pending().await => Left::Nothing,
                    None => Left::Something,
                };
                if left == Left::Nothing && is_clear {
                    self.ours(prepared, untouched, partially_applied::forget(&self.progress, index)).await?;
                }
                (part.state(left), Err(Failed { error, left }))
            }
        };
        if statement.is_maintenance() {
            self.ours(prepared, progress, WITH_LIMITS_AGAIN.to_owned()).await?;
        }
        drop(clearing);
        if statement.is_concurrent() {
            // What the statement itself had to say matters more than that somebody else came, unless
            // it would be tried again, without the key.
            let is_over = |failed: &Failed| self.outcome(&failed.error) != Outcome::NotGranted;
            let is_over = result.as_ref().is_err_and(is_over);
            if let Err(error) = self.lock.take_sqlx(self.session, &self.options, self.interrupt).await
                && !is_over
            {
                return Err(self.ended(prepared, progress, error.into()).await);
            }
        }
        Ok(result)
    }

    /// A statement and its record: both or neither.
    async fn joined(&mut self, part: &Part<'_>) -> Result<Result<(), Failed>, Error> {
        let partially_applied::Around { before, commands_before, after, commands_of_ours } =
            partially_applied::around(part.prepared, &self.progress, (part.index, part.statement.text));
        let sql = format!("{before}{}{after}", part.statement.text);
        let Err(FailedQuery { commands, error }) = self.watched(sql).await else { return Ok(Ok(())) };
        if error.is_outage() {
            return Ok(Err(Failed { error, left: Left::Something }));
        }
        let untouched = part.state(Left::Nothing);
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

    /// A query of ours around the script, again and again as long as it only lacks a lock.
    async fn ours(
        &mut self,
        prepared: &Prepared<'_>,
        progress: ScriptState,
        sql: String,
    ) -> Result<(), Error> {
        let mut attempts = Attempts::begin();
        loop {
            attempts.next();
            let Err(FailedQuery { error, .. }) = self.session.execute(sql.clone()).await else {
                return Ok(());
            };
            let stopped = self.ours_stopped(prepared, progress, error);
            if let Err(error) = self.pause(stopped, &mut attempts).await {
                return Err(self.ended(prepared, progress, error).await);
            }
        }
    }

    fn ours_stopped(
        &mut self,
        prepared: &Prepared<'_>,
        progress: ScriptState,
        error: DatabaseError,
    ) -> Stopped {
        let met = self.outcome(&error);
        let outcome = match met {
            Outcome::Cut => Outcome::Cut,
            passing @ (Outcome::NotGranted | Outcome::Stopped(_)) if progress.may_go_on() => passing,
            _ => Outcome::PartiallyApplied,
        };
        self.tracker.failed(prepared);
        let failure = self.failure(prepared, Culprit::Bookkeeping, None, error, outcome, String::new());
        Stopped::of(failure, met == Outcome::NotGranted)
    }

    /// Gives the end of a script its true state: reverts its record where nothing is in effect,
    /// says what is where something is, and whether a person has to look.
    async fn ended(&mut self, prepared: &Prepared<'_>, progress: ScriptState, error: Error) -> Error {
        let error = match error {
            Error::Postgres(PostgresError::Query { source, .. }) if source.is_outage() => {
                let failure =
                    self.failure(prepared, Culprit::Bookkeeping, None, source, Outcome::Cut, String::new());
                Error::Failed(Box::new(failure))
            }
            other => other,
        };
        self.tracker.failed(prepared);
        if is_cut(&error) {
            return error;
        }
        let migration = prepared.step.migration;
        let of = prepared.statements;
        let script = match progress {
            ScriptState::Untouched if prepared.resumes_at.is_none() => {
                let reset = reset_session(&self.session.settings);
                let _clearing = self.session.clear();
                let undo = partially_applied::undo(migration.version, prepared.step.direction, &self.table);
                match self.session.execute(format!("{};\n{reset};\n{undo}", partially_applied::FRESH)).await {
                    Ok(_) => "nothing of the script took effect".to_owned(),
                    Err(FailedQuery { error, .. }) => format!(
                        "nothing of the script took effect, but it is still recorded as partially applied ({})",
                        Error::query("removing its record", error).in_passing()
                    ),
                }
            }
            ScriptState::Untouched => "nothing of the script took effect".to_owned(),
            ScriptState::PartiallyApplied { done: 0, .. } => {
                "the script is partially applied: its first statement may have left something behind"
                    .to_owned()
            }
            ScriptState::PartiallyApplied { done, .. } => {
                let are = if done == 1 { "is" } else { "are" };
                format!("the script is partially applied: {done} of its {of} statements {are} in effect")
            }
        };
        let state = format!("{script}; {}", self.tracker.state());
        let may_go_on = progress.may_go_on();
        match error {
            Error::Interrupted { signal, .. } if may_go_on => Error::interrupted(signal, state),
            Error::Interrupted { signal, .. } => {
                let state = format!("{state}; {}", ways_out(migration.version, may_go_on));
                Error::Interrupted { signal, state, left: Aftermath::PartiallyApplied }
            }
            Error::Failed(mut failure) => {
                failure.state = state;
                if failure.outcome == Outcome::PartiallyApplied {
                    let ways = ways_out(migration.version, may_go_on);
                    failure.advice = Some(match failure.advice {
                        Some(advice) => format!("{advice}\n{ways}"),
                        None => ways,
                    });
                }
                Error::Failed(failure)
            }
            Error::Postgres(PostgresError::Query { doing, source, .. }) if may_go_on => {
                PostgresError::Query { doing, source, state: format!("; {state}") }.into()
            }
            Error::Postgres(PostgresError::RunLock { after, holder, .. }) if may_go_on => {
                PostgresError::RunLock { after, holder, state }.into()
            }
            other => Error::PartiallyApplied {
                script: PartiallyApplied {
                    version: migration.version,
                    label: migration.called(),
                    why: script,
                },
                because: Box::new(other),
            },
        }
    }

    fn stopped(&mut self, part: &Part<'_>, Failed { error, left }: Failed) -> Stopped {
        let Part { prepared, index, .. } = *part;
        let (culprit, excerpt) = batch::blame_statement(prepared, index, error.of_server());
        let met = self.outcome(&error);
        let may_repeat = met == Outcome::NotGranted && left == Left::Nothing;
        let outcome = match met {
            Outcome::Cut => Outcome::Cut,
            nothing_done if index == 0 && left == Left::Nothing => nothing_done,
            // A later run goes on here, so it is worth another one.
            passing @ (Outcome::NotGranted | Outcome::Stopped(_)) if part.may_go_on(left) => passing,
            _ => Outcome::PartiallyApplied,
        };
        self.tracker.failed(prepared);
        let state = "whether the statement took effect is not known".to_owned();
        let failure = self.failure(prepared, culprit, excerpt, error, outcome, state);
        Stopped::of(failure, may_repeat)
    }
}

fn is_cut(error: &Error) -> bool {
    matches!(error, Error::Failed(failure) if failure.outcome == Outcome::Cut)
}

fn ways_out(version: Version, may_go_on: bool) -> String {
    let on =
        if may_go_on { "fix the cause and run again, which continues with this statement; or " } else { "" };
    format!(
        "{on}finish the script by hand and run `resolve {version} --done`, or undo what it did and run \
         `resolve {version} --retry`"
    )
}

fn was_refused(error: &DatabaseError) -> bool {
    error.of_server().is_some_and(|error| {
        Statement::was_refused(&error.sqlstate, error.context.is_some() || error.internal.is_some())
    })
}
