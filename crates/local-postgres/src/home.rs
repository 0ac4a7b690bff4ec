//! What the local PostgreSQL leaves on disk: its directory, a lock, and the state that makes the next run find it.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use super::account::{SystemAccount, is_private};
use super::cluster::write_private;
use super::{Address, Password};
use workspace::project::Project;
use workspace::ui;

const STATE: &str = "state.json";

/// The directory, locked against a second xtask for as long as this value lives.
#[derive(Debug)]
pub(crate) struct Home {
    directory: PathBuf,
    _lock: fs::File,
}

/// What runs the server, chosen once and kept until `database reset`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Provider {
    Container { image: String },
    Machine,
    Wheel,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    pub provider: Provider,
    pub port: u16,
    pub password: Password,
}

impl State {
    /// What was remembered of a checkout, found without its lock, and without making anything.
    pub(crate) fn of(project: &Project) -> anyhow::Result<Option<Self>> {
        Self::read(&directory(project).join(STATE))
    }

    fn read(path: &Path) -> anyhow::Result<Option<Self>> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        serde_json::from_str(&text).map(Some).with_context(|| {
            format!("{} can't be read; `cargo xtask database reset` starts over", path.display())
        })
    }

    pub(crate) fn address(&self) -> Address {
        Address::loopback(self.port, self.password.clone())
    }
}

impl Home {
    /// A directory that is not at its usual place gets a link there.
    pub(crate) fn open(project: &Project) -> anyhow::Result<Self> {
        fs::create_dir_all(project.target()).context("cannot make target/")?;
        let (usual, directory) = (usual(project), directory(project));
        if directory != usual && fs::symlink_metadata(&usual).is_err() {
            std::os::unix::fs::symlink(&directory, &usual).context("cannot link target/postgres")?;
        }
        match fs::DirBuilder::new().mode(0o711).create(&directory) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(error).with_context(|| format!("cannot make {}", directory.display()));
            }
            _ if !is_private(&directory) => {
                bail!(
                    "{} belongs to somebody else or is open to others; remove it and try again",
                    directory.display()
                )
            }
            _ => {}
        }
        // What the umask took away: the server's account must get through.
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o711))
            .context("cannot open up the server's directory")?;
        let lock = lock(&directory.join("lock"))?;
        Ok(Self { directory, _lock: lock })
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// For psql and everything else built on libpq, so that the password is in no command line.
    pub(crate) fn pgpass(&self) -> PathBuf {
        self.directory.join("pgpass")
    }

    fn state_file(&self) -> PathBuf {
        self.directory.join(STATE)
    }

    pub(crate) fn state(&self) -> anyhow::Result<Option<State>> {
        State::read(&self.state_file())
    }

    pub(crate) fn remember(&self, state: &State) -> anyhow::Result<()> {
        write_private(
            &self.pgpass(),
            &format!("127.0.0.1:{}:*:postgres:{}\n", state.port, state.password.expose()),
        )?;
        let text = serde_json::to_string_pretty(state).context("the state can't be written down")?;
        write_private(&self.state_file(), &(text + "\n"))
    }

    /// Removes everything but the lock.
    pub(crate) fn clear(&self) -> anyhow::Result<()> {
        // The state goes first: without it, the next start begins anew whatever else is left.
        for name in [STATE, "pgpass", "programs", "data"] {
            let path = self.directory.join(name);
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            match removed {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove {}", path.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn usual(project: &Project) -> PathBuf {
    project.target().join("postgres")
}

/// `target/postgres`; or a directory under /var/tmp where we are root and the checkout is closed to others.
fn directory(project: &Project) -> PathBuf {
    if SystemAccount::choose().reaches(&project.target()) {
        usual(project)
    } else {
        PathBuf::from(format!("/var/tmp/run-migrations-{}", project.fingerprint()))
    }
}

fn lock(path: &Path) -> anyhow::Result<fs::File> {
    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    if file.try_lock().is_err() {
        let _waiting = ui::waiting("Waiting", "for another cargo xtask that works on the local PostgreSQL");
        file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_reads_back() {
        for text in [
            r#"{"provider":{"container":{"image":"postgres:17"}},"port":5433,"password":"abc"}"#,
            r#"{"provider":"machine","port":5433,"password":"abc"}"#,
        ] {
            let state: State = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&state).unwrap(), text);
        }
    }
}
