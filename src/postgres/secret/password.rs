//! The password, which must never be shown, and the file that may hold it.

use std::fmt;
use std::path::Path;

use crate::postgres::file;

/// The password. Shown as `***` wherever something is printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Password(String);

impl Password {
    /// Takes the password as it is, with every character.
    pub(crate) fn new(password: String) -> Self {
        Self(password)
    }

    /// For the connection alone.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lack {
    Wrong(String),
    /// A service did not answer, or a file is just being written; the next time may be better.
    ForNow(String),
}

impl Lack {
    pub(crate) fn problem(self) -> String {
        match self {
            Self::Wrong(problem) | Self::ForNow(problem) => problem,
        }
    }
}

/// What is longer is no password.
pub(super) const LONGEST: usize = 64 << 10;

/// A password that a file or a program wrote; one newline at its end is the writer's.
pub(super) fn written(bytes: Vec<u8>, place: &str) -> Result<Password, Lack> {
    let wrong = |what| Err(Lack::Wrong(format!("{place} {what}")));
    if bytes.len() > LONGEST {
        return wrong("is longer than any password");
    }
    let Ok(mut password) = String::from_utf8(bytes) else { return wrong("is not UTF-8") };
    if password.ends_with('\n') {
        password.pop();
        if password.ends_with('\r') {
            password.pop();
        }
    }
    if password.is_empty() {
        return Err(Lack::ForNow(format!("{place} is empty")));
    }
    if password.contains('\0') {
        return wrong("holds a zero byte; no password may");
    }
    Ok(Password(password))
}

pub(crate) fn read_password_file(path: &Path) -> Result<Password, Lack> {
    let bytes = file::read(path, LONGEST).map_err(Lack::ForNow)?;
    written(bytes, &path.display().to_string())
}
