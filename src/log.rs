//! The log on stderr.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{fmt, registry};

use crate::config::{LogFormat, LogSettings};

/// How stderr is written, decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Format {
    /// What was asked for, on the stderr there is.
    pub fn of(asked: LogFormat) -> Self {
        match asked {
            LogFormat::Auto if io::stderr().is_terminal() => Self::Text,
            LogFormat::Text => Self::Text,
            LogFormat::Json | LogFormat::Auto => Self::Json,
        }
    }
}

/// Starts logging. Text is for people: level and message. JSON is for machines: one object a
/// line, with its time.
pub fn start(settings: &LogSettings) -> Format {
    let format = Format::of(settings.format);
    let registry = registry().with(settings.filter.clone());
    if format == Format::Json {
        registry.with(fmt::layer().json().flatten_event(true).with_writer(io::stderr)).init();
    } else {
        let colours = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
        let text = fmt::layer().without_time().with_target(false).with_ansi(colours).with_writer(io::stderr);
        registry.with(text).init();
    }
    format
}
