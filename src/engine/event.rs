//! What happens in a run, for whoever tells it to people.

use std::path::Path;
use std::time::Duration;

use migration_core::{Bookkeeping, Report, StepReport, Transaction, Version};

use crate::postgres::{DatabaseError, Observation};

/// Is told everything, as soon as it is certain.
pub(crate) trait Observer {
    fn on(&mut self, event: Event<'_>);
}

pub(crate) enum Event<'e> {
    /// Something is odd, but did not stop the run.
    Warning(&'e str),
    /// `current --check --wait` goes on waiting.
    WaitingForMigrations {
        pending: usize,
        bookkeeping: Option<&'e Bookkeeping>,
    },
    /// A part of the report is certain.
    Certain(Section, &'e Report),
    /// An earlier run began this script; this one goes on with its statement, from 1.
    Resumed {
        version: Version,
        statement: usize,
    },
    CreatedBookkeeping {
        table: &'e str,
    },
    /// These steps of the report were committed.
    Committed {
        report: &'e Report,
        steps: &'e [&'e StepReport],
    },
    /// A step did not get its locks, and is tried again.
    Retrying {
        failure: &'e str,
        gave_way: bool,
        pause: Duration,
        attempt: u32,
        most: u32,
    },
    /// The connection broke while a commit was under way.
    Reconnecting {
        failure: &'e str,
    },
    /// The server did not count the commands that were sent.
    Miscounted {
        script: &'e Path,
        counted: usize,
        sent: usize,
    },
    DroppedIndex {
        index: &'e str,
        left_by: &'static str,
    },
    /// An invalid index may be another session's work.
    SparedIndex {
        index: &'e str,
    },
    /// An invalid index is still there.
    InvalidIndex {
        index: &'e str,
        error: &'e DatabaseError,
    },
    /// What is seen of a statement that takes long.
    Watching {
        seen: &'e Observation,
        elapsed: Duration,
    },
    Watched,
    /// Others have waited too long; the statement is cancelled.
    GivingWay(&'e Observation),
}

#[derive(Clone, Copy)]
pub(crate) enum Section {
    Heading,
    /// The steps of a plan that is only shown.
    Steps(Transaction),
    /// That all there was to do is done.
    Done,
    /// What `stamp` and `resolve` are about to record.
    Recording,
    Recorded,
    Current,
    History,
}
