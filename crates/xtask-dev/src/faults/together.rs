//! Several jobs at once on one database: each migration is applied once, whoever does it, and nobody fails.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::baseline::Baseline;
use super::finding::TrialResult;
use super::job::{DIRTY, PATIENCE, Running};
use super::kind::Kind;
use super::moment::pseudo_random;

/// Two to eight; in every other round one of them is killed on the way.
pub(super) fn run(
    baseline: &Baseline<'_>,
    database: &str,
    kind: Kind,
    seed: u64,
    finding: &mut TrialResult,
) -> anyhow::Result<()> {
    let luck = pseudo_random(seed);
    let jobs = 2 + luck as usize % 7;
    // The last of them. Two that build an index are each other's victims, without any of us.
    let applications = match (kind, baseline.scenario.is_statementwise()) {
        (Kind::WithSqlx, true) => 1,
        (Kind::WithSqlx, false) => 1 + (luck / 3) as usize % (jobs - 1),
        _ => 0,
    };
    let killed = (luck % 2 == 1).then_some(Duration::from_millis(luck / 7 % 600));
    let mut running = Vec::new();
    for index in 0..jobs {
        let command = if index < jobs - applications {
            baseline.command(database, baseline.server.socket().port(), baseline.scenario.words)
        } else {
            baseline.program.application(baseline.scenario, &baseline.server, database)
        };
        running.push(Running::start(command)?);
    }
    finding.reached = true;
    finding.runs = jobs;
    let start = Instant::now();
    if let (Some(after), Some(first)) = (killed, running.first()) {
        std::thread::sleep(after);
        first.signal(Signal::KILL);
    }
    for (index, job) in running.into_iter().enumerate() {
        let Some(ended) = job.end(PATIENCE)? else {
            finding
                .violations
                .push(format!("one of {jobs} jobs did not end within {} s", PATIENCE.as_secs()));
            continue;
        };
        let was_killed = index == 0 && killed.is_some() && ended.code() == 137;
        // Whoever comes after one that was killed may find a script that takes a person.
        let may_halt = killed.is_some() && ended.code() == 6 && baseline.scenario.may_halt();
        // It finds a script of ours under way, or one that was killed.
        let refused =
            index >= jobs - applications && ended.code() == DIRTY && baseline.scenario.is_statementwise();
        if ended.code() != 0 && !was_killed && !may_halt && !refused {
            finding.violations.push(format!(
                "job {} of {jobs} ({applications} by sqlx) ended with exit code {} after {:.1} s: {}",
                index + 1,
                ended.code(),
                start.elapsed().as_secs_f64(),
                ended.words()
            ));
        }
    }
    Ok(())
}
