//! A step that failed: where, why, and how the database stands now.

use std::fmt;
use std::path::PathBuf;

use foreign_text::{lines, one_line};
use serde::Serialize;

use crate::database::{DatabaseError, ServerError};
use crate::error::ExitCode;
use crate::interrupt::Signal;
use crate::migration::{Direction, Version};
use crate::row_values::HIDDEN;
use crate::statement::Place;
use crate::wording;

/// What became of the work of a failed step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing of it is left.
    RolledBack,
    /// A lock was not granted; nothing of it is left.
    NotGranted,
    /// The connection broke.
    Cut,
    /// A no-transaction script stopped in the middle.
    Halfway,
    /// A signal came; nothing of it is left.
    Stopped(Signal),
}

/// Which part of a step failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Culprit {
    /// A statement of the script, counted from 1.
    Statement {
        /// Which.
        number: usize,
        /// Of how many.
        of: usize,
    },
    /// A constraint that is checked at the end of the transaction.
    DeferredConstraint,
    /// Our own bookkeeping.
    Bookkeeping,
    /// The commit.
    Commit,
}

/// A place in a file, with the line that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Excerpt {
    /// Line and column.
    #[serde(flatten)]
    pub place: Place,
    /// The line's text; of a long line, what is around the column.
    pub text: String,
    /// How many characters of the text stand before the column.
    #[serde(skip)]
    before: usize,
    /// Whether the column is known to be the culprit, rather than the statement's start.
    #[serde(skip)]
    pub exact: bool,
}

/// A step that failed.
#[derive(Debug)]
pub struct Failure {
    /// The migration.
    pub version: Version,
    /// Its description.
    pub description: String,
    /// Which way it went.
    pub direction: Direction,
    /// Its script.
    pub path: PathBuf,
    /// Which part of it failed.
    pub culprit: Culprit,
    /// Where that is.
    pub excerpt: Option<Excerpt>,
    /// What the server or the connection said.
    pub error: DatabaseError,
    /// What became of its work.
    pub outcome: Outcome,
    /// How the database stands now.
    pub state: String,
    /// What to do next, where that is known.
    pub advice: Option<String>,
}

impl Failure {
    /// The documented code.
    pub fn exit_code(&self) -> ExitCode {
        match self.outcome {
            Outcome::RolledBack => ExitCode::Failed,
            Outcome::NotGranted => ExitCode::Locked,
            Outcome::Cut => ExitCode::Unreachable,
            Outcome::Halfway => ExitCode::Halfway,
            Outcome::Stopped(signal) => signal.exit_code(),
        }
    }

    /// What happened, in one sentence.
    pub fn headline(&self) -> String {
        let verb = match self.direction {
            Direction::Up => "applying",
            Direction::Down => "taking back",
        };
        let part = match &self.culprit {
            Culprit::Statement { of: 1, .. } => String::new(),
            Culprit::Statement { number, of } => format!(", statement {number} of {of}"),
            Culprit::DeferredConstraint => ", a constraint checked at its end".to_owned(),
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
            Some(Excerpt { place, text, before, exact }) => {
                let Place { line, column } = *place;
                let indent = indent(text, *before);
                let text = lines(text);
                let mark = if *exact { "^" } else { "^ in the statement that starts here" };
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

/// A query's line with a caret below its `position`th character.
fn caret(query: &str, position: usize) -> String {
    let Excerpt { text, before, .. } = excerpt(query, byte_of_char(query, position), true);
    format!("{}\n{:14}{}^", lines(&text), "", indent(&text, before))
}

/// What the caret stands behind so that it is below its character, tabs included.
fn indent(text: &str, before: usize) -> String {
    let before: String = text.chars().take(before).collect();
    lines(&before).chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect()
}

/// PostgreSQL counts characters, from 1.
pub fn byte_of_char(text: &str, position: usize) -> usize {
    text.char_indices().nth(position.saturating_sub(1)).map_or(text.len(), |(at, _)| at)
}

/// The excerpt at a byte of a script.
pub fn excerpt(text: &str, offset: usize, exact: bool) -> Excerpt {
    const WIDEST: usize = 160;
    let place = Place::of_byte(text, offset);
    let line = text.lines().nth(place.line - 1).unwrap_or_default();
    let column = place.column - 1;
    let left_out = if column < WIDEST { 0 } else { column - WIDEST / 2 };
    let text = line.chars().skip(left_out).take(WIDEST).collect();
    Excerpt { place, text, before: column - left_out, exact }
}
