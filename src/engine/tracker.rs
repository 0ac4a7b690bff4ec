//! Keeps the report while a run goes on, and tells the observer what is certain as soon as it is.

use std::time::{Duration, Instant};

use migration_core::plan::Plan;
use migration_core::{Direction, Position, Prepared, Report, StepReport, StepStatus, Version, wording};

use crate::engine::{Event, Observer, Section};

pub(crate) struct Tracker<'o> {
    pub(crate) report: Report,
    /// Whether a commit is under way: the server was told to, and has not answered. A script
    /// without a transaction commits all the time.
    pub(crate) in_doubt: bool,
    has_recorded: bool,
    started: Instant,
    observer: &'o mut dyn Observer,
}

impl<'o> Tracker<'o> {
    pub(crate) fn new(observer: &'o mut dyn Observer) -> Self {
        Self {
            report: Report::default(),
            in_doubt: false,
            has_recorded: false,
            started: Instant::now(),
            observer,
        }
    }

    pub(crate) fn tell(&mut self, event: Event<'_>) {
        self.observer.on(event);
    }

    pub(crate) fn show(&mut self, part: Section) {
        self.report.took = self.started.elapsed();
        self.observer.on(Event::Certain(part, &self.report));
    }

    pub(crate) fn warn(&mut self, warning: String) {
        self.tell(Event::Warning(&warning));
        self.report.warnings.push(warning);
    }

    pub(crate) fn planned(&mut self, plan: &Plan<'_>, prepared: &[Prepared<'_>]) {
        let step = |prepared: &Prepared<'_>| StepReport {
            version: prepared.step.migration.version,
            description: prepared.step.migration.description.clone(),
            direction: prepared.step.direction,
            transactional: prepared.script.is_transactional(),
            resumes_at: prepared.resumes_at.map(|index| index + 1),
            status: StepStatus::Planned,
            milliseconds: None,
            waited_milliseconds: None,
        };
        self.report.header.from = Some(plan.from);
        self.report.header.to = Some(plan.to);
        self.report.header.current = Some(plan.from);
        self.report.steps = Some(prepared.iter().map(step).collect());
    }

    fn steps_mut(&mut self) -> &mut [StepReport] {
        self.report.steps.as_deref_mut().unwrap_or_default()
    }

    fn mark(&mut self, from: StepStatus, to: StepStatus) {
        for step in self.steps_mut().iter_mut().filter(|step| step.status == from) {
            step.status = to;
        }
    }

    pub(crate) fn began(&mut self, prepared: &Prepared<'_>) {
        let step = prepared.step;
        let steps = self.report.steps();
        let index = steps.iter().position(|other| other.version == step.migration.version).unwrap_or(0);
        let migration = format!("{} {}", step.direction.doing(), step.migration.called());
        let of = steps.len();
        self.tell(Event::Began(&migration, index + 1, of));
    }

    /// An attempt met a lock, and the pause after it is over.
    pub(crate) fn waited(&mut self, version: Version, took: Duration) {
        if let Some(step) = self.steps_mut().iter_mut().find(|step| step.version == version) {
            let waited = step.waited_milliseconds.unwrap_or_default();
            step.waited_milliseconds = u64::try_from(took.as_millis()).ok().map(|took| waited + took);
        }
    }

    /// The last attempt took so long; of a script without a transaction, all of them.
    pub(crate) fn ran(&mut self, prepared: &Prepared<'_>, took: Duration) {
        let version = prepared.step.migration.version;
        if let Some(step) = self.steps_mut().iter_mut().find(|step| step.version == version) {
            step.status = StepStatus::Uncommitted;
            let before = step.waited_milliseconds.filter(|_| step.transactional).unwrap_or_default();
            step.milliseconds = u64::try_from(took.as_millis()).ok().map(|took| before + took);
        }
    }

    /// `stamp` or `resolve` has committed; the database is there now.
    pub(crate) fn recorded(&mut self, to: Position) {
        self.has_recorded = true;
        self.report.header.current = Some(to);
    }

    pub(crate) fn committed(&mut self) {
        let is_new = |step: &&StepReport| step.status == StepStatus::Uncommitted;
        let Some(last) = self.report.steps().iter().rposition(|step| is_new(&step)) else { return };
        let steps = self.report.steps();
        let position = match steps[last].direction {
            Direction::Up => self.report.header.current.max(Some(Position::At(steps[last].version))),
            // The plan goes down in order: the next step is what is highest now.
            Direction::Down => {
                steps.get(last + 1).map_or(self.report.header.to, |next| Some(Position::At(next.version)))
            }
        };
        let committed: Vec<_> = steps.iter().filter(is_new).collect();
        self.observer.on(Event::Committed(&self.report, &committed));
        self.mark(StepStatus::Uncommitted, StepStatus::Done);
        self.report.header.current = position;
    }

    /// The transaction was rolled back because of this step.
    pub(crate) fn discarded(&mut self, prepared: &Prepared<'_>) {
        self.mark(StepStatus::Uncommitted, StepStatus::RolledBack);
        self.failed(prepared);
    }

    pub(crate) fn failed(&mut self, prepared: &Prepared<'_>) {
        let version = prepared.step.migration.version;
        if let Some(step) = self.steps_mut().iter_mut().find(|step| step.version == version) {
            step.status = StepStatus::Failed;
        }
    }

    /// A failed step turned out to be committed after all.
    pub(crate) fn turned_out_committed(&mut self) {
        self.mark(StepStatus::RolledBack, StepStatus::Uncommitted);
        self.mark(StepStatus::Failed, StepStatus::Uncommitted);
        self.committed();
    }

    /// The server that answers now has these versions. Names the steps that were committed and are not in effect
    /// there.
    pub(crate) fn found(&mut self, applied: &[Version]) -> Vec<String> {
        let is_lost = |step: &StepReport| {
            step.status == StepStatus::Done
                && applied.contains(&step.version) != (step.direction == Direction::Up)
        };
        let mut lost = Vec::new();
        for step in self.steps_mut().iter_mut().filter(|step| is_lost(step)) {
            step.status = StepStatus::RolledBack;
            lost.push(step.version.called(&step.description));
        }
        if !lost.is_empty() {
            self.report.header.current = Some(Position::of(applied));
        }
        lost
    }

    /// How the database is now, for a sentence.
    pub(crate) fn state(&self) -> String {
        if self.report.header.current.is_none() {
            return "nothing was changed".to_owned();
        }
        let (place, done) = (self.report.place(), self.report.done());
        match (done, self.report.steps().len() - done) {
            _ if self.has_recorded => format!("it was recorded that the database is {place}"),
            (0, _) => format!("the database is {place}, as before this run"),
            (done, open) => {
                let done = wording::counted(done, "step", "steps");
                format!("the database is {place}: {done} of this run committed, {open} not")
            }
        }
    }
}
