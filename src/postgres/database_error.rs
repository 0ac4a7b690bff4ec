//! What went wrong on the server or on the way to it, without sqlx's types.

use std::error::Error as _;
use std::fmt;

use foreign_text::{Text, one_line};
use sqlx::postgres::{PgDatabaseError, PgErrorPosition, PgSeverity};

use crate::postgres::row_values::{HIDDEN, QUOTES, without_values};
use crate::postgres::{LOCK_LOST, NOT_ORDINARY, NOT_WRITTEN};
use migration_core::Mistake;

#[derive(Debug)]
pub(crate) enum DatabaseError {
    Server(Box<ServerError>),
    Cut(String),
    Tls(String),
    /// The server's certificate is not one that we trust.
    Untrusted(String),
    /// We refused to go on: what the server asked for, or did not prove, is not good enough.
    Distrust(String),
    Settings(Mistake),
    /// The same, but it could be a moment ago or may be in a moment: a program failed, or a file is being written.
    NotNow(Mistake),
}

/// The fields of an `ErrorResponse`:
/// <https://www.postgresql.org/docs/current/protocol-error-fields.html>.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServerError {
    /// Whether the session ended with it.
    pub(crate) is_fatal: bool,
    pub(crate) sqlstate: String,
    pub(crate) message: Text,
    pub(crate) detail: Option<Text>,
    pub(crate) hint: Option<Text>,
    /// The call stack of functions, innermost first.
    pub(crate) context: Option<Text>,
    /// Where in the query, in characters from 1.
    pub(crate) position: Option<usize>,
    /// A query that a function made, and where in it, in characters from 1.
    pub(crate) internal: Option<(Text, usize)>,
    /// Whether something of it is left out because it may hold values of rows.
    pub(crate) has_hidden_values: bool,
}

impl DatabaseError {
    pub(crate) fn sqlstate(&self) -> Option<&str> {
        self.of_server().map(|error| error.sqlstate.as_str())
    }

    /// The same error, of a query that began so many characters later.
    pub(crate) fn shifted_back(self, characters: usize) -> Self {
        match self {
            Self::Server(mut error) => {
                error.position = error.position.map(|position| position.saturating_sub(characters));
                Self::Server(error)
            }
            other => other,
        }
    }

    pub(crate) fn hide_row_values(&mut self) {
        if let Self::Server(error) = self {
            error.hide_row_values();
        }
    }

    /// With the server's detail, for the last word; what is logged on the way does without.
    pub(crate) fn in_full(&self) -> String {
        match self {
            Self::Server(error) => error.in_full(),
            other => other.to_string(),
        }
    }

    /// Whether the session is over and trying again may help: the way to the server broke, the server is starting,
    /// stopping or full, or what the login takes is not there yet.
    pub(crate) fn is_outage(&self) -> bool {
        match self {
            Self::Cut(_) | Self::NotNow(_) => true,
            Self::Tls(_) | Self::Untrusted(_) | Self::Distrust(_) | Self::Settings(_) => false,
            Self::Server(error) => {
                // A script may raise the same of connections of its own.
                error.is_fatal
                    && (error.sqlstate.starts_with("08")
                        || matches!(
                            error.sqlstate.as_str(),
                            // too_many_connections; admin, crash and idle-session shutdown; cannot_connect_now
                            "53300" | "57P01" | "57P02" | "57P03" | "57P05" | "25P03"
                        ))
            }
        }
    }

    /// What the server asked for, or did not prove, is not good enough.
    pub(crate) fn distrust(reason: impl Into<String>) -> Self {
        Self::Distrust(reason.into())
    }

    pub(crate) fn wrong(name: &str) -> impl Fn(String) -> Self {
        move |problem| Self::Settings(Mistake { name: name.to_owned(), problem })
    }

    /// The same of a file that could be read when the run began: somebody may be writing it.
    pub(crate) fn not_now(name: &str) -> impl Fn(String) -> Self {
        move |problem| Self::NotNow(Mistake { name: name.to_owned(), problem })
    }

    pub(crate) fn of_server(&self) -> Option<&ServerError> {
        match self {
            Self::Server(error) => Some(error),
            _ => None,
        }
    }
}

impl From<sqlx::Error> for DatabaseError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => match error.try_downcast_ref::<PgDatabaseError>() {
                Some(error) => Self::Server(Box::new(ServerError::from(error))),
                None => Self::Cut(error.to_string()),
            },
            sqlx::Error::Io(error) => Self::Cut(error.to_string()),
            other => Self::Cut(match other.source() {
                Some(source) => chain(source),
                None => other.to_string(),
            }),
        }
    }
}

/// Our own queries raise an error by casting a sentence to a number, which the server then quotes in its own language.
fn raised_by_us<'a>(sqlstate: &str, message: &'a str) -> Option<&'a str> {
    let at = [LOCK_LOST, NOT_WRITTEN, NOT_ORDINARY].iter().find_map(|start| message.find(start))?;
    let sentence = message[at..].strip_suffix(QUOTES).unwrap_or(&message[at..]);
    (sqlstate == "22P02").then(|| sentence.trim_end())
}

/// As much of a server's words as anybody reads, and as leaves room for the others in one message: a trigger may raise
/// megabytes.
fn bounded(text: &str) -> Text {
    const MOST: usize = 1024;
    match text.floor_char_boundary(MOST) {
        end if end < text.len() => format!("{}…", &text[..end]).into(),
        _ => text.into(),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    text
}

impl From<&PgDatabaseError> for ServerError {
    fn from(error: &PgDatabaseError) -> Self {
        let owned = |text: Option<&str>| text.map(bounded);
        let (position, internal) = match error.position() {
            Some(PgErrorPosition::Original(at)) => (Some(at), None),
            Some(PgErrorPosition::Internal { position, query }) => (None, Some((query.into(), position))),
            None => (None, None),
        };
        // Only a server names its routine. A pooler may call the end of a session a mere error.
        let is_fatal =
            matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic) || error.routine().is_none();
        Self {
            is_fatal,
            sqlstate: error.code().to_owned(),
            message: raised_by_us(error.code(), error.message())
                .map_or_else(|| bounded(error.message()), Text::from),
            detail: owned(error.detail()),
            hint: owned(error.hint()),
            context: owned(error.r#where()),
            position,
            internal,
            has_hidden_values: false,
        }
    }
}

impl ServerError {
    fn hide_row_values(&mut self) {
        let message = self.message.exact();
        let is_ours = raised_by_us(&self.sqlstate, message) == Some(message);
        let shown = without_values(&self.sqlstate, message).filter(|_| !is_ours);
        let dropped = [self.detail.take(), self.context.take(), self.internal.take().map(|(query, _)| query)];
        self.has_hidden_values |= shown.is_some() || dropped.iter().any(Option::is_some);
        if let Some(shown) = shown {
            self.message = shown.into();
        }
    }

    /// Which character has no equivalent in the database's encoding: its bytes are in the message, in whatever language.
    pub(crate) fn untranslatable(&self) -> Option<String> {
        if self.sqlstate != "22P05" {
            return None;
        }
        let byte = |rest: &str| u8::from_str_radix(rest.get(..2)?, 16).ok();
        let bytes = self.message.exact().split("0x").skip(1).map(byte).collect::<Option<Vec<u8>>>()?;
        String::from_utf8(bytes).ok().filter(|character| !character.is_empty())
    }

    fn in_full(&self) -> String {
        match &self.detail {
            Some(detail) => format!("{self}; detail: {detail}"),
            None if self.has_hidden_values => format!("{self}; detail: {HIDDEN}"),
            None => self.to_string(),
        }
    }
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(error) => error.fmt(f),
            Self::Cut(reason) | Self::Tls(reason) | Self::Untrusted(reason) | Self::Distrust(reason) => {
                f.write_str(&one_line(reason))
            }
            Self::Settings(Mistake { name, problem }) | Self::NotNow(Mistake { name, problem }) => {
                write!(f, "{name}: {}", one_line(problem))
            }
        }
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, one_line(&self.sqlstate))?;
        match &self.hint {
            Some(hint) => write!(f, "; hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for DatabaseError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that speaks another language, or a role with a quoted name, had our own words hidden as if they
    /// were the value of a row.
    #[test]
    fn what_we_raise_ourselves_is_shown_in_whatever_language_it_comes() {
        let lost = format!("{LOCK_LOST} of it");
        let table = format!("{NOT_ORDINARY}it belongs to role \"svc-owner\", which could");
        for (sqlstate, message, raised) in [
            ("22P02", format!("invalid input syntax for type integer: \"{lost}\""), Some(&lost)),
            ("22P02", format!("ungültige Eingabesyntax für Typ integer: »{lost}«"), Some(&lost)),
            ("22P02", format!("syntaxe en entrée invalide pour le type integer : « {lost} »"), Some(&lost)),
            ("22P02", format!("invalid input syntax for type integer: \"{table}\""), Some(&table)),
            ("22P02", table.clone(), Some(&table)),
            ("22P02", "invalid input syntax for type integer: \"ann@b.c\"".to_owned(), None),
            ("P0001", lost.clone(), None),
        ] {
            assert_eq!(raised_by_us(sqlstate, &message), raised.map(String::as_str), "{message}");
        }
    }
}
