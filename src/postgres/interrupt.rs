//! SIGINT and SIGTERM, as a state that waits and steps can look at.

use std::fmt;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::error::ExitCode;

/// The signals that end a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// What Kubernetes and `docker stop` send.
    Terminate,
}

impl Signal {
    /// As a shell would report it: 128 plus the signal's number.
    pub fn exit_code(self) -> ExitCode {
        match self {
            Self::Interrupt => ExitCode::Interrupted,
            Self::Terminate => ExitCode::Terminated,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "interrupted by SIGINT",
            Self::Terminate => "terminated by SIGTERM",
        })
    }
}

/// Tells whether a signal has come.
#[derive(Clone, Debug)]
pub struct Interrupt(watch::Receiver<Option<Signal>>);

impl Interrupt {
    /// Starts to listen. Must run inside the tokio runtime.
    ///
    /// # Errors
    /// When the process may not install signal handlers.
    pub fn listen() -> std::io::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let (sender, receiver) = watch::channel(None);
        tokio::spawn(async move {
            loop {
                let signal = tokio::select! {
                    _ = interrupt.recv() => Signal::Interrupt,
                    _ = terminate.recv() => Signal::Terminate,
                };
                sender.send_replace(Some(signal));
            }
        });
        Ok(Self(receiver))
    }

    /// The last signal that came.
    pub fn signal(&self) -> Option<Signal> {
        *self.0.borrow()
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) -> Signal {
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
    ///
    /// # Errors
    /// The signal.
    pub async fn unless<T>(&self, work: impl Future<Output = T>) -> Result<T, Signal> {
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
    ///
    /// # Errors
    /// The signal.
    pub async fn sleep(&self, duration: Duration) -> Result<(), Signal> {
        self.unless(tokio::time::sleep(duration)).await
    }
}
