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

/// SHA-384 of a script's bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Checksum(Vec<u8>);

impl Checksum {
    /// The checksum of a script's text.
    pub fn of(text: &str) -> Self {
        Self(Sha384::digest(text).to_vec())
    }

    /// Reads what PostgreSQL's `encode(…, 'hex')` wrote; `None` where that is no hex.
    pub fn from_hex(hex: &str) -> Option<Self> {
        if !hex.is_ascii() || !hex.len().is_multiple_of(2) {
            return None;
        }
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).ok();
        (0..hex.len()).step_by(2).map(byte).collect::<Option<_>>().map(Self)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_read_as_it_is_written() {
        let ours = Checksum::of("CREATE TABLE x ();\n");
        assert_eq!(Checksum::from_hex(&ours.to_string()), Some(ours));
        assert_eq!(Checksum::from_hex("abc"), None);
        assert_eq!(Checksum::from_hex("zz"), None);
    }
}
