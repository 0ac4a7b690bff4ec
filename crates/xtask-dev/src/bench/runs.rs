//! The measurements themselves: every tool in turn, repetition by repetition, so that what disturbs one disturbs all.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::Context;

use super::generated::Generated;
use super::measure;
use super::report::{Bound, Figure, Report, RoundTrips, Time, median};
use super::round_trips::RoundTripCounter;
use super::tools::{Operation, Programs, Target, Tool};
use local_postgres::Address;
use workspace::process;

pub(super) struct Bench<'a> {
    pub(super) server: &'a Address,
    pub(super) programs: Programs,
    pub(super) tools: Vec<Tool>,
    /// How often: from empty, and what changes nothing.
    pub(super) repetitions: fn(usize) -> usize,
}

impl Bench<'_> {
    /// All operations with one set of migrations.
    pub(super) fn times(&self, migrations: &Generated, report: &mut Report) -> anyhow::Result<()> {
        let repetitions = (self.repetitions)(migrations.count);
        for operation in [Operation::Each, Operation::Run, Operation::Idle, Operation::Current] {
            let is_quick = matches!(operation, Operation::Idle | Operation::Current);
            let repetitions = if is_quick { repetitions * 3 } else { repetitions };
            let mut samples: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
            for repetition in 0..repetitions {
                for place in 0..self.tools.len() {
                    let Some(&tool) = self.tools.get((place + repetition) % self.tools.len()) else {
                        continue;
                    };
                    let target = self.target(tool, "disable");
                    let Some(mut command) = self.programs.command(tool, operation, migrations, &target)
                    else {
                        continue;
                    };
                    if !is_quick {
                        self.empty(&target.database)?;
                    }
                    samples.entry(tool.name()).or_default().push(measure::time(&mut command)?);
                }
            }
            report.times.push(Time { operation: operation.name(), migrations: migrations.count, samples });
        }
        Ok(())
    }

    /// What each operation waits for the server, with 10 and with 110 migrations.
    pub(super) fn round_trips(
        &self,
        few: &Generated,
        many: &Generated,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let proxy = RoundTripCounter::start(SocketAddr::from(([127, 0, 0, 1], self.server.port)))?;
        let mut found = vec![BTreeMap::new(); 4];
        for &tool in &self.tools {
            let target = Target { port: proxy.port(), ..self.target(tool, "disable") };
            let operations = [Operation::Each, Operation::Run, Operation::Idle, Operation::Current];
            for (counts, operation) in found.iter_mut().zip(operations) {
                let mut both = [0, 0];
                for (count, migrations) in both.iter_mut().zip([few, many]) {
                    let Some(mut command) = self.programs.command(tool, operation, migrations, &target)
                    else {
                        continue;
                    };
                    self.empty(&target.database)?;
                    if matches!(operation, Operation::Idle | Operation::Current)
                        && let Some(mut first) =
                            self.programs.command(tool, Operation::Each, migrations, &target)
                    {
                        measure::time(&mut first)?;
                    }
                    proxy.take();
                    measure::time(&mut command)?;
                    *count = proxy.take();
                }
                if both != [0, 0] {
                    counts.insert(tool.name(), (both[0], both[1]));
                }
            }
        }
        for (counts, operation) in
            found.into_iter().zip([Operation::Each, Operation::Run, Operation::Idle, Operation::Current])
        {
            report.round_trips.push(RoundTrips { operation: operation.name(), counts });
        }
        Ok(())
    }

    /// `current` with TLS and without: an acknowledgement that is delayed costs 40 ms at a time.
    pub(super) fn tls(&self, migrations: &Generated, report: &mut Report) -> anyhow::Result<()> {
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..(self.repetitions)(10) * 3 {
            for (times, ssl) in times.iter_mut().zip(["disable", "require"]) {
                let target = self.target(Tool::Job, ssl);
                let command = self.programs.command(Tool::Job, Operation::Current, migrations, &target);
                times.push(measure::time(&mut command.context("no job")?)?);
            }
        }
        let [plain, encrypted] = times.map(|times| median(&times).unwrap_or_default());
        report.figures.push(Figure::new("current with TLS and SCRAM", encrypted, "ms", None));
        report.figures.push(Figure::new(
            "TLS adds (a delayed ACK would add 40 or 80)",
            encrypted - plain,
            "ms",
            Some(Bound::AtMost(20.0)),
        ));
        Ok(())
    }

    pub(super) fn memory(&self, migrations: &Generated, report: &mut Report) -> anyhow::Result<()> {
        for (operation, name) in
            [(Operation::Each, "each"), (Operation::Run, "run"), (Operation::Idle, "nothing to do")]
        {
            let target = self.target(Tool::Job, "require");
            if operation != Operation::Idle {
                self.empty(&target.database)?;
            }
            let command = self.programs.command(Tool::Job, operation, migrations, &target);
            let peak = measure::peak_memory(&mut command.context("no job")?)?;
            report.figures.push(Figure::new(
                format!("peak memory, {} migrations over TLS, {name}", migrations.count),
                peak as f64 / 1e6,
                "MB",
                Some(Bound::AtMost(6.0)),
            ));
        }
        Ok(())
    }

    fn target(&self, tool: Tool, ssl: &'static str) -> Target<'_> {
        Target {
            server: self.server,
            port: self.server.port,
            database: format!("bench_{}", tool.name()),
            ssl,
        }
    }

    /// An empty database of this name, whatever was there.
    fn empty(&self, database: &str) -> anyhow::Result<()> {
        let mut psql = Command::new(&self.programs.psql);
        psql.env("PGHOST", &self.server.host)
            .env("PGPORT", self.server.port.to_string())
            .env("PGUSER", &self.server.user)
            .env("PGPASSWORD", self.server.password.expose())
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", "postgres"])
            .args(["-c", &format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)")])
            .args(["-c", &format!("CREATE DATABASE {database}")]);
        process::output(&mut psql).map(drop).context("cannot make an empty database")
    }
}
