//! Where the report goes. A reader that has gone away is no reason to stop a migration.

use std::io;

use foreign_text::{Text, json, lines, styled};
use migration_core::summary::{Document, ErrorReport};
use migration_core::{ExitCode, Report};

use crate::cli::Error;
use crate::cli::config::Output;
use crate::cli::exit::exit_code;
use crate::cli::reporter::text;
use crate::engine::{Error as EngineError, Failure};
use crate::postgres::row_values::HIDDEN;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer(Output);

impl Printer {
    pub(crate) fn new(output: Output) -> Self {
        Self(output)
    }

    /// Text for people; nothing when machines read.
    pub(crate) fn text(self, text: &str) -> io::Result<()> {
        if self.0 == Output::Text { write(anstream::stdout(), &styled(text)) } else { Ok(()) }
    }

    /// A result that is text by itself, such as a script: byte for byte, since a program reads it.
    pub(crate) fn raw(self, text: &str) -> io::Result<()> {
        write(io::stdout(), text)
    }

    pub(crate) fn document(self, report: &Report, end: &Result<(), Error>) -> io::Result<()> {
        if self.0 == Output::Json {
            let error = end.as_ref().err().map(error_report);
            let document = Document::of(report.clone(), exit_code(end), error);
            let document = serde_json::to_string_pretty(&document).map_err(io::Error::other)?;
            return write(io::stdout(), &format!("{}\n", json(&document)));
        }
        Ok(())
    }
}

fn error_report(error: &Error) -> ErrorReport {
    let Error::Engine(EngineError::Failed(failure)) = error else {
        return ErrorReport { message: error.to_string(), ..ErrorReport::default() };
    };
    let Failure { version, path, excerpt, state, advice, .. } = failure.as_ref();
    let server = failure.error.of_server();
    let exact = |text: &Option<Text>| text.as_ref().map(|text| text.exact().to_owned());
    ErrorReport {
        message: failure.headline(),
        version: Some(*version),
        file: Some(path.display().to_string()),
        excerpt: excerpt.clone(),
        sqlstate: server.map(|error| error.sqlstate.clone()),
        detail: server.and_then(|error| exact(&error.detail)),
        context: server.and_then(|error| exact(&error.context)),
        internal_query: server
            .and_then(|error| error.internal.as_ref())
            .map(|(query, _)| query.exact().to_owned()),
        detail_hidden: server.is_some_and(|error| error.has_hidden_values),
        hint: server.and_then(|error| exact(&error.hint)),
        state: Some(state.clone()),
        next: advice.clone(),
    }
}

/// The error as one record of a JSON log: each part in a field of its own, and all of it as people read it.
pub(crate) fn log_error(error: &Error, code: ExitCode) {
    let report = error_report(error);
    let place = report.excerpt.as_ref().map(|excerpt| excerpt.place);
    let rendered = error.to_string();
    let detail = if report.detail_hidden { Some(HIDDEN) } else { report.detail.as_deref() };
    tracing::error!(
        exit_code = code.code(),
        version = report.version.map(|version| version.0),
        file = report.file,
        line = place.map(|place| place.line),
        column = place.map(|place| place.column),
        sqlstate = report.sqlstate,
        detail,
        context = report.context,
        internal_query = report.internal_query,
        hint = report.hint,
        state = report.state,
        next = report.next,
        rendered = (rendered != report.message).then_some(rendered),
        "{}",
        report.message
    );
}

pub(crate) fn print_error(error: &Error) {
    // There is nowhere left to say that this failed.
    let _ = write(anstream::stderr(), &styled(&text::error(error)));
}

pub(crate) fn print_lines(text: &str) {
    // As above.
    let _ = write(io::stderr(), &lines(text));
}

fn write(mut out: impl io::Write, text: &str) -> io::Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
