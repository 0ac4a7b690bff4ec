//! SIGINT and SIGTERM, as a state that waits and steps can look at.

use std::fmt;
use std::time::Duration;

use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Interrupt,
    Terminate,
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "interrupted by SIGINT",
            Self::Terminate => "terminated by SIGTERM",
        })
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Interrupt(watch::Receiver<Option<Signal>>);

impl Interrupt {
    pub(crate) fn of(signals: watch::Receiver<Option<Signal>>) -> Self {
        Self(signals)
    }

    pub(crate) fn signal(&self) -> Option<Signal> {
        *self.0.borrow()
    }

    pub(crate) async fn next(&mut self) -> Signal {
        self.0.mark_unchanged();
        loop {
            // The sender lives as long as the runtime; without one, no signal can come.
            if self.0.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            if let Some(signal) = self.signal() {
                return signal;
            }
        }
    }

    /// Does something that may be dropped in the middle, unless a signal has come or comes.
    pub(crate) async fn unless<T>(&self, work: impl Future<Output = T>) -> Result<T, Signal> {
        if let Some(signal) = self.signal() {
            return Err(signal);
        }
        let mut own = self.clone();
        tokio::select! {
            done = work => Ok(done),
            signal = own.next() => Err(signal),
        }
    }

    /// Waits, unless a signal has come or comes.
    pub(crate) async fn sleep(&self, duration: Duration) -> Result<(), Signal> {
        self.unless(tokio::time::sleep(duration)).await
    }
}
