//! How far a script has come, at each of its statements and when its run ends early.

use crate::postgres::DatabaseError;
use migration_core::{Prepared, Statement};

pub(super) struct Part<'p> {
    pub(super) prepared: &'p Prepared<'p>,
    pub(super) index: usize,
    pub(super) statement: &'p Statement<'p>,
    /// Whether all before it left the session alone: only then can more be recorded, and only then
    /// can another session go on here.
    pub(super) is_clear: bool,
}

pub(super) struct Failed {
    pub(super) error: DatabaseError,
    pub(super) left: Left,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    Nothing,
    /// An invalid index, which a later run drops before it builds it anew.
    Index,
    /// Nobody knows.
    Something,
}

impl Part<'_> {
    pub(super) fn state(&self, left: Left) -> ScriptState {
        match (self.index, left) {
            (0, Left::Nothing) => ScriptState::Untouched,
            (done, left) => ScriptState::PartiallyApplied { done, may_go_on: self.may_go_on(left) },
        }
    }

    pub(super) fn may_go_on(&self, left: Left) -> bool {
        self.is_clear && left != Left::Something
    }
}

#[derive(Clone, Copy)]
pub(super) enum ScriptState {
    Untouched,
    PartiallyApplied { done: usize, may_go_on: bool },
}

impl ScriptState {
    pub(super) fn may_go_on(self) -> bool {
        match self {
            Self::Untouched => true,
            Self::PartiallyApplied { may_go_on, .. } => may_go_on,
        }
    }
}
