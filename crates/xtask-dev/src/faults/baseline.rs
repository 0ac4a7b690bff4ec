//! A scenario on a server, rehearsed: what a run without faults begins with, says and leaves.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};

use super::check::{self, DatabaseContent};
use super::job::{Ended, PATIENCE, Program, Running};
use super::moment::Seen;
use super::proxy::Proxy;
use super::scenario::Scenario;
use super::server::Server;

/// A scenario on a server: where its runs begin, how they go and what they leave without faults.
#[derive(Debug, Clone)]
pub(super) struct Baseline<'a> {
    pub(super) server: Arc<Server>,
    /// Which waits for it, where the fault wants one.
    pub(super) standby: Option<Arc<Server>>,
    pub(super) program: &'a Program,
    pub(super) scenario: &'a Scenario,
    pub(super) template: String,
    pub(super) seen: Vec<Seen>,
    pub(super) reference: DatabaseContent,
}

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
            reference: DatabaseContent::of(server, "template1")?,
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
        baseline.reference = DatabaseContent::of(server, &database)?;
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

    pub(super) fn command(&self, database: &str, port: u16, words: &[&str]) -> Command {
        let mut command = self.program.command(self.scenario, &self.server, port, database);
        command.args(words);
        command
    }

    pub(super) fn undisturbed(&self, database: &str, words: &[&str]) -> anyhow::Result<Ended> {
        let command = self.command(database, self.server.socket().port(), words);
        Running::start(command)?.end(PATIENCE)?.context("a run without faults has no end")
    }
}
