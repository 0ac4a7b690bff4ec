//! Finding PostgreSQL's server programs on the machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::account::SystemAccount;
use workspace::process;

/// A directory with `initdb`, `pg_ctl` and `postgres` of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    directory: PathBuf,
    version: ServerVersion,
}

/// Major and minor version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerVersion {
    pub major: u16,
    pub(crate) minor: u16,
}

impl std::fmt::Display for ServerVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl Binaries {
    /// The programs in a directory, if it has them all and the account can run them.
    pub(crate) fn in_directory(directory: &Path, account: SystemAccount) -> Option<Self> {
        let complete =
            ["initdb", "pg_ctl", "postgres"].iter().all(|program| directory.join(program).is_file());
        if !complete || !account.reaches(directory) {
            return None;
        }
        let said = process::output(Command::new(directory.join("postgres")).arg("--version")).ok()?;
        Some(Self { directory: directory.to_owned(), version: version(&said)? })
    }

    /// All that are installed, newest first.
    pub fn of_the_machine(account: SystemAccount) -> Vec<Self> {
        let mut directories: Vec<PathBuf> =
            std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
        for (parent, prefix) in [
            ("/usr/lib/postgresql", ""),
            ("/usr", "pgsql-"),
            ("/opt/homebrew/opt", "postgresql"),
            ("/usr/local/opt", "postgresql"),
            ("/Applications/Postgres.app/Contents/Versions", ""),
        ] {
            for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
                if entry.file_name().to_string_lossy().starts_with(prefix) {
                    directories.push(entry.path().join("bin"));
                }
            }
        }
        let mut found: Vec<_> =
            directories.iter().filter_map(|directory| Self::in_directory(directory, account)).collect();
        found.sort_by_key(|binaries| std::cmp::Reverse(binaries.version));
        found
    }

    pub fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub fn version(&self) -> ServerVersion {
        self.version
    }
}

/// Reads `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, and `19beta1` as 19.0.
fn version(said: &str) -> Option<ServerVersion> {
    let number = said.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let mut parts = number.split(|c: char| !c.is_ascii_digit());
    let major = parts.next()?.parse().ok()?;
    let minor = if number.contains('.') { parts.next()?.parse().ok()? } else { 0 };
    Some(ServerVersion { major, minor })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        for (said, expected) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", Some((15, 18))),
            ("postgres (PostgreSQL) 18.0\n", Some((18, 0))),
            ("postgres (PostgreSQL) 19beta1\n", Some((19, 0))),
            ("command not found\n", None),
        ] {
            assert_eq!(
                version(said),
                expected.map(|(major, minor)| ServerVersion { major, minor }),
                "{said}"
            );
        }
    }
}
