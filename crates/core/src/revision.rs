//! What a user types for a place in the history; [`resolve`] says which place that is.
//!
//! The grammar is Alembic's, without branches: <https://alembic.sqlalchemy.org/en/latest/tutorial.html>.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::version::Version;

mod resolve;

pub use resolve::{RevisionError, resolve};

/// A place in the history: before the first migration, or after one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Position {
    /// Before the first.
    Base,
    /// After this version.
    At(Version),
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base => f.pad("base"),
            Self::At(version) => fmt::Display::fmt(version, f),
        }
    }
}

impl Serialize for Position {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Base => serializer.serialize_str("base"),
            Self::At(version) => version.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(given: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            At(Version),
            Named(Base),
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Base {
            Base,
        }
        Ok(match Written::deserialize(given)? {
            Written::At(version) => Self::At(version),
            Written::Named(Base::Base) => Self::Base,
        })
    }
}

impl Position {
    /// Where a database is that has these versions applied, in order.
    pub fn of(applied: &[Version]) -> Self {
        applied.last().copied().map_or(Self::Base, Self::At)
    }

    /// `at base`, `at 2`, `at 3 (head)`, for a sentence about where the database is.
    pub fn place(self, head: Option<Version>) -> String {
        let mark = if self != Self::Base && head.map(Self::At) == Some(self) { " (head)" } else { "" };
        format!("at {self}{mark}")
    }
}

/// A revision as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revision {
    /// The newest migration.
    Head,
    /// Before the first.
    Base,
    /// Where the database is.
    Current,
    /// A version, a unique prefix of one, or a whole description.
    Named(String),
    /// So many steps from another revision.
    Offset(Box<Revision>, Offset),
}

/// Steps up or down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offset {
    /// `+N`
    Up(NonZeroUsize),
    /// `-N`
    Down(NonZeroUsize),
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up(steps) => write!(f, "+{steps}"),
            Self::Down(steps) => write!(f, "-{steps}"),
        }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head => f.write_str("head"),
            Self::Base => f.write_str("base"),
            Self::Current => f.write_str("current"),
            Self::Named(name) => f.write_str(name),
            Self::Offset(from, offset) if **from == Self::Current => write!(f, "{offset}"),
            Self::Offset(from, offset) => write!(f, "{from}{offset}"),
        }
    }
}

impl Revision {
    /// Whether the same words mean another place after a run than before it.
    pub fn is_relative_to_current(&self) -> bool {
        match self {
            Self::Current => true,
            Self::Offset(from, _) => from.is_relative_to_current(),
            Self::Head | Self::Base | Self::Named(_) => false,
        }
    }
}

/// No description is longer, and walks upon walks have an end.
const LONGEST: usize = 300;

impl FromStr for Revision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > LONGEST {
            return Err(format!("is longer than {LONGEST} bytes, which no file's name is"));
        }
        if text.chars().any(char::is_control) {
            return Err("holds a control character".to_owned());
        }
        // A description may hold signs of its own: only a tail of digits is an offset.
        if let Some(at) = text.rfind(['+', '-']) {
            let (from, offset) = text.split_at(at);
            let (sign, digits) = offset.split_at(1);
            // 2026-11-05 is no walk of five steps.
            let is_date = digits.len() > 1 && digits.starts_with('0');
            if !digits.is_empty() && !is_date && digits.bytes().all(|byte| byte.is_ascii_digit()) {
                let steps = digits
                    .parse()
                    .map_err(|_| format!("{offset} is not a number of steps; the smallest is 1"))?;
                let offset = if sign == "+" { Offset::Up(steps) } else { Offset::Down(steps) };
                let from = if from.is_empty() { Self::Current } else { from.parse()? };
                return Ok(Self::Offset(Box::new(from), offset));
            }
        }
        match text {
            "" | "+" | "-" => {
                Err("expected head, base, current, +N, -N, a version or a description".to_owned())
            }
            "head" => Ok(Self::Head),
            "base" => Ok(Self::Base),
            "current" => Ok(Self::Current),
            name => Ok(Self::Named(name.to_owned())),
        }
    }
}

/// `from:to`, where either side may be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// Where it starts: what comes after this revision belongs to it.
    pub from: Revision,
    /// Where it ends, included.
    pub to: Revision,
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((from, to)) = text.split_once(':') else {
            return Err("expected FROM:TO, such as base:head".to_owned());
        };
        let side = |text: &str, default| if text.is_empty() { Ok(default) } else { text.parse() };
        Ok(Self { from: side(from, Revision::Base)?, to: side(to, Revision::Head)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_prints() {
        for text in [
            "head",
            "base",
            "current",
            "+1",
            "-12",
            "2026",
            "head-1",
            "base+2",
            "current",
            "add_phone-2",
            "a-b",
        ] {
            assert_eq!(text.parse::<Revision>().unwrap().to_string(), text);
        }
        for text in ["", "+", "-", "+0", "-0", "head+0", "a\nb", "+99999999999999999999999"] {
            assert!(text.parse::<Revision>().is_err(), "{text:?}");
        }
        assert_eq!("current+1".parse::<Revision>().unwrap().to_string(), "+1");
        assert_eq!(":".parse(), Ok(Range { from: Revision::Base, to: Revision::Head }));
        assert!("head".parse::<Range>().is_err());
    }
}
