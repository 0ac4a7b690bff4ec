//! A step that failed: where, why, and how the database stands now.

use std::fmt::{self, Write as _};
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

/// A message has no more bytes than a termination message may have.
const MOST: usize = 4096;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = match &self.excerpt {
            Some(excerpt) => excerpt.place.line.to_string().len(),
            None => 1,
        };
        let (mut what, mut then) = (String::new(), String::new());
        self.what(&mut what, width)?;
        self.then(&mut then, width)?;
        // How things are and what to do about it is told in any case.
        let most = MOST.saturating_sub(then.len());
        if what.len() > most {
            what.truncate(what.floor_char_boundary(most.saturating_sub("…".len())));
            what.push('…');
        }
        f.write_str(&what)?;
        f.write_str(&then)
    }
}

fn note(f: &mut String, width: usize, name: &str, text: &str) -> fmt::Result {
    let text = text.replace('\n', &format!("\n{:width$}   ", ""));
    write!(f, "\n{:width$} = {name}: {text}", "")
}

impl Failure {
    fn what(&self, f: &mut String, width: usize) -> fmt::Result {
        f.push_str(&self.headline());
        let path = wording::path(&self.path);
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
        if let DatabaseError::Server(error) = &self.error {
            let ServerError { sqlstate, detail, hint, context, internal, .. } = error.as_ref();
            note(f, width, "sqlstate", &one_line(sqlstate))?;
            if error.has_hidden_values {
                note(f, width, "detail", HIDDEN)?;
            }
            for (name, text) in [("detail", detail), ("hint", hint), ("context", context)] {
                if let Some(text) = text {
                    note(f, width, name, &text.lines())?;
                }
            }
            if let Some((query, position)) = internal {
                note(f, width, "in the query", &caret(query.exact(), *position))?;
            }
        }
        Ok(())
    }

    fn then(&self, f: &mut String, width: usize) -> fmt::Result {
        note(f, width, "state", &self.state)?;
        self.advice.iter().try_for_each(|advice| note(f, width, "next", advice))
    }
}

impl std::error::Error for Failure {}
