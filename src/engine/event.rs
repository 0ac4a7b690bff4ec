//! What happens in a run, for whoever tells it to people.

use std::path::Path;
use std::time::Duration;

use migration_core::{Bookkeeping, Report, StepReport, Transaction, Version};

use crate::engine::Failure;
use crate::postgres::{DatabaseError, Observation};

pub(crate) trait Observer {
    fn on(&mut self, event: Event<'_>);
}

pub(crate) enum Event<'e> {
    Warning(&'e str),
    /// `current --check --wait` goes on waiting for so many.
    WaitingForMigrations(usize, Option<&'e Bookkeeping>),
    /// A part of the report is certain.
    Certain(Section, &'e Report),
    /// An earlier run began this script; this one goes on with its statement, from 1.
    Resumed(Version, usize),
    CreatedBookkeeping(&'e str),
    /// These steps of the report were committed.
    Committed(&'e Report, &'e [&'e StepReport]),
    /// A step did not get its locks, and is tried again.
    Retrying(Retry<'e>),
    /// The connection broke while a commit was under way.
    Reconnecting(&'e Failure),
    /// The server counted so many commands in a script, and not as many as were sent.
    Miscounted(&'e Path, usize, usize),
    /// An invalid index was dropped, which an earlier run or a failed build had left.
    DroppedIndex(&'e str, &'static str),
    SparedIndex(&'e str),
    InvalidIndex(&'e str, &'e DatabaseError),
    /// A migration begins, such as `applying 2 (b)`: its number among the steps from 1, and how many there are.
    Began(&'e str, usize, usize),
    /// A statement of it is sent alone: its number from 1, of so many.
    Statement(usize, usize),
    /// A statement goes on: what is seen of it, if anybody could look.
    Watching(Option<&'e Observation>),
    /// That statement has ended.
    Watched,
    /// Others have waited too long; the statement is cancelled.
    GivingWay(&'e Observation),
}

pub(crate) struct Retry<'e> {
    pub(crate) failure: &'e Failure,
    pub(crate) gave_way: bool,
    pub(crate) pause: Duration,
    pub(crate) attempt: u32,
    pub(crate) most: u32,
}

#[derive(Clone, Copy)]
pub(crate) enum Section {
    Heading,
    Steps(Transaction),
    Done,
    Recording,
    Recorded,
    Current,
    History,
}
