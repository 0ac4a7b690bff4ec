//! The SDK's log, on request: `RUST_LOG=debug` tells which sources of credentials were asked, and every retry.

use std::io::Write;

use foreign_text::styled;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use workspace::ui;

/// Nothing unless `RUST_LOG` says so.
pub(crate) fn start() {
    let Some(wanted) = std::env::var("RUST_LOG").ok().filter(|wanted| !wanted.is_empty()) else { return };
    match wanted.parse::<Targets>() {
        Ok(targets) => {
            let text = tracing_subscriber::fmt::layer()
                .with_writer(|| Shown(std::io::stderr()))
                .with_ansi(anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never);
            let shown = filter_fn(holds_no_secret);
            // A second subscriber is a defect no user can do anything about.
            let _ = tracing_subscriber::registry().with(targets).with(shown).with(text).try_init();
        }
        Err(error) => ui::warning(format!("RUST_LOG is not understood and has no effect: {error}")),
    }
}

/// Takes one whole event at a time, which is how tracing writes them: what a server has answered is text.
struct Shown<W>(W);

impl<W: Write> Write for Shown<W> {
    fn write(&mut self, event: &[u8]) -> std::io::Result<usize> {
        self.0.write_all(styled(&String::from_utf8_lossy(event)).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// At `trace` the SDK prints whole responses, that with the token among them.
fn holds_no_secret(event: &Metadata<'_>) -> bool {
    *event.level() <= Level::DEBUG || !event.target().starts_with("aws_smithy_runtime")
}
