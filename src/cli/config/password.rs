//! Where the password comes from: POSTGRES_PASSWORD, a file, or a program.

use std::path::Path;

use crate::cli::config::placeholder::{IS_ONE, is_placeholder};
use crate::cli::config::reader::Reader;
use crate::cli::config::row_values::row_values;
use crate::cli::environment::Value;
use crate::postgres::PasswordSource;
use crate::postgres::secret::command::PasswordCommand;
use crate::postgres::secret::password::{Lack, Password, read_password_file};

const GIVEN: &str = "POSTGRES_PASSWORD";
const FILE: &str = "POSTGRES_PASSWORD_FILE";
const COMMAND: &str = "POSTGRES_PASSWORD_COMMAND";

impl Reader<'_> {
    pub(super) fn password(&mut self) -> Option<PasswordSource> {
        // White space may be a password, but it is no path.
        let mut set: Vec<_> = [FILE, COMMAND].into_iter().filter(|name| self.is_set(name)).collect();
        if self.environment.has(GIVEN) {
            set.insert(0, GIVEN);
        }
        if let [first, others @ ..] = set.as_slice()
            && !others.is_empty()
        {
            let are = if others.len() == 1 { "is" } else { "are" };
            self.wrong(first, format!("is set, and so {are} {}; keep one", others.join(" and ")));
            return None;
        }
        match set.first() {
            Some(&FILE) => self.password_file(),
            Some(&COMMAND) => {
                let complaints = row_values(self.environment);
                let command = self.parsed(COMMAND, PasswordCommand::parse);
                command.map(|command| PasswordSource::Command(command.with_complaints(complaints)))
            }
            _ => self.given_password(),
        }
    }

    fn given_password(&mut self) -> Option<PasswordSource> {
        match self.environment.get(GIVEN) {
            Value::Missing => Some(PasswordSource::Absent),
            Value::NotUnicode => {
                self.wrong(GIVEN, "is not UTF-8");
                None
            }
            Value::Text(password) if is_placeholder(password.trim()) => {
                self.wrong(GIVEN, format!("{IS_ONE}; set it to the role's password"));
                None
            }
            Value::Text(password) => Some(PasswordSource::Given(Password::new(password.to_owned()))),
        }
    }

    /// Read here only to find mistakes before anything starts.
    fn password_file(&mut self) -> Option<PasswordSource> {
        self.parsed(FILE, |path| {
            let password = read_password_file(Path::new(path)).map_err(Lack::problem)?;
            if is_placeholder(password.reveal()) {
                return Err(format!("names {path}, whose content {IS_ONE}"));
            }
            Ok(PasswordSource::File(path.into()))
        })
    }
}
