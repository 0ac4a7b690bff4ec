//! Carries out what was asked, and tells an observer what happens. It prints nothing.

pub(crate) mod advice;
pub(crate) mod change;
pub(crate) mod context;
pub(crate) mod error;
pub(crate) mod event;
pub(crate) mod failure;
pub(crate) mod inspect;
pub(crate) mod lost_connection;
pub(crate) mod non_transactional;
pub(crate) mod offline;
pub(crate) mod permission;
pub(crate) mod record;
pub(crate) mod resume;
pub(crate) mod retry;
pub(crate) mod runner;
pub(crate) mod task;
pub(crate) mod tracker;
pub(crate) mod transactional;
pub(crate) mod watch;

pub(crate) use context::Context;
pub(crate) use error::{Aftermath, Error};
pub(crate) use event::{Event, Observer, Section};
pub(crate) use failure::{Failure, Outcome};
pub(crate) use retry::Attempts;
pub(crate) use runner::Runner;
pub(crate) use task::{Mode, Task};
pub(crate) use tracker::Tracker;

use migration_core::{Direction, plan};

use crate::engine::change::{Change, change};

/// Does a task on a database; the tracker holds what was done until it ended.
pub(crate) async fn run(task: &Task, context: &Context<'_>, tracker: &mut Tracker<'_>) -> Result<(), Error> {
    tracker.report.header.command = Some(task.command());
    match task {
        Task::Current(revision, check) => inspect::current(context, revision.as_ref(), *check, tracker).await,
        Task::History(range) => inspect::history(context, range, tracker).await,
        Task::Upgrade(target, out_of_order, mode) => {
            let way = Change { direction: Direction::Up, mode: *mode };
            change(context, way, |files, state| plan::upgrade(files, state, target, *out_of_order), tracker)
                .await
        }
        Task::Downgrade(target, mode) => {
            let way = Change { direction: Direction::Down, mode: *mode };
            change(context, way, |files, state| plan::downgrade(files, state, target), tracker).await
        }
        Task::Stamp(target, mode) => record::stamp(context, target, *mode, tracker).await,
        Task::Resolve(named, resolution) => {
            record::resolve(context, named.as_ref(), *resolution, tracker).await
        }
    }
}
