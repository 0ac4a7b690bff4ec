//! A cluster in a directory: made, started, stopped. It listens on 127.0.0.1 alone and asks for a password.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use super::account::SystemAccount;
use super::binaries::Binaries;
use super::{Address, Password};
use workspace::process;

/// The data directory `data` below a directory of ours, and the programs that serve it.
#[derive(Debug, Clone)]
pub struct PostgresCluster {
    binaries: Binaries,
    account: SystemAccount,
    data: PathBuf,
}

#[derive(Debug, Clone, Copy)]
pub enum Stop {
    /// Sessions are cut off, everything is written down.
    Fast,
    /// At once; for data nobody needs again.
    Immediate,
}

impl PostgresCluster {
    pub fn new(binaries: Binaries, account: SystemAccount, directory: &Path) -> Self {
        Self { binaries, account, data: directory.join("data") }
    }

    /// Makes the cluster and the database. What an interrupted attempt left behind is removed first.
    pub fn make(&self, address: &Address) -> anyhow::Result<()> {
        if self.data.exists() {
            fs::remove_dir_all(&self.data)
                .with_context(|| format!("cannot remove {}", self.data.display()))?;
        }
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&self.data)
            .with_context(|| format!("cannot make {}", self.data.display()))?;
        self.account.own(&self.data)?;
        let password_file = self.data.with_file_name("initdb-password");
        write_private(&password_file, address.password.expose())?;
        self.account.own(&password_file)?;
        let made = process::output(
            self.account
                .command(&self.binaries.program("initdb"))
                .arg("--pgdata")
                .arg(&self.data)
                .arg("--pwfile")
                .arg(&password_file)
                .args([
                    "--username",
                    &address.user,
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--no-locale",
                    "--no-sync",
                ]),
        );
        fs::remove_file(&password_file).context("cannot remove initdb's password file")?;
        made.context("cannot make a PostgreSQL cluster")?;
        self.make_database(&address.database)
    }

    /// In single-user mode, so that no client program and no running server is needed.
    fn make_database(&self, name: &str) -> anyhow::Result<()> {
        use std::io::Write;
        let mut child = self
            .account
            .command(&self.binaries.program("postgres"))
            .args(["--single", "-D"])
            .arg(&self.data)
            .args(["-c", "fsync=off", "-c", "exit_on_error=on", "postgres"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run postgres")?;
        if let Some(mut stdin) = child.stdin.take() {
            writeln!(stdin, "CREATE DATABASE {name}").context("cannot talk to postgres --single")?;
        }
        let output = child.wait_with_output().context("cannot wait for postgres --single")?;
        if !output.status.success() {
            bail!("cannot make the database {name}: {}", String::from_utf8_lossy(output.stderr.trim_ascii()));
        }
        Ok(())
    }

    /// Starts the server and returns once it answers.
    pub fn start(&self, port: u16, settings: &[(&str, &str)]) -> anyhow::Result<()> {
        let pid_file = self.data.join("postmaster.pid");
        if pid_file.exists() && running(&self.data).is_none() {
            // Left by a machine that went down. Its number may belong to anyone by now, which PostgreSQL can't know.
            fs::remove_file(&pid_file)
                .with_context(|| format!("cannot remove the stale {}", pid_file.display()))?;
        }
        let port = port.to_string();
        let fixed =
            [("port", port.as_str()), ("listen_addresses", "127.0.0.1"), ("unix_socket_directories", "")];
        let options: Vec<_> = fixed
            .iter()
            .chain(settings)
            .map(|(name, value)| format!("-c {}", process::quoted(&format!("{name}={value}"))))
            .collect();
        let log = self.data.join("server.log");
        let started = process::output(
            self.pg_ctl("start")
                .arg("--log")
                .arg(&log)
                .arg("--options")
                .arg(options.join(" "))
                .args(["--wait", "--timeout=60"]),
        );
        started.map(drop).with_context(|| {
            let log = fs::read(&log).unwrap_or_default();
            let lines: Vec<_> =
                String::from_utf8_lossy(&log).lines().rev().take(5).map(str::to_owned).collect();
            format!(
                "PostgreSQL did not start; its log ends in\n{}",
                lines.into_iter().rev().collect::<Vec<_>>().join("\n")
            )
        })
    }

    pub fn stop(&self, how: Stop) -> anyhow::Result<()> {
        if running(&self.data).is_none() {
            return Ok(());
        }
        let mode = match how {
            Stop::Fast => "--mode=fast",
            Stop::Immediate => "--mode=immediate",
        };
        process::output(self.pg_ctl("stop").args([mode, "--wait", "--timeout=60"]))
            .map(drop)
            .context("PostgreSQL did not stop")
    }

    /// Makes a standby a primary.
    pub fn promote(&self) -> anyhow::Result<()> {
        process::output(self.pg_ctl("promote").args(["--wait", "--timeout=60"]))
            .map(drop)
            .context("the standby was not promoted")
    }

    pub fn is_down(&self) -> bool {
        running(&self.data).is_none()
    }

    fn pg_ctl(&self, verb: &str) -> Command {
        let mut command = self.account.command(&self.binaries.program("pg_ctl"));
        command.arg(verb).arg("--pgdata").arg(&self.data);
        command
    }
}

/// The port of the server that runs on a data directory, if one does.
pub fn running(data: &Path) -> Option<u16> {
    let text = fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let (pid, port) = pid_and_port(&text)?;
    let alive = match fs::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero())) {
        // A postmaster stands in its data directory: a number that was given to another process does not.
        Ok(directory) => data.canonicalize().is_ok_and(|data| data == directory),
        Err(_) if Path::new("/proc/self").exists() => false,
        Err(_) => rustix::process::test_kill_process(pid).is_ok(),
    };
    alive.then_some(port)
}

/// The first and the fourth line of `postmaster.pid`.
fn pid_and_port(text: &str) -> Option<(rustix::process::Pid, u16)> {
    let mut lines = text.lines();
    let pid = rustix::process::Pid::from_raw(lines.next()?.trim().parse().ok()?)?;
    Some((pid, lines.nth(2)?.trim().parse().ok()?))
}

/// A port nobody listens on right now: the wanted one when it is free, else any.
pub(crate) fn free_port(wanted: Option<u16>) -> anyhow::Result<u16> {
    let bound = wanted.and_then(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok());
    let listener = match bound {
        Some(listener) => listener,
        None => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free on 127.0.0.1")?,
    };
    Ok(listener.local_addr().context("a free port has no number")?.port())
}

/// A port below those that the system gives away by itself, so that nobody is given it before the server starts, or while
/// it starts again.
fn quiet_port() -> u16 {
    use std::hash::{BuildHasher, RandomState};
    20_000 + (RandomState::new().hash_one(()) % 10_000) as u16
}

/// Writes a file that only its owner can read, even for the moment of its making.
pub(crate) fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    let temporary = path.with_extension("new");
    let write = || {
        let _ = fs::remove_file(&temporary);
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?
            .write_all(text.as_bytes())?;
        fs::rename(&temporary, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// A cluster for one test run: made in a directory of the caller's, stopped when dropped. The directory stays.
#[derive(Debug)]
pub struct Throwaway {
    cluster: PostgresCluster,
    address: Address,
    settings: Vec<(String, String)>,
}

impl Throwaway {
    /// Starts a cluster below `directory`, which the server's account must be able to reach (`SystemAccount::reaches`).
    /// Nothing it writes survives a crash of the machine; `settings` are PostgreSQL's own and win over that.
    pub fn start(binaries: Binaries, directory: &Path, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let account = SystemAccount::choose();
        if !account.reaches(directory) {
            bail!("the user nobody, whom PostgreSQL runs as under root, can't reach {}", directory.display());
        }
        let address = Address::loopback(
            free_port(Some(quiet_port()))?,
            Password::random().context("no random numbers")?,
        );
        let cluster = PostgresCluster::new(binaries, account, directory);
        cluster.make(&address)?;
        let careless = [("fsync", "off"), ("full_page_writes", "off")];
        let settings = careless.iter().chain(settings);
        let settings = settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let throwaway = Self { cluster, address, settings };
        throwaway.start_again()?;
        Ok(throwaway)
    }

    /// Starts it where it was stopped, on the same port.
    pub fn start_again(&self) -> anyhow::Result<()> {
        let settings: Vec<_> =
            self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.cluster.start(self.address.port, &settings)
    }

    /// A standby below another directory, with the same settings, copied with pg_basebackup; it follows as long as this
    /// one runs.
    pub fn standby(&self, pg_basebackup: &Path, directory: &Path) -> anyhow::Result<Self> {
        let PostgresCluster { binaries, account, .. } = self.cluster.clone();
        let cluster = PostgresCluster::new(binaries, account, directory);
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&cluster.data)
            .with_context(|| format!("cannot make {}", cluster.data.display()))?;
        account.own(&cluster.data)?;
        let port = self.address.port.to_string();
        process::output(
            account
                .command(pg_basebackup)
                .env("PGPASSWORD", self.address.password.expose())
                .args(["--host", &self.address.host, "--port", &port, "--username", &self.address.user])
                .args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--pgdata"])
                .arg(&cluster.data),
        )
        .context("cannot copy the primary")?;
        let address = Address { port: free_port(Some(quiet_port()))?, ..self.address.clone() };
        let standby = Self { cluster, address, settings: self.settings.clone() };
        standby.start_again()?;
        Ok(standby)
    }

    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The cluster itself, for who wants to stop it in between.
    pub fn cluster(&self) -> &PostgresCluster {
        &self.cluster
    }
}

impl Drop for Throwaway {
    fn drop(&mut self) {
        if let Err(error) = self.cluster.stop(Stop::Immediate) {
            workspace::ui::warning(format!("{error:#}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pid_file_is_read() {
        let whole = "4711\n/data\n1700000000\n54321\n\n127.0.0.1\n  1 2\nready   \n";
        let pid = rustix::process::Pid::from_raw(4711).unwrap();
        for (text, expected) in
            [(whole, Some((pid, 54321))), ("4711\n/data\n", None), ("", None), ("0\na\nb\n1\n", None)]
        {
            assert_eq!(pid_and_port(text), expected);
        }
    }

    #[test]
    fn a_taken_port_is_avoided() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert_ne!(free_port(Some(port)).unwrap(), port);
        drop(taken);
        assert_eq!(free_port(Some(port)).unwrap(), port);
    }

    #[test]
    fn a_throwaway_cluster_lives_and_dies() {
        let account = SystemAccount::choose();
        let Some(binaries) = Binaries::of_the_machine(account).into_iter().next() else {
            return; // `cargo xtask test` names what it leaves out
        };
        let directory = std::env::temp_dir().join(format!("throwaway-{}", std::process::id()));
        fs::DirBuilder::new().mode(0o711).create(&directory).unwrap();
        let throwaway = Throwaway::start(binaries, &directory, &[("max_connections", "20")]).unwrap();
        assert_eq!(running(&directory.join("data")), Some(throwaway.address().port));
        drop(throwaway);
        assert_eq!(running(&directory.join("data")), None);
        fs::remove_dir_all(&directory).unwrap();
    }
}
