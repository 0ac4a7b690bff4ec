//! The straight line of `upgrade` and `downgrade`: connect, read, plan, lock, read again, run.

use migration_core::plan::{Plan, groups};
use migration_core::{Direction, Group, History, PlanError, Prepared, State};

use crate::engine::permission::{
    refuse_distrusted, refuse_other_tool, refuse_unrecordable, refuse_unwritable, warn_of_refusal,
    warn_unless,
};
use crate::engine::watch::Watch;
use crate::engine::{
    Context, Error, Event, Mode, Outcome, Runner, Section, Tracker, lost_connection, resume,
};
use crate::postgres::{RunLock, Session, Table, batch};

pub(super) struct Change {
    pub(super) direction: Direction,
    pub(super) mode: Mode,
}

pub(super) async fn change(
    context: &Context<'_>,
    Change { direction, mode }: Change,
    decide: impl for<'a> Fn(&'a History, &State<'a>) -> Result<Plan<'a>, PlanError>,
    tracker: &mut Tracker<'_>,
) -> Result<(), Error> {
    let mut session = context.connect(tracker).await?;
    if mode == Mode::Run {
        refuse_distrusted(&session)?;
        if session.info.bookkeeping.as_ref().is_some_and(|table| !table.may_select) {
            // All that is missing, at once.
            refuse_unwritable(&session)?;
        }
    }
    let applied = session.applied().await?;
    refuse_other_tool(&mut session).await?;
    let found = resume::find(&mut session, context, &applied, direction).await;
    let (rows, resumed) = match &found {
        Ok(Some(resumed)) => (resumed.before(&applied), Some(resumed)),
        _ => (applied, None),
    };
    let state = State::of(context.history, &rows);
    let first = decide(context.history, &state);
    match (&first, mode) {
        (Ok(plan), Mode::Plan) => {
            let prepared = resume::prepare(&plan.steps, resumed)?;
            show_plan(plan, &prepared, &session, context, tracker);
            session.close().await;
            return Ok(());
        }
        (Ok(plan), Mode::Run) if plan.steps.is_empty() && resumed.is_none() => {
            finish_idle(plan, tracker);
            session.close().await;
            return Ok(());
        }
        // Scripts that can't be used and revisions that name nothing don't need the lock to be
        // refused; all else may be the middle of somebody else's run.
        (Ok(plan), Mode::Run) => drop(resume::prepare(&plan.steps, resumed)?),
        (Err(PlanError::Disagreement(_)), Mode::Run) => {}
        (Err(_), _) => {
            found?;
            first?;
        }
    }
    let lock = context.lock(&mut session).await?;
    let applied = session.read_again().await?;
    let resumed = resume::find(&mut session, context, &applied, direction).await?;
    let rows = resumed.as_ref().map_or_else(|| applied.clone(), |resumed| resumed.before(&applied));
    let state = State::of(context.history, &rows);
    let plan = decide(context.history, &state)?;
    let prepared = resume::prepare(&plan.steps, resumed.as_ref())?;
    if prepared.is_empty() {
        finish_idle(&plan, tracker);
    } else {
        refuse_unrecordable(&session, &prepared)?;
        let mut watch = Watch::new(context.server, session.info.pid);
        watch.keep_promises().await?;
        show_heading(&plan, &prepared, &session, context, tracker);
        if let Some(resumed) = &resumed {
            resumed.clean_up(&mut session, tracker).await?;
        }
        session = carry_out(session, (&lock, watch), &prepared, context, tracker).await?;
        tracker.show(Section::Done);
    }
    lock.release(&mut session).await?;
    session.close().await;
    Ok(())
}

fn finish_idle(plan: &Plan<'_>, tracker: &mut Tracker<'_>) {
    for warning in &plan.warnings {
        tracker.warn(warning.clone());
    }
    tracker.planned(plan, &[]);
    tracker.show(Section::Done);
}

fn show_heading(
    plan: &Plan<'_>,
    prepared: &[Prepared<'_>],
    session: &Session,
    context: &Context<'_>,
    tracker: &mut Tracker<'_>,
) {
    for warning in &plan.warnings {
        tracker.warn(warning.clone());
    }
    if let Some(warning) = lock_slots(prepared, session, context) {
        tracker.warn(warning);
    }
    tracker.planned(plan, prepared);
    tracker.report.header.bookkeeping = Some(session.info.planned_bookkeeping());
    tracker.show(Section::Heading);
}

fn show_plan(
    plan: &Plan<'_>,
    prepared: &[Prepared<'_>],
    session: &Session,
    context: &Context<'_>,
    tracker: &mut Tracker<'_>,
) {
    if prepared.is_empty() {
        warn_unless(refuse_distrusted(session), session, tracker);
        finish_idle(plan, tracker);
        return;
    }
    warn_of_refusal(session, prepared, tracker);
    show_heading(plan, prepared, session, context, tracker);
    tracker.show(Section::Steps(context.server.options.transaction));
}

/// A full lock table breaks other sessions too, so a run that comes near it is warned about.
fn lock_slots(prepared: &[Prepared<'_>], session: &Session, context: &Context<'_>) -> Option<String> {
    // A new table takes locks on itself, its TOAST table, its indexes and its types.
    const SLOTS_PER_CHANGE: usize = 4;
    let options = &context.server.options;
    let groups = groups(prepared, options.transaction, |prepared| prepared.script.is_transactional());
    let changes = groups.iter().map(|group| match group {
        Group::Transactional(steps) => steps.iter().map(|step| step.schema_changes).sum(),
        Group::NonTransactional(_) => 1,
    });
    let slots = changes.max().unwrap_or(0) * SLOTS_PER_CHANGE;
    let has = session.info.lock_slots;
    (i64::try_from(slots).unwrap_or(i64::MAX) > has / 2).then(|| {
        format!(
            "one transaction of this run takes some {slots} of the server's {has} lock slots (max_locks_per_transaction); \
             TRANSACTION=each and smaller migrations take fewer"
        )
    })
}

async fn carry_out(
    mut session: Session,
    (lock, watch): (&RunLock, Watch<'_>),
    prepared: &[Prepared<'_>],
    context: &Context<'_>,
    tracker: &mut Tracker<'_>,
) -> Result<Session, Error> {
    let table = bookkeeping(&mut session, tracker).await?;
    let options = context.server.options;
    let interrupt = context.interrupt;
    let progress = Table::default();
    let mut runner =
        Runner { session: &mut session, lock, watch, table, progress, options, interrupt, tracker };
    match runner.run(prepared).await {
        Err(Error::Failed(failure)) if failure.outcome == Outcome::Cut => {
            // A connection that only fell silent would hold the lock against us.
            drop(session);
            context.backend.set(None);
            Err(lost_connection::learn(context, failure, tracker).await)
        }
        other => other.map(|()| session),
    }
}

/// The bookkeeping table; made now, under the lock, where there is none.
pub(super) async fn bookkeeping(session: &mut Session, tracker: &mut Tracker<'_>) -> Result<Table, Error> {
    if session.info.bookkeeping.is_none() {
        let home = session.info.home().map(|home| home.qualified()).unwrap_or_default();
        session.create_bookkeeping(batch::create_bookkeeping(&home)).await?;
        tracker.tell(Event::CreatedBookkeeping(&home));
    }
    let table = session.info.bookkeeping.clone();
    let table = table.ok_or_else(|| Error::refused("the bookkeeping table was taken away"))?;
    refuse_distrusted(session)?;
    tracker.report.header.bookkeeping = Some(session.info.found_bookkeeping());
    Ok(table)
}
