//! What a migration is known by: its number, the way it goes, and the checksum of its script.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha384};

/// A migration's number: by convention the UTC time of its making as `YYYYMMDDHHMMSS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub i64);

impl Version {
    /// `version (description)`, as sentences name a migration.
    pub fn called(self, description: &str) -> String {
        format!("{self} ({})", foreign_text::one_line(description))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Which way a step goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Applies the up script.
    Up,
    /// Takes it back with the down script.
    Down,
}

impl Direction {
    /// What a run does, for a sentence: `applying` or `reverting`.
    pub fn doing(self) -> &'static str {
        match self {
            Self::Up => "applying",
            Self::Down => "reverting",
        }
    }
}

/// SHA-384 of a script's bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Checksum(Vec<u8>);

impl Checksum {
    /// The checksum of a script's text.
    pub fn of(text: &str) -> Self {
        Self(Sha384::digest(text).to_vec())
    }

    /// A checksum that somebody else has made.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checksum({self})")
    }
}
