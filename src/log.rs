//! The log on stderr.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{fmt, registry};

use crate::config::{LogFormat, LogSettings};

/// Starts logging. Text is for people: level and message. JSON is for machines: one object a
/// line, with its time.
pub fn start(settings: &LogSettings) {
    let json = match settings.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !io::stderr().is_terminal(),
    };
    let registry = registry().with(settings.filter.clone());
    if json {
        registry.with(fmt::layer().json().flatten_event(true).with_writer(io::stderr)).init();
    } else {
        let colours = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
        let text = fmt::layer().without_time().with_target(false).with_ansi(colours).with_writer(io::stderr);
        registry.with(text).init();
    }
}
