//! What to do on a database.

use std::time::Duration;

use migration_core::command::Command;
use migration_core::plan::OutOfOrder;
use migration_core::revision::{Range, Revision};

#[derive(Clone, Debug)]
pub(crate) enum Task {
    /// Apply what is pending up to a revision.
    Upgrade(Revision, OutOfOrder, Mode),
    /// Take back what is applied above a revision.
    Downgrade(Revision, Mode),
    /// Record a revision without running anything.
    Stamp(Revision, Mode),
    /// Decide what the partially applied script came to; of this version, if it is named.
    Resolve(Option<Revision>, Resolution),
    /// Say where the database is.
    Current(Check),
    /// Say how every migration is.
    History(Range),
}

impl Task {
    pub(crate) fn command(&self) -> Command {
        match self {
            Self::Upgrade(..) => Command::Upgrade,
            Self::Downgrade(..) => Command::Downgrade,
            Self::Stamp(..) => Command::Stamp,
            Self::Resolve(..) => Command::Resolve,
            Self::Current(_) => Command::Current,
            Self::History(_) => Command::History,
        }
    }
}

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Print the plan and stop.
    Plan,
    /// Carry it out.
    Run,
}

/// What `current` does about pending migrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// Show them.
    Show,
    /// Fail with exit code 9, after waiting so long for somebody to apply them.
    FailIfPending(Duration),
}

/// What came of a partially applied script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resolution {
    /// All of it is in effect.
    Done,
    /// None of it is.
    Retry,
}
