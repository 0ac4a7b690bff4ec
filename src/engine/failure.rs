//! A step that failed: where, why, and how the database stands now.

use std::fmt;
use std::path::PathBuf;

use foreign_text::{lines, one_line};

use crate::postgres::row_values::HIDDEN;
use crate::postgres::{Culprit, DatabaseError, ServerError, Signal};
use migration_core::excerpt::{Place, caret};
use migration_core::{Direction, Excerpt, Version, wording};

/// What became of the work of a failed step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing of it is left.
    RolledBack,
    NotGranted,
    Cut,
    PartiallyApplied,
    Stopped(Signal),
}

#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) version: Version,
    pub(crate) description: String,
    pub(crate) direction: Direction,
    pub(crate) path: PathBuf,
    pub(crate) culprit: Culprit,
    pub(crate) excerpt: Option<Excerpt>,
    pub(crate) error: DatabaseError,
    pub(crate) outcome: Outcome,
    pub(crate) state: String,
    /// What to do next, where that is known.
    pub(crate) advice: Option<String>,
}

impl Failure {
    pub(crate) fn headline(&self) -> String {
        let verb = self.direction.doing();
        let part = match &self.culprit {
            Culprit::Statement { of: 1, .. } => String::new(),
            Culprit::Statement { number, of } => format!(", statement {number} of {of}"),
            Culprit::DeferredConstraint => ", a constraint checked at its end".to_owned(),
            Culprit::FileName => ", its file name".to_owned(),
            Culprit::Bookkeeping => ", its bookkeeping".to_owned(),
            Culprit::Commit => ", its commit".to_owned(),
        };
        let reason = match &self.error {
            DatabaseError::Server(error) => error.message.to_string(),
            other => format!("the connection broke: {other}"),
        };
        let reason = match self.outcome {
            Outcome::Stopped(signal) => signal.to_string(),
            _ => reason,
        };
        format!("{verb} {}{part}: {reason}", self.version.called(&self.description))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline())?;
        let path = wording::path(&self.path);
        let width = match &self.excerpt {
            Some(excerpt) => excerpt.place.line.to_string().len(),
            None => 1,
        };
        match &self.excerpt {
            None => write!(f, "\n{:width$}--> {path}", "")?,
            Some(excerpt) => {
                let Place { line, column } = excerpt.place;
                let (text, indent) = (lines(&excerpt.text), excerpt.indent());
                let mark = if excerpt.exact { "^" } else { "^ in the statement that starts here" };
                write!(f, "\n{:width$}--> {path}:{line}:{column}", "")?;
                write!(f, "\n{:width$} |\n{line} | {text}\n{:width$} | {indent}{mark}", "", "")?;
            }
        }
        let mut note = |name: &str, text: &str| {
            let text = text.replace('\n', &format!("\n{:width$}   ", ""));
            write!(f, "\n{:width$} = {name}: {text}", "")
        };
        if let DatabaseError::Server(error) = &self.error {
            let ServerError { sqlstate, detail, hint, context, internal, .. } = error.as_ref();
            note("sqlstate", &one_line(sqlstate))?;
            if error.has_hidden_values {
                note("detail", HIDDEN)?;
            }
            for (name, text) in [("detail", detail), ("hint", hint), ("context", context)] {
                if let Some(text) = text {
                    note(name, &text.lines())?;
                }
            }
            if let Some((query, position)) = internal {
                note("in the query", &caret(query.exact(), *position))?;
            }
        }
        note("state", &self.state)?;
        if let Some(advice) = &self.advice {
            note("next", advice)?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}
