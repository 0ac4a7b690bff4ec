//! One injection: a database, a run that meets the fault, an undisturbed run, and the check.

use std::time::{Duration, Instant};

use anyhow::Context;

use super::baseline::Baseline;
use super::check;
use super::finding::TrialResult;
use super::inject::Injection;
use super::job::{Ended, PATIENCE, Running};
use super::kind::Kind;
use super::moment::{self, Moment};
use super::proxy::Proxy;
use super::scenario::Halts;
use super::server::Server;
use super::{exit_code, live, lost_node, together};

/// A migration that is partially applied on its way down is still there.
const APPLIED: &str = "SELECT max(version) FROM _sqlx_migrations WHERE success OR execution_time < -1";

const HALFWAY: &str = "SELECT count(*) FROM _sqlx_migrations WHERE NOT success";

const DELAY: Duration = Duration::from_millis(200);

/// Lets a run meet the fault and looks what comes of it.
pub(super) fn disturb(
    baseline: &Baseline<'_>,
    database: &str,
    kind: Kind,
    moment: Moment,
    seed: u64,
) -> anyhow::Result<TrialResult> {
    baseline.server.copy(&baseline.template, database)?;
    let mut finding = TrialResult { runs: 1, ..TrialResult::default() };
    match kind {
        Kind::Together | Kind::WithSqlx => together::run(baseline, database, kind, seed, &mut finding)?,
        Kind::LostNode => lost_node::run(baseline, database, seed, &mut finding)?,
        Kind::Reader | Kind::Dump | Kind::Writer => live::run(baseline, database, kind, seed, &mut finding)?,
        _ => meet(baseline, database, kind, moment, seed, &mut finding)?,
    }
    let after = match &baseline.standby {
        Some(standby) if kind == Kind::Promotion && finding.reached => &baseline.moved(standby, None),
        _ => baseline,
    };
    complete(after, database, &mut finding)?;
    if finding.violations.is_empty() {
        finding.violations =
            check::violations(&after.server, database, baseline.scenario, &baseline.reference)?;
    }
    after.server.drop_database(database)?;
    Ok(finding)
}

fn meet(
    baseline: &Baseline<'_>,
    database: &str,
    kind: Kind,
    moment: Moment,
    seed: u64,
    finding: &mut TrialResult,
) -> anyhow::Result<()> {
    let (at, delay) = if kind == Kind::Delay { (None, DELAY) } else { (Some(moment), Duration::ZERO) };
    let proxy = Proxy::start(baseline.server.socket(), at, delay)?;
    let mut command = baseline.command(database, proxy.port(), baseline.scenario.words);
    if kind == Kind::NoConnections {
        // How long the crowd takes to come does not depend on the job.
        command.env("CONNECT_TIMEOUT", "60s");
    }
    let mut job = Running::start(command)?;
    finding.reached = kind == Kind::Delay;
    let mut injection = Injection::new(baseline, database, kind, moment, seed);
    while !finding.reached && !job.is_over()? {
        let Some(answer) = proxy.held(Duration::from_millis(5)) else { continue };
        finding.reached = true;
        let way = injection.inject(&job, &proxy)?;
        answer.send(way).context("the relay is gone")?;
        injection.follow_up(&job, &proxy)?;
    }
    let start = Instant::now();
    let Some(ended) = job.end(PATIENCE)? else {
        finding.violations.push(format!("the run did not end within {} s", PATIENCE.as_secs()));
        return Ok(());
    };
    let in_doubt = moment::is_in_doubt(&baseline.seen, moment);
    if !exit_code::allows(baseline.scenario, kind, ended.code(), in_doubt) {
        finding.violations.push(format!(
            "the run ended with exit code {} after {:.1} s: {}",
            ended.code(),
            start.elapsed().as_secs_f64(),
            ended.words()
        ));
    }
    let teller = match &baseline.standby {
        Some(standby) if kind == Kind::Promotion && finding.reached => standby,
        _ => &baseline.server,
    };
    believe(teller, database, &ended, finding)
}

/// Undisturbed runs, and the way out where one names it, until nothing is left to do.
fn complete(baseline: &Baseline<'_>, database: &str, finding: &mut TrialResult) -> anyhow::Result<()> {
    for _ in 0..4 {
        finding.runs += 1;
        let ended = baseline.undisturbed(database, baseline.scenario.words)?;
        match (ended.code(), baseline.scenario.halts) {
            (0, _) => return Ok(()),
            (6, Halts::Until { repair }) => {
                let Some(words) = way_out(&ended.stderr) else {
                    finding.violations.push(format!("exit code 6 names no way out: {}", ended.words()));
                    return Ok(());
                };
                baseline.server.sql(database, repair).context("the repair failed")?;
                finding.runs += 1;
                let words: Vec<_> = words.split(' ').collect();
                let resolved = baseline.undisturbed(database, &words)?;
                if resolved.code() != 0 {
                    finding.violations.push(format!("the way out leads nowhere: {}", resolved.words()));
                    return Ok(());
                }
            }
            (code, _) => {
                finding
                    .violations
                    .push(format!("the undisturbed run ended with exit code {code}: {}", ended.words()));
                return Ok(());
            }
        }
    }
    finding.violations.push("four undisturbed runs came to no end".to_owned());
    Ok(())
}

/// What a run says of the database must be so.
fn believe(server: &Server, database: &str, ended: &Ended, finding: &mut TrialResult) -> anyhow::Result<()> {
    let says = |words: &&str| ended.stderr.contains(*words);
    let Some(claim) = ended.claim() else { return Ok(()) };
    if says(&"is not known") {
        return Ok(());
    }
    let table = server.sql(database, "SELECT to_regclass('_sqlx_migrations') IS NOT NULL")?;
    let applied = match table.as_str() {
        "t" => server.sql(database, APPLIED)?,
        _ => String::new(),
    };
    let applied = if applied.is_empty() { "base".to_owned() } else { applied };
    let halfway = table == "t" && server.sql(database, HALFWAY)? != "0";
    if ended.code() == 3 && halfway && !["partially applied", "is not known"].iter().any(&says) {
        finding
            .violations
            .push(format!("exit code 3 hides that a script is partially applied: {}", ended.words()));
    }
    let claim = claim.as_str().map_or_else(|| claim.to_string(), str::to_owned);
    if claim != applied {
        finding.violations.push(format!(
            "the run said that the database is at {claim}, and it is at {applied} (exit code {}: {})",
            ended.code(),
            ended.words()
        ));
    }
    Ok(())
}

/// The command in `… run `resolve 2 --done` if …`.
fn way_out(stderr: &str) -> Option<&str> {
    stderr.split('`').find(|words| words.starts_with("resolve ") && words.ends_with(" --done"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_way_out_is_read() {
        let said = "error: …; then run `resolve 2 --done` if all of the script is in effect, or `resolve 2 --retry` if";
        assert_eq!(super::way_out(said), Some("resolve 2 --done"));
        assert_eq!(super::way_out("error: nothing"), None);
    }
}
