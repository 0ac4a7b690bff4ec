//! What to do on a database.

use std::time::Duration;

use migration_core::{Command, OutOfOrder, Range, Revision};

#[derive(Clone, Debug)]
pub(crate) enum Task {
    Upgrade(Revision, OutOfOrder, Mode),
    Downgrade(Revision, Mode),
    Stamp(Revision, Mode),
    /// Decide what the partially applied script came to; of this version, if it is named.
    Resolve(Option<Revision>, Resolution),
    /// The revision has to exist, if it is named.
    Current(Option<Revision>, Check),
    History(Range),
}

impl Task {
    pub(crate) fn command(&self) -> Command {
        match self {
            Self::Upgrade(..) => Command::Upgrade,
            Self::Downgrade(..) => Command::Downgrade,
            Self::Stamp(..) => Command::Stamp,
            Self::Resolve(..) => Command::Resolve,
            Self::Current(..) => Command::Current,
            Self::History(_) => Command::History,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Plan,
    Run,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    Show,
    /// Fail with exit code 9, after waiting so long for somebody to apply them.
    FailIfPending(Duration),
}

/// What came of a partially applied script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resolution {
    Done,
    Retry,
}
