//! A server of the campaign, and what is asked of it with PostgreSQL's own client programs.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;

use super::disk::Disk;
use super::network::Network;
use crate::test::server::{Scratch, clients};
use local_postgres::account::SystemAccount;
use local_postgres::binaries::{Binaries, ServerVersion};
use local_postgres::cluster::Throwaway;
use workspace::process;
use workspace::project::Project;

/// A running server; stopped and removed when dropped, in the order of the fields.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) throwaway: Throwaway,
    binaries: Binaries,
    programs: PathBuf,
    /// Keeps the data, where they are on a disk of their own.
    disk: Option<Disk>,
    /// Leads to another node.
    network: Option<Network>,
    _directory: Scratch,
}

/// No session of the server's own may come between.
const QUIET: &[(&str, &str)] = &[("autovacuum", "off"), ("max_connections", "60")];

/// Little is written ahead.
const SMALL: &[(&str, &str)] = &[("min_wal_size", "32MB"), ("max_wal_size", "48MB")];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ground {
    Roomy,
    FewConnections,
    SmallDisk,
    Network,
}

static NUMBER: AtomicUsize = AtomicUsize::new(0);

/// A directory that goes with the campaign.
pub(super) fn scratch(project: &Project) -> anyhow::Result<Scratch> {
    Scratch::numbered(project, SystemAccount::choose(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

impl Server {
    pub(super) fn start(project: &Project, binaries: &Binaries, ground: Ground) -> anyhow::Result<Self> {
        let directory = scratch(project)?;
        let disk = match ground {
            Ground::SmallDisk => Some(Disk::mount(directory.path())?),
            _ => None,
        };
        let network = match ground {
            Ground::Network => Some(Network::make()?),
            _ => None,
        };
        let addresses = network.as_ref().map(|network| format!("127.0.0.1,{}", network.here()));
        let addresses = addresses.as_deref().map(|addresses| ("listen_addresses", addresses));
        let settings = match ground {
            Ground::Roomy | Ground::Network => [].as_slice(),
            Ground::FewConnections => [("max_connections", "12")].as_slice(),
            Ground::SmallDisk => SMALL,
        };
        let settings = [QUIET, settings, addresses.as_slice()].concat();
        let throwaway = Throwaway::start(binaries.clone(), directory.path(), &settings)?;
        let programs = clients(binaries)?;
        let binaries = binaries.clone();
        let server = Self { throwaway, binaries, programs, disk, network, _directory: directory };
        server.let_in()?;
        Ok(server)
    }

    /// Whoever comes from the other node.
    fn let_in(&self) -> anyhow::Result<()> {
        let Some(network) = &self.network else { return Ok(()) };
        let file = PathBuf::from(self.sql("postgres", "SHOW hba_file")?);
        let line = format!("host all all {}/32 scram-sha-256\n", network.there());
        let mut rules =
            std::fs::OpenOptions::new().append(true).open(&file).context("cannot open pg_hba.conf")?;
        std::io::Write::write_all(&mut rules, line.as_bytes()).context("cannot write pg_hba.conf")?;
        self.sql("postgres", "SELECT pg_reload_conf()").map(drop)
    }

    /// A standby that this server waits for at every commit.
    pub(super) fn standby(&self, project: &Project) -> anyhow::Result<Self> {
        let directory = scratch(project)?;
        let throwaway = self.throwaway.standby(&self.programs.join("pg_basebackup"), directory.path())?;
        // Not before the copy: the standby must not wait for one in its turn when it is promoted.
        self.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'")?;
        self.sql("postgres", "SELECT pg_reload_conf()")?;
        let (binaries, programs) = (self.binaries.clone(), self.programs.clone());
        Ok(Self { throwaway, binaries, programs, disk: None, network: None, _directory: directory })
    }

    /// The disk, where it is one of its own.
    pub(super) fn disk(&self) -> Option<&Disk> {
        self.disk.as_ref()
    }

    /// The other node, where there is one.
    pub(super) fn network(&self) -> Option<&Network> {
        self.network.as_ref()
    }

    pub(super) fn version(&self) -> ServerVersion {
        self.binaries.version()
    }

    pub(super) fn socket(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.throwaway.address().port).into()
    }

    /// A client program that is let in.
    pub(super) fn client(&self, program: &str, database: &str) -> Command {
        let address = self.throwaway.address();
        let mut command = Command::new(self.programs.join(program));
        command
            .env_clear()
            .env("PGHOST", &address.host)
            .env("PGPORT", address.port.to_string())
            .env("PGUSER", &address.user)
            .env("PGPASSWORD", address.password.expose())
            .env("PGDATABASE", database)
            .env("PGAPPNAME", "campaign")
            .stdin(Stdio::null());
        command
    }

    /// Runs SQL; the rows as lines, the columns separated by `|`.
    pub(super) fn sql(&self, database: &str, sql: &str) -> anyhow::Result<String> {
        let mut psql = self.client("psql", database);
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql]);
        process::output(&mut psql).map(|text| text.trim_end().to_owned())
    }

    /// A new database like another one.
    pub(super) fn copy(&self, template: &str, name: &str) -> anyhow::Result<()> {
        self.sql("postgres", &format!("CREATE DATABASE \"{name}\" TEMPLATE \"{template}\""))
            .map(drop)
            .with_context(|| format!("cannot make the database {name}"))
    }

    pub(super) fn drop_database(&self, name: &str) -> anyhow::Result<()> {
        self.sql("postgres", &format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)"))
            .map(drop)
            .with_context(|| format!("cannot drop the database {name}"))
    }

    /// The schema as pg_dump writes it, without what differs from dump to dump.
    pub(super) fn schema(&self, database: &str) -> anyhow::Result<String> {
        let text = process::output(self.client("pg_dump", database).arg("--schema-only"))?;
        let is_random = |line: &&str| line.starts_with("\\restrict") || line.starts_with("\\unrestrict");
        Ok(text.lines().filter(|line| !is_random(line)).collect::<Vec<_>>().join("\n"))
    }
}
