//! SIGINT and SIGTERM.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::postgres::{Interrupt, Signal};

/// Starts to listen. Must run inside the tokio runtime.
pub(crate) fn listen() -> std::io::Result<Interrupt> {
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
    Ok(Interrupt::of(receiver))
}
