//! The node of the job is lost, or cut off: nobody closes its connection. The server has to notice that by itself, so
//! that the next run finds the lock free.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::Signal;

use super::baseline::Baseline;
use super::exit_code;
use super::finding::TrialResult;
use super::job::{PATIENCE, Running};
use super::kind::Kind;
use super::moment::pseudo_random;
use super::probe;
use super::session::Session;

const NOTICED: Duration = Duration::from_secs(15);

const SESSIONS: &str = "SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'run-migrations %'";

const LOCKS: &str = "SELECT count(*) FROM pg_locks
WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

pub(super) fn run(
    baseline: &Baseline<'_>,
    database: &str,
    seed: u64,
    finding: &mut TrialResult,
) -> anyhow::Result<()> {
    let network = baseline.server.network().context("the server has no network")?;
    let luck = pseudo_random(seed);
    let command = baseline.command(database, baseline.server.socket().port(), baseline.scenario.words);
    let mut job = Running::start(network.on_node(&command)?)?;
    // Until then it holds nothing, and nobody watches it.
    while baseline.server.sql(database, LOCKS)? == "0" && !job.is_over()? {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(
        luck / 2 % if baseline.scenario.meant_for.is_some() { 3000 } else { 300 },
    ));
    network.lose()?;
    let lost = Instant::now();
    finding.reached = !job.is_over()?;
    // Every other time the node lives on, on its own.
    if luck.is_multiple_of(2) {
        job.signal(Signal::KILL);
    }
    let mut beside = Session::open(&baseline.server, database)?;
    let over = AtomicBool::new(false);
    let (looked, beside) = std::thread::scope(|scope| {
        let beside = scope.spawn(|| probe::repeat(&mut beside, probe::BYSTANDER, &over));
        // When the last look began that saw the session.
        let look = || {
            let mut last = Duration::ZERO;
            while finding.reached && last < 2 * NOTICED {
                let now = lost.elapsed();
                if baseline.server.sql(database, SESSIONS)? == "0" {
                    break;
                }
                last = now;
                std::thread::sleep(Duration::from_millis(50));
            }
            anyhow::Ok(last)
        };
        let looked = look();
        over.store(true, Ordering::Relaxed);
        (looked, beside.join())
    });
    network.find_again()?;
    let beside = beside.map_err(|_| anyhow::anyhow!("a thread of the campaign panicked"))??;
    let noticed = looked?;
    finding.longest_wait = noticed.saturating_sub(probe::stalled(&beside, lost, noticed));
    if finding.longest_wait > NOTICED {
        finding.violations.push(format!(
            "the server noticed the loss after {:.1} s, not {} s",
            finding.longest_wait.as_secs_f64(),
            NOTICED.as_secs()
        ));
    }
    let Some(ended) = job.end(PATIENCE)? else {
        finding.violations.push(format!("the run did not end within {} s", PATIENCE.as_secs()));
        return Ok(());
    };
    if !exit_code::allows(baseline.scenario, Kind::LostNode, ended.code(), true) {
        finding.violations.push(format!("the run ended with exit code {}: {}", ended.code(), ended.words()));
    }
    Ok(())
}
