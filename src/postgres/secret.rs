//! Where the password comes from.

pub(crate) mod command;
pub(crate) mod password;

use std::path::PathBuf;
use std::time::Duration;

use crate::postgres::secret::command::PasswordCommand;
use crate::postgres::secret::password::{Lack, Password, read_password_file};

/// Where the password comes from; asked anew for each connection, since a file may be written again
/// and a token expires.
#[derive(Clone, Debug)]
pub(crate) enum PasswordSource {
    /// There is none: a certificate, peer or trust lets the role in.
    Absent,
    Given(Password),
    File(PathBuf),
    Command(PasswordCommand),
}

impl PasswordSource {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Absent | Self::Given(_) => "POSTGRES_PASSWORD",
            Self::File(_) => "POSTGRES_PASSWORD_FILE",
            Self::Command(_) => "POSTGRES_PASSWORD_COMMAND",
        }
    }

    /// The password as it is now. A program may take as long as `limit` to say it; zero is no limit.
    pub(crate) async fn password(&self, limit: Duration) -> Result<Option<Password>, Lack> {
        match self {
            Self::Absent => Ok(None),
            Self::Given(password) => Ok(Some(password.clone())),
            Self::File(path) => read_password_file(path).map(Some),
            Self::Command(command) => command.run(limit).await.map(Some),
        }
    }

    /// How much longer than a program others have to wait, so that it is named where it does not end.
    pub(crate) fn grace(&self) -> Duration {
        if matches!(self, Self::Command(_)) { Duration::from_secs(1) } else { Duration::ZERO }
    }

    /// A password that ends in white space is mostly a file or secret with a newline too many.
    pub(crate) fn has_white_space_around(&self) -> bool {
        let has = |password: &Password| password.reveal().trim() != password.reveal();
        match self {
            Self::Given(password) => has(password),
            Self::File(path) => read_password_file(path).is_ok_and(|password| has(&password)),
            Self::Absent | Self::Command(_) => false,
        }
    }
}
