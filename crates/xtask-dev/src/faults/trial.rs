//! One injection: a database, a run that meets the fault, an undisturbed run, and the check.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::check::{self, Content};
use super::inject::Injection;
use super::job::{Ended, Program, Running};
use super::kind::Kind;
use super::moment::{self, Moment, Seen};
use super::proxy::Proxy;
use super::scenario::{Halts, Scenario};
use super::server::Server;
use super::{live, lost_node, together};

/// A scenario on a server: where its runs begin, how they go and what they leave without faults.
#[derive(Debug, Clone)]
pub(super) struct Baseline<'a> {
    pub(super) server: Arc<Server>,
    /// Which waits for it, where the fault wants one.
    pub(super) standby: Option<Arc<Server>>,
    pub(super) program: &'a Program,
    pub(super) scenario: &'a Scenario,
    template: String,
    pub(super) seen: Vec<Seen>,
    reference: Content,
}

/// What an injection came to.
#[derive(Debug, Default)]
pub(super) struct Finding {
    /// Whether the run got as far as the moment.
    pub(super) reached: bool,
    pub(super) runs: usize,
    pub(super) violations: Vec<String>,
    /// How long somebody waited, where somebody looked.
    pub(super) longest_wait: Duration,
}

/// Longer than any run takes, the timeouts among it, also where the machine has much else to do.
pub(super) const PATIENCE: Duration = Duration::from_secs(180);

/// A migration that stands halfway on its way down is still there.
const APPLIED: &str = "SELECT max(version) FROM _sqlx_migrations WHERE success OR execution_time < -1";

const HALFWAY: &str = "SELECT count(*) FROM _sqlx_migrations WHERE NOT success";

const DELAY: Duration = Duration::from_millis(200);

impl<'a> Baseline<'a> {
    /// Makes the database the runs begin with, and lets one run go without faults.
    pub(super) fn record(
        server: &Arc<Server>,
        program: &'a Program,
        scenario: &'a Scenario,
    ) -> anyhow::Result<Self> {
        let template = format!("template {}", scenario.name);
        server.copy("template0", &template)?;
        let mut baseline = Self {
            server: Arc::clone(server),
            standby: None,
            program,
            scenario,
            template,
            seen: Vec::new(),
            reference: Content::of(server, "template1")?,
        };
        for words in scenario.before {
            let ended = baseline.undisturbed(&baseline.template, words)?;
            if ended.code() != 0 {
                bail!("{} can't even begin: {}", scenario.name, ended.words());
            }
        }
        let database = format!("reference {}", scenario.name);
        server.copy(&baseline.template, &database)?;
        let proxy = Proxy::start(server.socket(), None, Duration::ZERO)?;
        let command = baseline.command(&database, proxy.port(), scenario.words);
        let ended = Running::start(command)?.end(PATIENCE)?.context("a run without faults has no end")?;
        if ended.code() != 0 {
            bail!("{} fails without any fault: {}", scenario.name, ended.words());
        }
        baseline.seen = proxy.seen();
        baseline.reference = Content::of(server, &database)?;
        let violations = check::violations(server, &database, scenario, &baseline.reference)?;
        if !violations.is_empty() {
            bail!("{} without any fault: {}", scenario.name, violations.join("; "));
        }
        Ok(baseline)
    }

    /// The same on other servers, which hold the same.
    pub(super) fn moved(&self, server: &Arc<Server>, standby: Option<&Arc<Server>>) -> Self {
        Self { server: Arc::clone(server), standby: standby.map(Arc::clone), ..self.clone() }
    }

    /// A standby is read, and not written to.
    pub(super) fn look_at_standby(&self, standby: &Arc<Server>) -> anyhow::Result<()> {
        let there = self.moved(standby, None);
        let reference = format!("reference {}", self.scenario.name);
        for (database, words, code, said) in [
            (&reference, &["current"][..], 0, ""),
            (&reference, &["history"], 0, ""),
            (&self.template, self.scenario.words, 8, "the server is a standby"),
        ] {
            let ended = there.undisturbed(database, words)?;
            if ended.code() != code || !ended.stderr.contains(said) {
                bail!("{words:?} at a standby ended with exit code {}: {}", ended.code(), ended.words());
            }
        }
        Ok(())
    }

    /// The job on a database of this scenario.
    pub(super) fn command(&self, database: &str, port: u16, words: &[&str]) -> Command {
        let mut command = self.program.command(self.scenario, &self.server, port, database);
        command.args(words);
        command
    }

    fn undisturbed(&self, database: &str, words: &[&str]) -> anyhow::Result<Ended> {
        let command = self.command(database, self.server.socket().port(), words);
        Running::start(command)?.end(PATIENCE)?.context("a run without faults has no end")
    }

    /// Lets a run meet the fault and looks what comes of it.
    pub(super) fn disturb(
        &self,
        database: &str,
        kind: Kind,
        moment: Moment,
        seed: u64,
    ) -> anyhow::Result<Finding> {
        self.server.copy(&self.template, database)?;
        let mut finding = Finding { runs: 1, ..Finding::default() };
        match kind {
            Kind::Together | Kind::WithSqlx => together::run(self, database, kind, seed, &mut finding)?,
            Kind::LostNode => lost_node::run(self, database, seed, &mut finding)?,
            Kind::Reader | Kind::Dump | Kind::Writer => live::run(self, database, kind, seed, &mut finding)?,
            _ => self.meet(database, kind, moment, seed, &mut finding)?,
        }
        let after = match &self.standby {
            Some(standby) if kind == Kind::Promotion && finding.reached => &self.moved(standby, None),
            _ => self,
        };
        after.complete(database, &mut finding)?;
        if finding.violations.is_empty() {
            finding.violations = check::violations(&after.server, database, self.scenario, &self.reference)?;
        }
        after.server.drop_database(database)?;
        Ok(finding)
    }

    fn meet(
        &self,
        database: &str,
        kind: Kind,
        moment: Moment,
        seed: u64,
        finding: &mut Finding,
    ) -> anyhow::Result<()> {
        let (at, delay) = if kind == Kind::Delay { (None, DELAY) } else { (Some(moment), Duration::ZERO) };
        let proxy = Proxy::start(self.server.socket(), at, delay)?;
        let mut command = self.command(database, proxy.port(), self.scenario.words);
        if kind == Kind::NoConnections {
            // How long the crowd takes to come does not depend on the job.
            command.env("CONNECT_TIMEOUT", "60s");
        }
        let mut job = Running::start(command)?;
        finding.reached = kind == Kind::Delay;
        let mut injection = Injection::new(self, database, kind, moment, seed);
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
        let in_doubt = moment::is_in_doubt(&self.seen, moment);
        if !kind.allows(self.scenario, ended.code(), in_doubt) {
            finding.violations.push(format!(
                "the run ended with exit code {} after {:.1} s: {}",
                ended.code(),
                start.elapsed().as_secs_f64(),
                ended.words()
            ));
        }
        let teller = match &self.standby {
            Some(standby) if kind == Kind::Promotion && finding.reached => standby,
            _ => &self.server,
        };
        believe(teller, database, &ended, finding)
    }

    /// Undisturbed runs, and the way out where one names it, until nothing is left to do.
    fn complete(&self, database: &str, finding: &mut Finding) -> anyhow::Result<()> {
        for _ in 0..4 {
            finding.runs += 1;
            let ended = self.undisturbed(database, self.scenario.words)?;
            match (ended.code(), self.scenario.halts) {
                (0, _) => return Ok(()),
                (6, Halts::Until { repair }) => {
                    let Some(words) = way_out(&ended.stderr) else {
                        finding.violations.push(format!("exit code 6 names no way out: {}", ended.words()));
                        return Ok(());
                    };
                    self.server.sql(database, repair).context("the repair failed")?;
                    finding.runs += 1;
                    let words: Vec<_> = words.split(' ').collect();
                    let resolved = self.undisturbed(database, &words)?;
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
}

/// What a run says of the database must be so.
fn believe(server: &Server, database: &str, ended: &Ended, finding: &mut Finding) -> anyhow::Result<()> {
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
    if ended.code() == 3 && halfway && !["halfway", "is not known"].iter().any(&says) {
        finding.violations.push(format!("exit code 3 hides that a script stands halfway: {}", ended.words()));
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
