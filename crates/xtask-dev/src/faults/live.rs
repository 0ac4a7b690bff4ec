//! A site that goes on: somebody is on the table that is altered, and a probe measures how long others wait for it.

use std::io::Read;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::baseline::Baseline;
use super::finding::TrialResult;
use super::job::{PATIENCE, Running};
use super::kind::Kind;
use super::moment::pseudo_random;
use super::probe;
use super::session::Session;

/// What every visitor of the site asks.
const VISIT: &str = "SELECT balance FROM account WHERE name = 'name 1'";

/// Somebody who is on the table.
#[derive(Debug)]
enum Bystander {
    Session(Session),
    /// pg_dump, which waits for us to read what it writes.
    Dump(Child),
}

pub(super) fn run(
    baseline: &Baseline<'_>,
    database: &str,
    kind: Kind,
    seed: u64,
    finding: &mut TrialResult,
) -> anyhow::Result<()> {
    let limit = baseline.scenario.visitors_wait.context("nobody says how long visitors may wait")?.limit();
    let bystander = Bystander::enter(baseline, database, kind)?;
    finding.reached = true;
    let mut visitor = Session::open(&baseline.server, database)?;
    let mut beside = Session::open(&baseline.server, database)?;
    let command = baseline.command(database, baseline.server.socket().port(), baseline.scenario.words);
    let over = AtomicBool::new(false);
    // So long that the first attempt fails; every other time, longer than all attempts take.
    let stays = Duration::from_secs(if pseudo_random(seed).is_multiple_of(2) { 4 } else { 12 });
    let (ended, visits, beside) = std::thread::scope(|scope| {
        let visits = scope.spawn(|| probe::repeat(&mut visitor, VISIT, &over));
        let beside = scope.spawn(|| probe::repeat(&mut beside, probe::BYSTANDER, &over));
        let leaves = scope.spawn(|| bystander.leave_after(stays, &over));
        let ended = Running::start(command).and_then(|job| job.end(PATIENCE));
        over.store(true, Ordering::Relaxed);
        let broke_off = |_| anyhow::anyhow!("a thread of the campaign panicked");
        leaves.join().map_err(broke_off)??;
        anyhow::Ok((ended?, visits.join().map_err(broke_off)??, beside.join().map_err(broke_off)??))
    })?;
    let Some(ended) = ended else {
        finding.violations.push(format!("the run did not end within {} s", PATIENCE.as_secs()));
        return Ok(());
    };
    let longest = probe::longest(&visits, &beside);
    finding.longest_wait = longest;
    if longest > limit {
        finding.violations.push(format!(
            "a visitor waited for {:.1} s, which is more than {:.1} s: {}",
            longest.as_secs_f64(),
            limit.as_secs_f64(),
            ended.words()
        ));
    }
    match ended.code() {
        0 => {}
        4 if ["waited for pid", "waited for its locks"].iter().any(|words| ended.stderr.contains(words)) => {}
        code => finding.violations.push(format!(
            "the run ended with exit code {code}{}: {}",
            if code == 4 { " and names nobody" } else { "" },
            ended.words()
        )),
    }
    Ok(())
}

impl Bystander {
    /// Returns when it has its lock.
    fn enter(baseline: &Baseline<'_>, database: &str, kind: Kind) -> anyhow::Result<Self> {
        let does = match kind {
            Kind::Reader => "SELECT count(*) FROM account",
            Kind::Writer => "UPDATE account SET balance = balance WHERE name = 'name 2'",
            _ => return Self::dump(baseline, database),
        };
        let mut session = Session::open(&baseline.server, database)?;
        session.ask("BEGIN")?;
        session.ask(does)?;
        Ok(Self::Session(session))
    }

    fn dump(baseline: &Baseline<'_>, database: &str) -> anyhow::Result<Self> {
        let mut pg_dump = baseline.server.client("pg_dump", database);
        let child =
            pg_dump.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().context("cannot run pg_dump")?;
        let dump = Self::Dump(child);
        let start = Instant::now();
        let locks = "SELECT count(*) FROM pg_locks WHERE relation = 'account'::regclass AND granted";
        // Planning takes a lock of its own on the table only where it is in the query.
        while baseline.server.sql(database, locks)? == "0" {
            if start.elapsed() > PATIENCE {
                bail!("pg_dump takes no lock");
            }
        }
        Ok(dump)
    }

    /// Or when all is over.
    fn leave_after(mut self, time: Duration, over: &AtomicBool) -> anyhow::Result<()> {
        let start = Instant::now();
        while start.elapsed() < time && !over.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(20));
        }
        match &mut self {
            Self::Session(session) => session.ask("COMMIT").map(drop),
            Self::Dump(child) => {
                let mut text = Vec::new();
                let mut stdout = child.stdout.take().context("pg_dump has no stdout")?;
                stdout.read_to_end(&mut text).context("cannot read the dump")?;
                if !child.wait().context("cannot wait for pg_dump")?.success() {
                    bail!("pg_dump failed");
                }
                Ok(())
            }
        }
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        if let Self::Dump(child) = self {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
