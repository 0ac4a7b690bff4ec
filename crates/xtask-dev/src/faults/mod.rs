//! The fault campaign: the job is disturbed at every moment there is, and has to come to the same end.
//!
//! `scenario` has the migrations, `kind` the faults, `moment` when they come; `disturb` is one injection from its
//! database to the independent check in `check`, `field` the servers and who works on them.

mod check;
mod disk;
mod disturb;
mod field;
mod job;
mod kind;
mod live;
mod lost_node;
mod moment;
mod network;
mod only;
mod proxy;
mod scenario;
mod server;
mod session;
mod strike;
mod table;
mod together;
mod visit;
mod wire;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;

use field::Field;
use image::binary;
use job::{Binaries, Program};
use kind::{Extent, Kind};
pub(crate) use only::Only;
use scenario::Scenario;
use table::Table;
use workspace::process::Signals;
use workspace::project::Project;
use workspace::ui;

/// What is wanted.
#[derive(Debug)]
pub(crate) struct Campaign {
    pub(crate) seed: u64,
    pub(crate) long: bool,
    pub(crate) only: Only,
}

/// Runs it; prints the table.
pub(crate) async fn run(campaign: Campaign, project: &Project) -> anyhow::Result<ExitCode> {
    let job = binary::compile_beside_tests(project, "--bin", binary::JOB).await?;
    let application = binary::compile_beside_tests(project, "--example", "application").await?;
    let binaries = Binaries { job, application };
    let mut signals = Signals::listen()?;
    let stop = Arc::new(AtomicBool::new(false));
    let (own, stopped) = (project.clone(), Arc::clone(&stop));
    let mut work = tokio::task::spawn_blocking(move || campaign.run(&own, &binaries, &stopped));
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

impl Campaign {
    fn run(&self, project: &Project, binaries: &Binaries, stop: &AtomicBool) -> anyhow::Result<Table> {
        let home = server::scratch(project)?;
        let scenarios: Vec<&Scenario> =
            scenario::all().filter(|scenario| self.only.wants_scenario(scenario.name)).collect();
        let program = Program::new(binaries, home.path(), &scenarios)?;
        let extent = match (self.long, self.only.names_a_kind()) {
            (false, _) => Extent::Bounded,
            (true, false) => Extent::Long,
            (true, true) => Extent::All,
        };
        let all = field::binaries(project, home.path(), &self.only)?;
        let field = Field::new(project, &program, self.seed, extent, &self.only, stop);
        let kinds = Kind::ALL.into_iter().filter(|kind| self.only.wants_kind(*kind));
        let (sharing, alone): (Vec<Kind>, Vec<Kind>) = kinds.partition(|kind| kind.ground().is_none());
        std::thread::scope(|scope| {
            let own = scope.spawn(|| field.alone(&all, &scenarios, &alone));
            let shared = if sharing.is_empty() { Ok(()) } else { field.share(&all, &scenarios, &sharing) };
            own.join().map_err(|_| anyhow::anyhow!("a thread of the campaign broke off"))?;
            shared
        })?;
        Ok(field.table())
    }
}
