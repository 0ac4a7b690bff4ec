//! The fault campaign: the job is disturbed at every moment there is, and has to come to the same end.
//!
//! `scenario` has the migrations, `kind` the faults, `moment` when they come; `trial` is one injection from its
//! database to the independent check in `check`, `campaign` the servers and who works on them.

mod baseline;
mod campaign;
mod check;
mod disk;
mod exit_code;
mod finding;
mod inject;
mod job;
mod kind;
mod live;
mod lost_node;
mod moment;
mod network;
mod only;
mod probe;
mod proxy;
mod scenario;
mod server;
mod session;
mod table;
mod together;
mod trial;
mod wire;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;

use campaign::Campaign;
use image::binary;
use job::{Binaries, Program};
use kind::{Coverage, Kind};
pub(crate) use only::Only;
use scenario::Scenario;
use table::Table;
use workspace::process::Signals;
use workspace::project::Project;
use workspace::ui;

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) seed: u64,
    pub(crate) long: bool,
    pub(crate) only: Only,
}

pub(crate) async fn run(options: Options, project: &Project) -> anyhow::Result<ExitCode> {
    let job = binary::compile_beside_tests(project, "--bin", binary::JOB).await?;
    let application = binary::compile_beside_tests(project, "--example", "application").await?;
    let binaries = Binaries { job, application };
    let mut signals = Signals::listen()?;
    let stop = Arc::new(AtomicBool::new(false));
    let (own, stopped) = (project.clone(), Arc::clone(&stop));
    let mut work = tokio::task::spawn_blocking(move || options.run(&own, &binaries, &stopped));
    let table = tokio::select! {
        table = &mut work => table,
        _ = signals.next() => {
            stop.store(true, Ordering::Relaxed);
            work.await
        }
    };
    let table = table.context("a thread of xtask panicked")??;
    ui::result(&table.text());
    let interrupted = stop.load(Ordering::Relaxed);
    if interrupted {
        ui::warning("interrupted; the table holds what was tried until then");
    }
    let well = table.total().violations == 0 && !interrupted;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Options {
    fn run(&self, project: &Project, binaries: &Binaries, stop: &AtomicBool) -> anyhow::Result<Table> {
        let home = server::scratch(project)?;
        let scenarios: Vec<&Scenario> =
            scenario::all().filter(|scenario| self.only.wants_scenario(scenario.name)).collect();
        let program = Program::new(binaries, home.path(), &scenarios)?;
        let coverage = match (self.long, self.only.names_a_kind()) {
            (false, _) => Coverage::Bounded,
            (true, false) => Coverage::Long,
            (true, true) => Coverage::All,
        };
        let all = campaign::binaries(project, home.path(), &self.only)?;
        let campaign = Campaign::new(project, &program, self.seed, coverage, &self.only, stop);
        let kinds = Kind::ALL.into_iter().filter(|kind| self.only.wants_kind(*kind));
        let (sharing, alone): (Vec<Kind>, Vec<Kind>) = kinds.partition(|kind| kind.ground().is_none());
        std::thread::scope(|scope| {
            let own = scope.spawn(|| campaign.alone(&all, &scenarios, &alone));
            let shared = if sharing.is_empty() { Ok(()) } else { campaign.share(&all, &scenarios, &sharing) };
            own.join().map_err(|_| anyhow::anyhow!("a thread of the campaign panicked"))?;
            shared
        })?;
        Ok(campaign.table())
    }
}
