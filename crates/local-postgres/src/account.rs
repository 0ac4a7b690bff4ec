//! The account a server runs under: our own, or `nobody` where we are root, since PostgreSQL refuses root.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::Context;

/// Who the server's programs run as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SystemAccount {
    Own,
    Nobody { uid: u32, gid: u32 },
}

impl SystemAccount {
    pub fn choose() -> Self {
        if !rustix::process::geteuid().is_root() {
            return Self::Own;
        }
        let (uid, gid) = std::fs::read_to_string("/etc/passwd")
            .ok()
            .and_then(|text| nobody(&text))
            .unwrap_or((65534, 65534));
        Self::Nobody { uid, gid }
    }

    /// A command that runs under this account, with nothing of the caller's PostgreSQL settings.
    pub fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command.env("LC_ALL", "C");
        if let Self::Nobody { uid, gid } = self {
            // The standard library also drops root's supplementary groups.
            command
                .uid(uid)
                .gid(gid)
                .current_dir("/")
                .env("HOME", "/")
                .env("USER", "nobody")
                .env("LOGNAME", "nobody");
        }
        command
    }

    /// Hands a file or directory of ours over to the account.
    pub fn own(self, path: &Path) -> anyhow::Result<()> {
        match self {
            Self::Own => Ok(()),
            Self::Nobody { uid, gid } => std::os::unix::fs::chown(path, Some(uid), Some(gid))
                .with_context(|| format!("cannot hand {} to the user nobody", path.display())),
        }
    }

    /// Whether the account can get at something that stands at this path: it needs the way there, not more.
    pub fn reaches(self, path: &Path) -> bool {
        self == Self::Own
            || path.ancestors().filter(|path| path.exists()).all(|directory| {
                directory
                    .metadata()
                    .is_ok_and(|metadata| !metadata.is_dir() || metadata.permissions().mode() & 0o001 != 0)
            })
    }
}

/// Whether a directory belongs to us and nobody else can write to it.
pub(crate) fn is_private(directory: &Path) -> bool {
    directory.symlink_metadata().is_ok_and(|metadata| {
        metadata.is_dir()
            && metadata.uid() == rustix::process::geteuid().as_raw()
            && metadata.mode() & 0o022 == 0
    })
}

fn nobody(passwd: &str) -> Option<(u32, u32)> {
    let line = passwd.lines().find(|line| line.starts_with("nobody:"))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    #[test]
    fn nobody_is_looked_up() {
        let debian =
            "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
        for (passwd, ids) in
            [(debian, Some((65534, 65534))), ("nobody:x:99:98::/:", Some((99, 98))), ("root:x:0:0::/:", None)]
        {
            assert_eq!(super::nobody(passwd), ids);
        }
    }
}
