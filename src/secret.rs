//! Values that must never be shown.

use std::fmt;

/// The password. Shown as `***` wherever something is printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Takes the password as it is, with every character.
    pub fn new(password: String) -> Self {
        Self(password)
    }

    /// For the connection alone.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// A password that ends in white space is mostly a file or secret with a newline too many.
    pub fn has_white_space_around(&self) -> bool {
        self.0.trim() != self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
