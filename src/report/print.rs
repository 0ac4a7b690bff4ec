//! Where the report goes. A reader that has gone away is no reason to stop a migration.

use std::io;

use super::{Report, text};
use crate::config::Output;
use crate::error::Error;

/// stdout, as it was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Printer(Output);

impl Printer {
    /// For text or JSON.
    pub fn new(output: Output) -> Self {
        Self(output)
    }

    /// Text for people; nothing when machines read.
    pub fn text(self, text: &str) {
        if self.0 == Output::Text {
            write(anstream::stdout(), text);
        }
    }

    /// A result that is text by itself, such as a script.
    pub fn raw(self, text: &str) {
        write(io::stdout(), text);
    }

    /// The whole, for machines.
    pub fn document(self, report: &Report, end: &Result<(), Error>) {
        if self.0 == Output::Json {
            match report.to_json(end) {
                Ok(json) => write(io::stdout(), &format!("{json}\n")),
                Err(error) => tracing::error!("the report can't be written: {error}"),
            }
        }
    }
}

/// The error a run ended with, on stderr.
pub fn print_error(error: &Error) {
    write(anstream::stderr(), &text::error(error));
}

fn write(mut out: impl io::Write, text: &str) {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            tracing::error!("the report can't be written: {error}");
        }
        _ => {}
    }
}
