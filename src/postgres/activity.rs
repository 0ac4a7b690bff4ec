//! What a session is doing, for whoever wants to cancel it.

use std::cell::Cell;
use std::rc::Rc;

/// Shared by the session and those who may cancel its statements.
#[derive(Clone, Default)]
pub(super) struct Activity(Rc<Counters>);

#[derive(Default)]
struct Counters {
    messages: Cell<u64>,
    clearing: Cell<u32>,
}

/// As long as it lives, the session clears up after a failure and is not to be cancelled.
pub(crate) struct Clearing(Rc<Counters>);

impl Activity {
    /// A message is sent to the server: what was sent before has ended.
    pub(super) fn begins(&self) {
        self.0.messages.set(self.0.messages.get() + 1);
    }

    /// How many messages were sent; the same number later means that the same one is under way.
    pub(super) fn messages(&self) -> u64 {
        self.0.messages.get()
    }

    pub(super) fn clear(&self) -> Clearing {
        self.0.clearing.set(self.0.clearing.get() + 1);
        Clearing(Rc::clone(&self.0))
    }

    pub(super) fn is_clearing(&self) -> bool {
        self.0.clearing.get() > 0
    }
}

impl Drop for Clearing {
    fn drop(&mut self) {
        self.0.clearing.set(self.0.clearing.get() - 1);
    }
}
