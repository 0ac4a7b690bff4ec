//! What a run did: printed as it happens, and as a whole for machines.

mod bookkeeping;
mod print;
pub mod text;

use std::io;
use std::time::Duration;

use foreign_text::{Text, json};
use serde::Serialize;

use crate::database::DatabaseError;
use crate::error::{Error, ExitCode};
use crate::failure::{Excerpt, Failure};
use crate::migration::{Direction, Version};
use crate::plan::Plan;
use crate::revision::Position;
use crate::run::at;
use crate::script::Prepared;
use crate::standing::{Entry, Status};
use crate::wording;

pub use bookkeeping::{Bookkeeping, elsewhere, repoint};
pub use print::{Printer, print_error, print_lines};

/// Everything there is to say about a run; the JSON document on stdout.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// The command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<&'static str>,
    /// The database's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Where its history is kept.
    #[serde(flatten)]
    pub bookkeeping: Option<Bookkeeping>,
    /// Where the database was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Position>,
    /// Where it was to go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Position>,
    /// Where it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<Position>,
    /// The newest migration there is a script for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<Version>,
    /// The plan, and what became of each step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<StepReport>>,
    /// `current`: what is not simply applied; `history`: everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub migrations: Option<Vec<MigrationReport>>,
    /// `stamp` and `resolve`: what was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded: Option<Vec<String>>,
    /// What is odd, but did not stop the run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// The whole document: how it ended, and the report.
#[derive(Serialize)]
struct Document<'a> {
    outcome: &'static str,
    exit_code: u8,
    #[serde(flatten)]
    report: &'a Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorReport>,
}

/// The few facts that fit into a termination message.
#[derive(Debug, Serialize)]
pub struct Verdict {
    outcome: &'static str,
    exit_code: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<String>,
    #[serde(flatten)]
    bookkeeping: Option<Bookkeeping>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Position>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Position>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<Position>,
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<Version>,
    steps: usize,
    done: usize,
}

/// A step in the verdict's table.
#[derive(Debug, Serialize)]
pub struct VerdictRow {
    version: Version,
    description: String,
    status: StepStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    milliseconds: Option<u64>,
}

/// One step of the plan.
#[derive(Clone, Debug, Serialize)]
pub struct StepReport {
    /// The migration.
    pub version: Version,
    /// Its description.
    pub description: String,
    /// Which way.
    pub direction: Direction,
    /// Whether it has a transaction.
    pub transactional: bool,
    /// The statement it goes on with, from 1, where an earlier run began it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resumes_at: Option<usize>,
    /// What became of it.
    pub status: StepStatus,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<u64>,
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// Not reached.
    Planned,
    /// Ran, in a transaction that is still open.
    Uncommitted,
    /// Committed.
    Done,
    /// Ran, and was undone because a later step of its transaction failed, or because the server lost it.
    RolledBack,
    /// Stopped the run.
    Failed,
}

/// One migration in `history` and `current`.
#[derive(Clone, Debug, Serialize)]
pub struct MigrationReport {
    /// The version.
    pub version: Version,
    /// The description.
    pub description: String,
    /// How it stands.
    pub status: Status,
    /// When it was applied, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied_at: Option<String>,
    /// How long that took, where it was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<u64>,
    /// Whether this is where the database is.
    pub is_current: bool,
    /// Whether this is the newest with a script.
    pub is_head: bool,
}

#[derive(Serialize)]
struct ErrorReport {
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<Version>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", flatten)]
    excerpt: Option<Excerpt>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sqlstate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Whether it, or a value in the message, is left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    detail_hidden: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl From<&Error> for ErrorReport {
    fn from(error: &Error) -> Self {
        let mut report = Self {
            message: error.to_string(),
            version: None,
            file: None,
            excerpt: None,
            sqlstate: None,
            detail: None,
            detail_hidden: false,
            hint: None,
            state: None,
            next: None,
        };
        if let Error::Step(failure) = error {
            let Failure { version, path, excerpt, state, advice, .. } = failure.as_ref();
            report.message = failure.headline();
            report.version = Some(*version);
            report.file = Some(path.display().to_string());
            report.excerpt.clone_from(excerpt);
            report.state = Some(state.clone());
            report.next.clone_from(advice);
            if let DatabaseError::Server(error) = &failure.error {
                report.sqlstate = Some(error.sqlstate.clone());
                let exact = |text: &Option<Text>| text.as_ref().map(|text| text.exact().to_owned());
                report.detail = exact(&error.detail);
                report.hint = exact(&error.hint);
                report.detail_hidden = error.has_hidden_values;
            }
        }
        report
    }
}

impl Report {
    fn steps(&self) -> &[StepReport] {
        self.steps.as_deref().unwrap_or_default()
    }

    /// The document for machines.
    ///
    /// # Errors
    /// None that could be mended: every part is plain data.
    pub fn to_json(&self, end: &Result<(), Error>) -> serde_json::Result<String> {
        let code = exit_code(end);
        let document = serde_json::to_string_pretty(&Document {
            outcome: code.name(),
            exit_code: code as u8,
            report: self,
            error: end.as_ref().err().map(ErrorReport::from),
        })?;
        Ok(json(&document))
    }

    /// The last word.
    pub fn verdict(&self, end: &Result<(), Error>) -> Verdict {
        let code = exit_code(end);
        let steps = self.steps();
        Verdict {
            outcome: code.name(),
            exit_code: code as u8,
            command: self.command,
            database: self.database.clone(),
            bookkeeping: self.bookkeeping.clone(),
            from: self.from,
            to: self.to,
            current: self.current,
            head: self.head,
            steps: steps.len(),
            done: steps.iter().filter(|step| step.status == StepStatus::Done).count(),
        }
    }

    /// The steps that were reached: what is left of the table when nobody has the log.
    pub fn verdict_rows(&self) -> Vec<VerdictRow> {
        let reached = self.steps().iter().filter(|step| step.status != StepStatus::Planned);
        let row = |step: &StepReport| VerdictRow {
            version: step.version,
            description: step.description.clone(),
            status: step.status,
            milliseconds: step.milliseconds,
        };
        reached.map(row).collect()
    }
}

/// How the process ends.
pub fn exit_code(end: &Result<(), Error>) -> ExitCode {
    end.as_ref().err().map_or(ExitCode::Done, Error::exit_code)
}

impl MigrationReport {
    /// Of one version.
    pub fn of(entry: &Entry<'_>, current: Position, head: Option<Version>) -> Self {
        let milliseconds = |nanoseconds: i64| u64::try_from(nanoseconds).ok().map(|time| time / 1_000_000);
        Self {
            version: entry.version,
            description: entry.description().to_owned(),
            status: entry.status,
            applied_at: entry.applied.map(|applied| applied.installed_on.clone()),
            milliseconds: entry.applied.and_then(|applied| milliseconds(applied.execution_time)),
            is_current: current == Position::At(entry.version),
            is_head: head == Some(entry.version),
        }
    }
}

/// Keeps the report while a run goes on, and prints what is certain as soon as it is.
#[derive(Debug)]
pub struct Reporter {
    /// What is known so far.
    pub report: Report,
    /// Where text goes.
    pub printer: Printer,
    /// Whether a commit is under way: the server was told to, and has not answered. A script
    /// without a transaction commits all the time.
    pub in_doubt: bool,
    /// Whether `stamp` or `resolve` has committed.
    has_recorded: bool,
    /// Why stdout holds less than the report.
    unwritten: Option<io::Error>,
}

impl Reporter {
    /// Starts with nothing known.
    pub fn new(printer: Printer) -> Self {
        Self { report: Report::default(), printer, in_doubt: false, has_recorded: false, unwritten: None }
    }

    /// Says something odd, now and in the report.
    pub fn warn(&mut self, warning: String) {
        tracing::warn!("{warning}");
        self.report.warnings.push(warning);
    }

    /// The plan stands.
    pub fn planned(&mut self, plan: &Plan<'_>, prepared: &[Prepared<'_>]) {
        let step = |prepared: &Prepared<'_>| StepReport {
            version: prepared.step.migration.version,
            description: prepared.step.migration.description.clone(),
            direction: prepared.step.direction,
            transactional: prepared.script.is_transactional(),
            resumes_at: prepared.resumes_at.map(|index| index + 1),
            status: StepStatus::Planned,
            milliseconds: None,
        };
        self.report.from = Some(plan.from);
        self.report.to = Some(plan.to);
        self.report.current = Some(plan.from);
        self.report.steps = Some(prepared.iter().map(step).collect());
    }

    /// Prints a part of the report.
    pub fn show(&mut self, part: impl Fn(&Report) -> String) {
        self.written(self.printer.text(&part(&self.report)));
    }

    /// Keeps the first failure to write; a run goes on without its report.
    pub fn written(&mut self, written: io::Result<()>) {
        if let (Err(error), None) = (written, &self.unwritten) {
            tracing::error!("the report can't be written: {error}");
            self.unwritten = Some(error);
        }
    }

    /// A result that did not reach stdout is none, unless the database was changed: that stays true without it.
    ///
    /// # Errors
    /// [`Error::Unwritten`]
    pub fn delivered(&mut self) -> Result<(), Error> {
        let has_run = self.report.steps().iter().any(|step| step.status != StepStatus::Planned);
        let changed = has_run || self.report.recorded.is_some();
        match self.unwritten.take() {
            Some(source) if !changed => Err(Error::Unwritten(source)),
            _ => Ok(()),
        }
    }

    fn steps_mut(&mut self) -> &mut [StepReport] {
        self.report.steps.as_deref_mut().unwrap_or_default()
    }

    fn mark(&mut self, from: StepStatus, to: StepStatus) {
        for step in self.steps_mut().iter_mut().filter(|step| step.status == from) {
            step.status = to;
        }
    }

    /// A step ran; its transaction is still open.
    pub fn ran(&mut self, prepared: &Prepared<'_>, took: Duration) {
        let version = prepared.step.migration.version;
        if let Some(step) = self.steps_mut().iter_mut().find(|step| step.version == version) {
            step.status = StepStatus::Uncommitted;
            step.milliseconds = u64::try_from(took.as_millis()).ok();
        }
    }

    /// `stamp` or `resolve` has committed; the database is there now.
    pub fn recorded(&mut self, to: Position) {
        self.has_recorded = true;
        self.report.current = Some(to);
    }

    /// The transaction was committed.
    pub fn committed(&mut self) {
        let steps = self.report.steps();
        let is_new = |step: &&StepReport| step.status == StepStatus::Uncommitted;
        let Some(last) = steps.iter().rposition(|step| is_new(&step)) else { return };
        let position = match steps[last].direction {
            Direction::Up => self.report.current.max(Some(Position::At(steps[last].version))),
            // The plan goes down in order: the next step is what is highest now.
            Direction::Down => {
                steps.get(last + 1).map_or(self.report.to, |next| Some(Position::At(next.version)))
            }
        };
        let written = self.printer.text(&text::committed(steps.iter().filter(is_new), text::width(steps)));
        self.written(written);
        self.mark(StepStatus::Uncommitted, StepStatus::Done);
        self.report.current = position;
    }

    /// The transaction was rolled back because of this step.
    pub fn discarded(&mut self, prepared: &Prepared<'_>) {
        self.mark(StepStatus::Uncommitted, StepStatus::RolledBack);
        self.failed(prepared);
    }

    /// A step stopped the run.
    pub fn failed(&mut self, prepared: &Prepared<'_>) {
        let version = prepared.step.migration.version;
        if let Some(step) = self.steps_mut().iter_mut().find(|step| step.version == version) {
            step.status = StepStatus::Failed;
        }
    }

    /// A failed step turned out to be committed after all.
    pub fn turned_out_committed(&mut self) {
        self.mark(StepStatus::RolledBack, StepStatus::Uncommitted);
        self.mark(StepStatus::Failed, StepStatus::Uncommitted);
        self.committed();
    }

    /// The server that answers now has these versions. Names the steps that were committed and are not in effect
    /// there.
    pub fn found(&mut self, applied: &[Version]) -> Vec<String> {
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
            self.report.current = Some(applied.last().copied().map_or(Position::Base, Position::At));
        }
        lost
    }

    /// How the database stands, for a sentence.
    pub fn state(&self) -> String {
        let steps = self.report.steps();
        let done = steps.iter().filter(|step| step.status == StepStatus::Done).count();
        let Some(current) = self.report.current else { return "nothing was changed".to_owned() };
        let place = at(current, self.report.head.map(Position::At));
        match (done, steps.len() - done) {
            _ if self.has_recorded => format!("it was recorded that the database is {place}"),
            (0, _) => format!("the database is {place}, as before this run"),
            (done, open) => {
                let done = wording::counted(done, "step", "steps");
                format!("the database is {place}: {done} of this run committed, {open} not")
            }
        }
    }
}
