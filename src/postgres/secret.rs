//! Values that must never be shown.

mod command;
mod file;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

pub use command::PasswordCommand;
pub use file::read as read_password_file;

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
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where the password comes from; asked anew for each connection, since a file may be written again
/// and a token expires.
#[derive(Clone, Debug)]
pub enum PasswordSource {
    /// There is none: a certificate, peer or trust lets the role in.
    Absent,
    /// POSTGRES_PASSWORD.
    Given(Password),
    /// POSTGRES_PASSWORD_FILE.
    File(PathBuf),
    /// POSTGRES_PASSWORD_COMMAND.
    Command(PasswordCommand),
}

impl PasswordSource {
    /// The variable that sets it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Absent | Self::Given(_) => "POSTGRES_PASSWORD",
            Self::File(_) => "POSTGRES_PASSWORD_FILE",
            Self::Command(_) => "POSTGRES_PASSWORD_COMMAND",
        }
    }

    /// The password as it is now. A program may take as long as `limit` to say it; zero is no limit.
    ///
    /// # Errors
    /// What is wrong with the file or the program.
    pub async fn password(&self, limit: Duration) -> Result<Option<Password>, Lack> {
        match self {
            Self::Absent => Ok(None),
            Self::Given(password) => Ok(Some(password.clone())),
            Self::File(path) => file::read(path).map(Some),
            Self::Command(command) => command.run(limit).await.map(Some),
        }
    }

    /// How much longer than a program others have to wait, so that it is named where it does not end.
    pub fn grace(&self) -> Duration {
        if matches!(self, Self::Command(_)) { Duration::from_secs(1) } else { Duration::ZERO }
    }

    /// A password that ends in white space is mostly a file or secret with a newline too many.
    pub fn has_white_space_around(&self) -> bool {
        let has = |password: &Password| password.0.trim() != password.0;
        match self {
            Self::Given(password) => has(password),
            Self::File(path) => file::read(path).is_ok_and(|password| has(&password)),
            Self::Absent | Self::Command(_) => false,
        }
    }
}

/// Why there is no password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// A setting or its value is wrong; asking again changes nothing.
    Wrong(String),
    /// A service did not answer, or a file is just being written; the next time may be better.
    ForNow(String),
}

impl Lack {
    /// What is wrong.
    pub fn problem(self) -> String {
        match self {
            Self::Wrong(problem) | Self::ForNow(problem) => problem,
        }
    }
}

/// What is longer is no password.
const LONGEST: usize = 64 << 10;

/// A password that a file or a program wrote; one newline at its end is the writer's.
fn written(bytes: Vec<u8>, place: &str) -> Result<Password, Lack> {
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
