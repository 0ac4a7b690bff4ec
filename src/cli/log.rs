//! The log on stderr.

mod text;

use std::io::{self, Write};

use foreign_text::json;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{fmt, registry};

use crate::cli::config::{LogFormat, LogSettings};
use text::OneLine;

/// Starts logging. Text is for people: level and message. JSON is for machines: one object a
/// line, with its time. What an event quotes can neither begin a line nor move a cursor.
pub(crate) fn start(settings: &LogSettings) {
    let registry = registry().with(settings.filter.clone());
    if settings.format == LogFormat::Json {
        let document = fmt::layer().json().flatten_event(true).with_writer(|| Json(io::stderr()));
        registry.with(document).init();
    } else {
        let colours = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
        let text = fmt::layer().event_format(OneLine { colours }).with_ansi(false).with_writer(io::stderr);
        registry.with(text).init();
    }
}

/// Takes one whole event at a time, which is how tracing writes them.
struct Json<W>(W);

impl<W: Write> Write for Json<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.0.write_all(json(&String::from_utf8_lossy(event)).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
