//! The environment, variable by variable; every mistake is kept.

use std::path::{Path, PathBuf};
use std::time::Duration;

use migration_core::{Mistake, suggestion, variable};

use crate::cli::Environment;
use crate::cli::config::placeholder::{IS_ONE, is_placeholder};
use crate::cli::environment::Value;

pub(super) struct Reader<'a> {
    pub(super) environment: &'a Environment,
    pub(super) allows_relative: bool,
    pub(super) mistakes: Vec<Mistake>,
}

impl<'a> Reader<'a> {
    pub(super) fn of(environment: &'a Environment) -> Self {
        Self { environment, allows_relative: false, mistakes: Vec::new() }
    }

    pub(super) fn wrong(&mut self, name: &str, problem: impl Into<String>) {
        self.mistakes.push(Mistake { name: name.to_owned(), problem: problem.into() });
    }

    /// A variable that is none of ours, but nearly: what it was to change would go unchanged. Where what it means is said
    /// by the right one, or in another way, it is somebody else's.
    pub(super) fn misspelt(&mut self) {
        for name in self.environment.names() {
            let has = |name: &str| self.environment.has(name);
            let is_said = |ours: &str| match ours {
                "DATABASE_URL" => has(ours) || has("POSTGRES_HOST"),
                "POSTGRES_PASSWORD" => {
                    has(ours) || has("POSTGRES_PASSWORD_FILE") || has("POSTGRES_PASSWORD_COMMAND")
                }
                _ => has(ours),
            };
            if let Some(ours) = suggestion::variable(name).filter(|ours| !is_said(ours)) {
                self.wrong(name, format!("is not a setting; did you mean {ours}?"));
            }
        }
    }

    /// A variable's text, trimmed: a secret made with `echo` ends in a newline.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
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
    pub(super) fn is_set(&self, name: &str) -> bool {
        match self.environment.get(name) {
            Value::Missing => false,
            Value::NotUnicode => true,
            Value::Text(text) => !text.trim().is_empty(),
        }
    }

    pub(super) fn required(&mut self, name: &str, what: &str) -> Option<String> {
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

    pub(super) fn parsed<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(name)?;
        parse(&text).map_err(|problem| self.wrong(name, problem)).ok()
    }

    /// One of a few words, of which the default is one.
    pub(super) fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> T {
        let default =
            choices.iter().find(|(word, _)| *word == variable::default(name)).unwrap_or(&choices[0]);
        self.choice_or(name, default.1, choices)
    }

    pub(super) fn choice_or<T: Copy>(&mut self, name: &str, default: T, choices: &[(&str, T)]) -> T {
        let names = choices.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        let found = self.parsed(name, |text| {
            let hit = choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
            hit.map(|(_, value)| *value)
                .ok_or_else(|| format!("{} is not one of {}", quoted(text), names.join(", ")))
        });
        found.unwrap_or(default)
    }

    pub(super) fn or_default<T: Default>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        self.parsed(name, &parse).unwrap_or_else(|| parse(variable::default(name)).unwrap_or_default())
    }

    pub(super) fn migrations(&mut self) -> PathBuf {
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
pub(super) fn quoted(text: &str) -> String {
    const SHOWN: usize = 40;
    let short: String = text.chars().take(SHOWN).collect();
    let more = if text.chars().count() > SHOWN { "…" } else { "" };
    format!("{short:?}{more}")
}

/// A duration; `0` means none. PostgreSQL counts its limits in milliseconds of an `int`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
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
