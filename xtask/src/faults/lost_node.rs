//! The node of the job is lost, or cut off: nobody closes its connection. The server has to notice that by itself, so
//! that the next run finds the lock free.

use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::Signal;

use super::disturb::{Finding, PATIENCE, Stage};
use super::job::Running;
use super::kind::Kind;
use super::moment::scattered;

/// What is promised.
const NOTICED: Duration = Duration::from_secs(15);

const SESSIONS: &str = "SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'run-migrations %'";

const LOCKS: &str = "SELECT count(*) FROM pg_locks
WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

pub(super) fn run(stage: &Stage<'_>, database: &str, seed: u64, finding: &mut Finding) -> anyhow::Result<()> {
    let network = stage.server.network().context("the server has no network")?;
    let sessions = || stage.server.sql(database, SESSIONS);
    let luck = scattered(seed);
    let command = stage.command(database, stage.server.socket().port(), stage.scenario.words);
    let mut job = Running::start(network.on_node(&command)?)?;
    // Until then it holds nothing, and nobody watches it.
    while stage.server.sql(database, LOCKS)? == "0" && !job.is_over()? {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(
        luck / 2 % if stage.scenario.meant_for.is_some() { 3000 } else { 300 },
    ));
    network.lose()?;
    let lost = Instant::now();
    finding.reached = !job.is_over()?;
    // Every other time the node lives on, on its own.
    if luck.is_multiple_of(2) {
        job.signal(Signal::KILL);
    }
    while finding.reached && sessions()? != "0" && lost.elapsed() < NOTICED {
        std::thread::sleep(Duration::from_millis(50));
    }
    finding.longest_wait = lost.elapsed();
    let left = sessions()?;
    network.find_again()?;
    if left != "0" {
        finding.violations.push(format!("the server did not notice the loss within {} s", NOTICED.as_secs()));
    }
    let Some(ended) = job.end(PATIENCE)? else {
        finding.violations.push(format!("the run did not end within {} s", PATIENCE.as_secs()));
        return Ok(());
    };
    if !Kind::LostNode.allows(stage.scenario, ended.code(), true) {
        finding.violations.push(format!("the run ended with exit code {}: {}", ended.code(), ended.words()));
    }
    Ok(())
}
