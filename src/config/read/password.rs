//! Where the password comes from: POSTGRES_PASSWORD, a file, or a program.

use std::path::Path;

use super::super::environment::Value;
use super::super::placeholder::{IS_ONE, is_placeholder};
use super::Reader;
use crate::secret::{Lack, Password, PasswordCommand, PasswordSource, read_password_file};

const GIVEN: &str = "POSTGRES_PASSWORD";
const FILE: &str = "POSTGRES_PASSWORD_FILE";
const COMMAND: &str = "POSTGRES_PASSWORD_COMMAND";

impl Reader<'_> {
    /// A server may need none. Where other settings are missing as well, it was probably forgotten with them.
    pub(super) fn password(&mut self, is_whole: bool) -> Option<PasswordSource> {
        // White space may be a password, but it is no path.
        let mut set: Vec<_> = [FILE, COMMAND].into_iter().filter(|name| self.is_set(name)).collect();
        if self.environment.has(GIVEN) {
            set.insert(0, GIVEN);
        }
        if let [first, others @ ..] = set.as_slice()
            && !others.is_empty()
        {
            let all = if others.len() == 1 { "both" } else { "all" };
            self.wrong(first, format!("and {} are {all} set; keep one", others.join(" and ")));
            return None;
        }
        match set.first() {
            Some(&FILE) => self.password_file(),
            Some(&COMMAND) => self.parsed(COMMAND, PasswordCommand::parse).map(PasswordSource::Command),
            _ => self.given_password(is_whole),
        }
    }

    fn given_password(&mut self, is_whole: bool) -> Option<PasswordSource> {
        match self.environment.get(GIVEN) {
            Value::Missing if is_whole => Some(PasswordSource::Absent),
            Value::Missing => {
                self.wrong(
                    GIVEN,
                    format!("is missing; set it, or {FILE} to the file that holds the password"),
                );
                None
            }
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
