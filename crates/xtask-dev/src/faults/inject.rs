//! The faults themselves: what is done while everything is held, and what follows when messages pass again.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::Signal;

use super::baseline::Baseline;
use super::job::{PATIENCE, Running};
use super::kind::Kind;
use super::moment::{Moment, pseudo_random};
use super::proxy::{Proxy, Way};
use super::scenario::LOCK_TIMEOUT;
use super::server::Server;
use super::session::Session;
use local_postgres::cluster::Stop;

#[derive(Debug)]
pub(super) struct Injection<'s> {
    pub(super) baseline: &'s Baseline<'s>,
    pub(super) database: &'s str,
    pub(super) kind: Kind,
    pub(super) moment: Moment,
    /// Chooses what the moment leaves open.
    pub(super) seed: u64,
    crowd: Vec<Child>,
    /// Whom a build waits for.
    bystander: Option<Session>,
}

/// Every session of the job.
const TERMINATE: &str = "
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND application_name <> 'campaign' AND backend_type = 'client backend'";

impl<'s> Injection<'s> {
    pub(super) fn new(
        baseline: &'s Baseline<'s>,
        database: &'s str,
        kind: Kind,
        moment: Moment,
        seed: u64,
    ) -> Self {
        Self { baseline, database, kind, moment, seed, crowd: Vec::new(), bystander: None }
    }

    /// While everything is held. Says how the messages go on.
    pub(super) fn inject(&mut self, job: &Running, proxy: &Proxy) -> anyhow::Result<Way> {
        if let Moment::After(_) = self.moment {
            // For so long the server works until the fault comes.
            std::thread::sleep(Duration::from_millis(self.one_of(&[0, 1, 5, 20, 60])));
        }
        let server = self.baseline.server.as_ref();
        let lost = match self.moment {
            Moment::Before(_) => Way::Cut,
            Moment::After(_) => Way::On,
        };
        match self.kind {
            Kind::Kill => {
                job.signal(Signal::KILL);
                return Ok(lost);
            }
            Kind::Term => job.signal(Signal::TERM),
            Kind::Stop | Kind::StopAndKill => job.signal(Signal::STOP),
            Kind::Terminate => drop(server.sql(self.database, TERMINATE)?),
            Kind::Cut => return Ok(Way::Cut),
            Kind::Reset => return Ok(Way::Reset),
            Kind::Silent => return Ok(Way::Silent),
            Kind::Building => {
                let mut session = Session::open(server, self.database)?;
                session.ask("BEGIN")?;
                session.ask("LOCK TABLE account IN ROW EXCLUSIVE MODE")?;
                // It goes to its end, also when psql does not.
                session.tell("SELECT pg_sleep(4)")?;
                self.bystander = Some(session);
            }
            // These are not about one run and its messages.
            Kind::Delay | Kind::Together | Kind::WithSqlx | Kind::LostNode => {}
            Kind::Reader | Kind::Dump | Kind::Writer => {}
            Kind::RestartFast => server.throwaway.cluster().stop(Stop::Fast)?,
            Kind::RestartImmediate => server.throwaway.cluster().stop(Stop::Immediate)?,
            Kind::DiskFull => server.disk().context("the server has no disk of its own")?.fill()?,
            Kind::NoConnections => self.crowd_in()?,
            Kind::Promotion => {
                let standby = self.standby()?;
                server.throwaway.cluster().stop(Stop::Immediate)?;
                standby.throwaway.cluster().promote()?;
                proxy.retarget(standby.socket());
            }
            Kind::LateCommit => self.standby()?.throwaway.cluster().stop(Stop::Immediate)?,
        }
        Ok(Way::On)
    }

    /// When messages pass again.
    pub(super) fn follow_up(&mut self, job: &Running, proxy: &Proxy) -> anyhow::Result<()> {
        let server = self.baseline.server.as_ref();
        match self.kind {
            Kind::Stop => {
                std::thread::sleep(LOCK_TIMEOUT * 3);
                job.signal(Signal::CONT);
            }
            Kind::StopAndKill => {
                std::thread::sleep(LOCK_TIMEOUT * 3);
                job.signal(Signal::KILL);
            }
            Kind::Silent => {
                std::thread::sleep(LOCK_TIMEOUT);
                job.signal(Signal::TERM);
            }
            Kind::RestartFast | Kind::RestartImmediate => {
                std::thread::sleep(Duration::from_millis(self.one_of(&[0, 300, 2000])));
                server.throwaway.start_again()?;
            }
            Kind::DiskFull => {
                std::thread::sleep(Duration::from_millis(self.one_of(&[1000, 3000])));
                server.disk().context("the server has no disk of its own")?.relieve()?;
                recovered(server)?;
            }
            Kind::NoConnections => {
                std::thread::sleep(Duration::from_millis(self.one_of(&[500, 2000])));
                self.crowd_out();
                deserted(server)?;
            }
            Kind::LateCommit => {
                std::thread::sleep(Duration::from_millis(300));
                proxy.cut();
                std::thread::sleep(Duration::from_millis(self.one_of(&[0, 500, 2000])));
                self.standby()?.throwaway.start_again()?;
            }
            Kind::Building => {
                std::thread::sleep(Duration::from_millis(self.one_of(&[100, 500, 2500])));
                match pseudo_random(self.seed ^ 1) % 4 {
                    0 => job.signal(Signal::KILL),
                    1 => job.signal(Signal::TERM),
                    2 => proxy.cut(),
                    _ => drop(server.sql(self.database, TERMINATE)?),
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn standby(&self) -> anyhow::Result<&Server> {
        self.baseline.standby.as_deref().context("the server has no standby")
    }

    fn one_of(&self, milliseconds: &[u64]) -> u64 {
        let index = pseudo_random(self.seed) as usize % milliseconds.len();
        milliseconds.get(index).copied().unwrap_or_default()
    }

    /// Takes every connection the server has left.
    fn crowd_in(&mut self) -> anyhow::Result<()> {
        let start = Instant::now();
        let server = self.baseline.server.as_ref();
        loop {
            let mut refused = false;
            for child in &mut self.crowd {
                refused |= child.try_wait().context("cannot wait for psql")?.is_some();
            }
            if refused {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                bail!("{} sessions are not enough to crowd the server", self.crowd.len());
            }
            let mut psql = server.client("psql", "postgres");
            // They go with their clients.
            psql.env("PGOPTIONS", "-c client_connection_check_interval=100ms");
            psql.args(["-X", "-q", "-c", "SELECT pg_sleep(600)"]);
            self.crowd.push(quiet(&mut psql)?);
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    fn crowd_out(&mut self) {
        for mut child in self.crowd.drain(..) {
            // One of them has ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Injection<'_> {
    fn drop(&mut self) {
        self.crowd_out();
    }
}

/// The sessions of a crowd go some time after their clients.
fn deserted(server: &Server) -> anyhow::Result<()> {
    let start = Instant::now();
    let crowd = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'";
    while !server.sql("postgres", crowd).is_ok_and(|count| count == "0") {
        if start.elapsed() > PATIENCE {
            bail!("the crowd does not go");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn quiet(command: &mut Command) -> anyhow::Result<Child> {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("cannot run psql")
}

/// A server that lost its footing gets up by itself, or is helped.
fn recovered(server: &Server) -> anyhow::Result<()> {
    let start = Instant::now();
    while let Err(error) = server.sql("postgres", "SELECT 1") {
        if start.elapsed() > PATIENCE {
            return Err(error.context("the server does not come back"));
        }
        if server.throwaway.cluster().is_down() {
            server.throwaway.start_again()?;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
