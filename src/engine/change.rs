//! The straight line of a run: connect, read, plan, lock, read again, run, report.

mod halfway;
mod learn;
mod look;
mod record;

use std::cell::Cell;

use crate::config::{Command, Config, Extent, Server, Task};
use crate::database::{self, BOOKKEEPING, Backend, Facts, RunLock, Session, Table, quoted_identifier};
use crate::error::{Disagreement, Error};
use crate::failure::Outcome;
use crate::interrupt::Interrupt;
use crate::log::Format;
use crate::message;
use crate::migration::{Direction, History};
use crate::offline;
use crate::plan::{self, Plan, PlanError};
use crate::report::{self, Bookkeeping, Reporter, text};
use crate::run::Runner;
use crate::script::Prepared;
use crate::standing::Standing;
use crate::watch::Watch;
use crate::wording;

/// The server process that works for us, for whoever wants to cancel what it does.
pub type Serving = Cell<Option<Backend>>;

/// Does what the configuration says.
///
/// # Errors
/// Why it ended early; the reporter holds what was done until then.
pub async fn run(
    config: &Config,
    interrupt: &Interrupt,
    reporter: &mut Reporter,
    serving: &Serving,
) -> Result<(), Error> {
    let history = History::read(&config.migrations)?;
    reporter.report.head = history.head();
    match &config.command {
        Command::Script { direction, range } => {
            let script = offline::script(&history, *direction, range)?;
            reporter.written(reporter.printer.raw(&script));
            Ok(())
        }
        Command::Online(server, task) => {
            reporter.report.command = Some(task.name());
            let log = Format::of(config.log);
            let place = Place { server, history: &history, interrupt, serving, log };
            match task {
                Task::Current(check) => look::current(&place, *check, reporter).await,
                Task::History(range) => look::history(&place, range, reporter).await,
                Task::Upgrade(target, out_of_order, extent) => {
                    change(
                        &place,
                        Direction::Up,
                        |history, standing| plan::upgrade(history, standing, target, *out_of_order),
                        *extent,
                        reporter,
                    )
                    .await
                }
                Task::Downgrade(target, extent) => {
                    change(
                        &place,
                        Direction::Down,
                        |history, standing| plan::downgrade(history, standing, target),
                        *extent,
                        reporter,
                    )
                    .await
                }
                Task::Stamp(target, extent) => record::stamp(&place, target, *extent, reporter).await,
                Task::Resolve(named, resolution) => {
                    record::resolve(&place, named.as_ref(), *resolution, reporter).await
                }
            }
        }
    }
}

/// Where a task works.
struct Place<'a> {
    server: &'a Server,
    history: &'a History,
    interrupt: &'a Interrupt,
    serving: &'a Serving,
    log: Format,
}

impl Place<'_> {
    async fn connect(&self, reporter: &mut Reporter) -> Result<Session, Error> {
        let (session, backend) = database::connect(self.server, self.interrupt).await?;
        self.serving.set(Some(backend));
        reporter.report.database = Some(session.facts.database.clone());
        reporter.report.bookkeeping = Some(Bookkeeping::found(&session.facts));
        if let Some(odd) = session.facts.odd_place()
            && !reporter.report.warnings.contains(&odd)
        {
            reporter.warn(odd);
        }
        tracing::debug!("connected to database {} as {}", session.facts.database, session.facts.user);
        Ok(session)
    }

    /// Takes the run lock, where it can be kept and there is leave to write.
    async fn lock(&self, session: &mut Session) -> Result<RunLock, Error> {
        refuse_unwritable(session)?;
        database::refuse_transaction_pooling(session, self.server).await?;
        RunLock::take(session, &self.server.manners, self.interrupt).await
    }
}

async fn change(
    place: &Place<'_>,
    direction: Direction,
    decide: impl for<'a> Fn(&'a History, &Standing<'a>) -> Result<Plan<'a>, PlanError>,
    extent: Extent,
    reporter: &mut Reporter,
) -> Result<(), Error> {
    let mut session = place.connect(reporter).await?;
    if extent == Extent::Run {
        refuse_distrusted(&session)?;
        if session.facts.bookkeeping.as_ref().is_some_and(|table| !table.may_select) {
            // All that is missing, at once.
            refuse_unwritable(&session)?;
        }
    }
    let applied = session.applied().await?;
    refuse_alembic(&mut session).await?;
    let found = halfway::find(&mut session, place, &applied, direction).await;
    let (rows, resumed) = match &found {
        Ok(Some(resumed)) => (resumed.before(&applied), Some(resumed)),
        _ => (applied, None),
    };
    let standing = Standing::of(place.history, &rows);
    let first = decide(place.history, &standing);
    match (&first, extent) {
        (Ok(plan), Extent::Plan) => {
            let prepared = halfway::prepare(&plan.steps, resumed)?;
            show_plan(plan, &prepared, &session, place, reporter);
            session.close().await;
            return Ok(());
        }
        (Ok(plan), Extent::Run) if plan.steps.is_empty() && resumed.is_none() => {
            finish_idle(plan, reporter);
            session.close().await;
            return Ok(());
        }
        // Scripts that can't be used and revisions that name nothing don't need the lock to be
        // refused; all else may be the middle of somebody else's run.
        (Ok(plan), Extent::Run) => drop(halfway::prepare(&plan.steps, resumed)?),
        (Err(PlanError::Disagreement(_)), Extent::Run) => {}
        (Err(_), _) => {
            found?;
            first?;
        }
    }
    let lock = place.lock(&mut session).await?;
    let applied = session.look_again().await?;
    let resumed = halfway::find(&mut session, place, &applied, direction).await?;
    let rows = resumed.as_ref().map_or_else(|| applied.clone(), |resumed| resumed.before(&applied));
    let standing = Standing::of(place.history, &rows);
    let plan = decide(place.history, &standing)?;
    let prepared = halfway::prepare(&plan.steps, resumed.as_ref())?;
    if prepared.is_empty() {
        finish_idle(&plan, reporter);
    } else {
        refuse_unrecordable(&session, &prepared)?;
        show_heading(&plan, &prepared, &session, place, reporter);
        if let Some(resumed) = &resumed {
            resumed.clean_up(&mut session).await?;
        }
        session = carry_out(session, &lock, &prepared, place, reporter).await?;
        reporter.show(text::done);
    }
    lock.release(&mut session).await?;
    session.close().await;
    Ok(())
}

fn finish_idle(plan: &Plan<'_>, reporter: &mut Reporter) {
    for warning in &plan.warnings {
        reporter.warn(warning.clone());
    }
    reporter.planned(plan, &[]);
    reporter.show(text::done);
}

fn show_heading(
    plan: &Plan<'_>,
    prepared: &[Prepared<'_>],
    session: &Session,
    place: &Place<'_>,
    reporter: &mut Reporter,
) {
    for warning in &plan.warnings {
        reporter.warn(warning.clone());
    }
    if let Some(warning) = lock_slots(prepared, session, place) {
        reporter.warn(warning);
    }
    reporter.planned(plan, prepared);
    reporter.report.bookkeeping = Some(Bookkeeping::planned(&session.facts));
    reporter.show(text::heading);
}

fn show_plan(
    plan: &Plan<'_>,
    prepared: &[Prepared<'_>],
    session: &Session,
    place: &Place<'_>,
    reporter: &mut Reporter,
) {
    if prepared.is_empty() {
        warn_unless(refuse_distrusted(session), session, reporter);
        finish_idle(plan, reporter);
        return;
    }
    warn_of_refusal(session, prepared, reporter);
    show_heading(plan, prepared, session, place, reporter);
    reporter.show(|report| text::plan(report, place.server.manners.transaction));
}

/// A plan must not promise what the run would be refused. It may be made by a role that only reads.
fn warn_of_refusal(session: &Session, prepared: &[Prepared<'_>], reporter: &mut Reporter) {
    let may = refuse_unwritable(session).and_then(|()| refuse_unrecordable(session, prepared));
    warn_unless(may, session, reporter);
}

fn warn_unless(may: Result<(), Error>, session: &Session, reporter: &mut Reporter) {
    if let Err(refusal) = may {
        let user = quoted_identifier(&session.facts.user);
        reporter.warn(format!("a run as role {user} would be refused: {}", refusal.in_passing()));
    }
}

/// A full lock table breaks other sessions too, so a run that comes near it is warned about.
fn lock_slots(prepared: &[Prepared<'_>], session: &Session, place: &Place<'_>) -> Option<String> {
    // A new table takes locks on itself, its TOAST table, its indexes and its types.
    const SLOTS_PER_CHANGE: usize = 4;
    let manners = &place.server.manners;
    let groups =
        crate::run::groups(prepared, manners.transaction, |prepared| prepared.script.is_transactional());
    let changes = groups.iter().map(|group| match group {
        crate::run::Group::Together(steps) => steps.iter().map(|step| step.schema_changes).sum(),
        crate::run::Group::Alone(_) => 1,
    });
    let slots = changes.max().unwrap_or(0) * SLOTS_PER_CHANGE;
    let has = session.facts.lock_slots;
    (i64::try_from(slots).unwrap_or(i64::MAX) > has / 2).then(|| {
        format!(
            "one transaction of this run takes some {slots} of the server's {has} lock slots (max_locks_per_transaction); \
             TRANSACTION=each and smaller migrations take fewer"
        )
    })
}

async fn carry_out(
    mut session: Session,
    lock: &RunLock,
    prepared: &[Prepared<'_>],
    place: &Place<'_>,
    reporter: &mut Reporter,
) -> Result<Session, Error> {
    let table = bookkeeping(&mut session, reporter).await?;
    let manners = place.server.manners;
    let watch = Watch::new(place.server, session.facts.pid, place.log);
    let interrupt = place.interrupt;
    let mut runner = Runner { session: &mut session, lock, watch, table, manners, interrupt, reporter };
    match runner.run(prepared).await {
        Err(Error::Step(failure)) if failure.outcome == Outcome::Cut => {
            // A connection that only fell silent would hold the lock against us.
            drop(session);
            place.serving.set(None);
            Err(learn::learn(place, failure, reporter).await)
        }
        other => other.map(|()| session),
    }
}

/// A script without a transaction needs a table beside the bookkeeping, for as long as it runs.
fn refuse_unrecordable(session: &Session, prepared: &[Prepared<'_>]) -> Result<(), Error> {
    let without_transaction: Vec<_> =
        prepared.iter().filter(|prepared| !prepared.script.is_transactional()).collect();
    if without_transaction.is_empty() {
        return Ok(());
    }
    let facts = &session.facts;
    if let Some(problem) = facts.progress.as_ref().and_then(|table| table.distrusted(&facts.user)) {
        return Err(Error::Refused(problem));
    }
    let beginning = without_transaction.iter().find(|prepared| prepared.resumes_at.is_none());
    let table = facts.bookkeeping.as_ref().filter(|table| !table.may_create);
    let (Some(prepared), Some(table)) = (beginning, table) else { return Ok(()) };
    let schema = quoted_identifier(&table.schema);
    let user = quoted_identifier(&facts.user);
    Err(Error::Refused(format!(
        "{} runs without a transaction, and role {user} may not record its progress; grant it with: \
         GRANT CREATE ON SCHEMA {schema} TO {user}",
        wording::path(&prepared.script.path)
    )))
}

/// The bookkeeping table; made now, under the lock, where there is none.
async fn bookkeeping(session: &mut Session, reporter: &mut Reporter) -> Result<Table, Error> {
    if session.facts.bookkeeping.is_none() {
        let home = session.facts.home().map(|home| home.qualified()).unwrap_or_default();
        session.create_bookkeeping(message::create_bookkeeping(&home)).await?;
        tracing::info!("created the bookkeeping table {home}");
    }
    let table = session.facts.bookkeeping.clone();
    let table = table.ok_or_else(|| Error::Refused("the bookkeeping table was taken away".to_owned()))?;
    refuse_distrusted(session)?;
    reporter.report.bookkeeping = Some(Bookkeeping::found(&session.facts));
    Ok(table)
}

/// What a table of a stranger's says is not to decide what is run, and nothing is to be written to it.
fn refuse_distrusted(session: &Session) -> Result<(), Error> {
    let facts = &session.facts;
    match facts.bookkeeping.as_ref().and_then(|table| table.distrusted(&facts.user)) {
        Some(problem) => Err(Error::Refused(problem)),
        None => Ok(()),
    }
}

/// A database that Alembic built, and of which our bookkeeping knows nothing.
async fn refuse_alembic(session: &mut Session) -> Result<(), Error> {
    let (None, Some(table)) = (&session.facts.bookkeeping, session.facts.alembic.clone()) else {
        return Ok(());
    };
    let revision = session.alembic_revision(&table).await.unwrap_or_else(|| "not readable".to_owned());
    Err(Disagreement::Alembic { table: table.qualified(), revision }.into())
}

fn refuse_unwritable(session: &Session) -> Result<(), Error> {
    let facts = &session.facts;
    let user = quoted_identifier(&facts.user);
    let problem = if facts.is_standby {
        "the server is a standby, which takes no changes; connect to the primary".to_owned()
    } else if facts.is_read_only {
        format!("transactions of role {user} are read-only here (default_transaction_read_only)")
    } else {
        match (&facts.bookkeeping, &facts.schema) {
            (Some(table), _) => match table.unwritable(&facts.user) {
                None => return Ok(()),
                Some(problem) => problem,
            },
            (None, Some(_)) if facts.may_create => return Ok(()),
            (None, schema) => not_found(facts, schema.as_deref()),
        }
    };
    Err(Error::Refused(problem))
}

/// The role may not create the table that it does not find. Most often there is one, and the role looks elsewhere:
/// a right to create would give the database a second history.
fn not_found(facts: &Facts, schema: Option<&str>) -> String {
    let user = quoted_identifier(&facts.user);
    let what =
        format!("no {BOOKKEEPING} was found on the search path of role {user} ({})", facts.search_path);
    let repoint = report::repoint(facts);
    match (schema.map(quoted_identifier), report::elsewhere(facts)) {
        (None, None) => format!("{what}, which names no schema to create it in; {repoint}"),
        (None, Some(elsewhere)) => {
            format!("{what}, which names no schema to create it in; {elsewhere}; {repoint}")
        }
        (Some(schema), None) => format!(
            "{what}, and the role may not create it in schema {schema}; {repoint}; if the database has no history yet, \
             grant it with: GRANT CREATE ON SCHEMA {schema} TO {user}"
        ),
        (Some(schema), Some(elsewhere)) => {
            format!("{what}, and the role may not create it in schema {schema}; {elsewhere}; {repoint}")
        }
    }
}
