//! Arguments and environment → [`Config`], collecting every mistake on the way.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing_subscriber::filter::{LevelFilter, Targets};

use super::environment::{Environment, Value};
use super::placeholder::{IS_ONE, is_placeholder};
use super::{Command, Config, LogFormat, LogSettings, Output};
use crate::cli::Args;
use crate::error::{Error, Mistake};
use crate::row_values::RowValues;

mod password;
mod server;
mod ssl;
mod task;
#[cfg(test)]
mod tests;

pub use server::port_is_service_link;
use task::Asked;

/// Checks arguments and environment against each other.
///
/// # Errors
/// [`Error::Configuration`] with every mistake there is.
pub fn read(args: &Args, environment: &Environment) -> Result<Config, Error> {
    let mut reader = Reader::of(environment);
    reader.allows_relative = reader.choice("ALLOW_RELATIVE", false, &[("true", true), ("false", false)]);
    let task = reader.task(args);
    let server = if args.sql.is_some() { None } else { Some(reader.server()) };
    let output = reader.choice("OUTPUT", Output::Text, &[("text", Output::Text), ("json", Output::Json)]);
    let migrations = reader.migrations();
    let detail = [("show", RowValues::Show), ("hide", RowValues::Hide)];
    reader.choice("DETAIL", RowValues::default(environment), &detail);
    let log = log_settings(environment, &mut reader.mistakes).format;
    let command = match (task, server) {
        (Some(Asked::Script(direction, range)), _) => Some(Command::Script { direction, range }),
        (Some(Asked::Task(task)), Some(Some(server))) => Some(Command::Online(Box::new(server), task)),
        _ => None,
    };
    match command {
        Some(command) if reader.mistakes.is_empty() => Ok(Config { command, migrations, output, log }),
        _ => Err(Error::Configuration(reader.mistakes)),
    }
}

/// LOG_FORMAT and RUST_LOG.
pub(super) fn log_settings(environment: &Environment, mistakes: &mut Vec<Mistake>) -> LogSettings {
    let mut reader = Reader::of(environment);
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json), ("auto", LogFormat::Auto)];
    let format = reader.choice("LOG_FORMAT", LogFormat::Auto, &formats);
    let default = || Targets::new().with_default(LevelFilter::INFO);
    let filter = reader.parsed("RUST_LOG", |text| {
        text.parse::<Targets>().map_err(|_| {
            format!(
                "{} is not a log level; expected error, warn, info, debug or trace, also as target=level",
                quoted(text)
            )
        })
    });
    mistakes.append(&mut reader.mistakes);
    LogSettings { format, filter: filter.unwrap_or_else(default) }
}

struct Reader<'a> {
    environment: &'a Environment,
    /// ALLOW_RELATIVE.
    allows_relative: bool,
    mistakes: Vec<Mistake>,
}

impl<'a> Reader<'a> {
    fn of(environment: &'a Environment) -> Self {
        Self { environment, allows_relative: false, mistakes: Vec::new() }
    }

    fn wrong(&mut self, name: &str, problem: impl Into<String>) {
        self.mistakes.push(Mistake { name: name.to_owned(), problem: problem.into() });
    }

    /// A variable's text, trimmed: a secret made with `echo` ends in a newline.
    fn text(&mut self, name: &str) -> Option<String> {
        match self.environment.get(name) {
            Value::Missing => None,
            Value::NotUnicode => {
                self.wrong(name, "is not UTF-8");
                None
            }
            Value::Text(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        }
    }

    /// Whether there is a value to look at, right or wrong.
    fn is_set(&self, name: &str) -> bool {
        match self.environment.get(name) {
            Value::Missing => false,
            Value::NotUnicode => true,
            Value::Text(text) => !text.trim().is_empty(),
        }
    }

    fn required(&mut self, name: &str, what: &str) -> Option<String> {
        let before = self.mistakes.len();
        let text = self.text(name);
        if text.as_deref().is_some_and(is_placeholder) {
            self.wrong(name, format!("{IS_ONE}; set it to {what}"));
            return None;
        }
        if text.is_none() && self.mistakes.len() == before {
            self.wrong(name, format!("is missing; set it to {what}"));
        }
        text
    }

    fn parsed<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(name)?;
        parse(&text).map_err(|problem| self.wrong(name, problem)).ok()
    }

    fn choice<T: Copy>(&mut self, name: &str, default: T, choices: &[(&str, T)]) -> T {
        let names = choices.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        let found = self.parsed(name, |text| {
            let hit = choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
            hit.map(|(_, value)| *value)
                .ok_or_else(|| format!("{} is not one of {}", quoted(text), names.join(", ")))
        });
        found.unwrap_or(default)
    }

    fn duration(&mut self, name: &str, default: Duration) -> Duration {
        self.parsed(name, duration).unwrap_or(default)
    }

    fn migrations(&mut self) -> PathBuf {
        let in_image = Path::new("/migrations");
        let default = || if in_image.is_dir() { in_image.to_owned() } else { PathBuf::from("migrations") };
        let set = self.parsed("MIGRATIONS_DIR", |text| {
            if Path::new(text).is_dir() {
                Ok(PathBuf::from(text))
            } else {
                Err(format!("{} is not a directory", quoted(text)))
            }
        });
        set.unwrap_or_else(default)
    }
}

/// A value as a message shows it: short, in quotes, with escapes.
fn quoted(text: &str) -> String {
    const SHOWN: usize = 40;
    let short: String = text.chars().take(SHOWN).collect();
    let more = if text.chars().count() > SHOWN { "…" } else { "" };
    format!("{short:?}{more}")
}

/// A duration; `0` means none. PostgreSQL counts its limits in milliseconds of an `int`.
fn duration(text: &str) -> Result<Duration, String> {
    let longest = Duration::from_millis(i32::MAX.unsigned_abs().into());
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let parsed = humantime::parse_duration(text).map_err(|_| {
        format!("{} is not a duration; expected for example 500ms, 5s, 10m, 1h30m, or 0", quoted(text))
    })?;
    if parsed > longest {
        return Err(format!("{} is too long; 24 days is the longest", quoted(text)));
    }
    if parsed < Duration::from_millis(1) {
        return Err(format!("{} is too short; 1ms is the shortest, 0 means none", quoted(text)));
    }
    Ok(parsed)
}
