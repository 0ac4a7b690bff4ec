//! Where the report goes. A reader that has gone away is no reason to stop a migration.

use std::io;

use foreign_text::{lines, styled};

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
    ///
    /// # Errors
    /// As those below: where stdout takes no more.
    pub fn text(self, text: &str) -> io::Result<()> {
        if self.0 == Output::Text { write(anstream::stdout(), &styled(text)) } else { Ok(()) }
    }

    /// A result that is text by itself, such as a script: byte for byte, since a program reads it.
    ///
    /// # Errors
    /// Where stdout takes no more.
    pub fn raw(self, text: &str) -> io::Result<()> {
        write(io::stdout(), text)
    }

    /// The whole, for machines.
    ///
    /// # Errors
    /// Where stdout takes no more.
    pub fn document(self, report: &Report, end: &Result<(), Error>) -> io::Result<()> {
        if self.0 == Output::Json {
            let json = report.to_json(end).map_err(io::Error::other)?;
            return write(io::stdout(), &format!("{json}\n"));
        }
        Ok(())
    }
}

/// The error a run ended with, on stderr.
pub fn print_error(error: &Error) {
    // There is nowhere left to say that this failed.
    let _ = write(anstream::stderr(), &styled(&text::error(error)));
}

/// Text that is not of our making, on stderr.
pub fn print_lines(text: &str) {
    // As above.
    let _ = write(io::stderr(), &lines(text));
}

fn write(mut out: impl io::Write, text: &str) -> io::Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
