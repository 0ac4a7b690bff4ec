//! The report as text.

use std::fmt;
use std::io::{self, Write as _};

use anstyle::{AnsiColor, Style};

use super::{MigrationReport, Report, StepReport, StepStatus};
use crate::config::{Output, Transaction};
use crate::error::Error;
use crate::migration::Direction;
use crate::revision::Position;
use crate::run::{Group, at, groups};
use crate::standing::Status;

const GOOD: Style = AnsiColor::Green.on_default();
const WAITING: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const FAINT: Style = Style::new().dimmed();
const STRONG: Style = Style::new().bold();

/// Where text goes; nowhere when machines read stdout. A reader that has gone away is no reason to
/// stop a migration.
#[derive(Clone, Copy, Debug)]
pub struct Printer {
    output: Output,
}

impl Printer {
    /// For stdout.
    pub fn new(output: Output) -> Self {
        Self { output }
    }

    fn line(self, line: fmt::Arguments<'_>) {
        if self.output == Output::Text {
            write_line(anstream::stdout(), line);
        }
    }

    /// Prints text as it is.
    pub fn raw(self, text: &str) {
        let mut out = io::stdout().lock();
        if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            unwritable(&error);
        }
    }

    /// The whole, for machines.
    pub fn document(self, report: &Report, end: &Result<(), Error>) {
        if self.output == Output::Json {
            match report.to_json(end) {
                Ok(json) => write_line(anstream::stdout(), format_args!("{json}")),
                Err(error) => tracing::error!("the report can't be written: {error}"),
            }
        }
    }

    /// What is about to be done.
    pub fn heading(self, report: &Report) {
        let (Some(command), Some(from), Some(to), Some(steps)) =
            (report.command, report.from, report.to, &report.steps)
        else {
            return;
        };
        let count = crate::error::counted(steps.len(), "migration", "migrations");
        self.line(format_args!("{STRONG}{command}{STRONG:#} from {from} to {to}: {count}"));
    }

    /// A step that is committed.
    pub fn step(self, step: &StepReport, width: usize) {
        let verb = match step.direction {
            Direction::Up => "applied",
            Direction::Down => "taken back",
        };
        let time = step.milliseconds.unwrap_or_default();
        let StepReport { version, description, .. } = step;
        self.line(format_args!(
            "  {GOOD}{verb}{GOOD:#}  {version}  {description:width$}  {FAINT}{time:>6} ms{FAINT:#}"
        ));
    }

    /// The steps of a plan, and where it commits.
    pub fn plan(self, report: &Report, transaction: Transaction) {
        let steps = report.steps.as_deref().unwrap_or_default();
        let groups = groups(steps, transaction, |step| step.transactional);
        let several = groups.len() > 1;
        let width = width(steps);
        for group in groups {
            match group {
                Group::Together(steps) => {
                    steps.iter().for_each(|step| self.planned_step(step, width, "in a transaction"));
                    if several && transaction == Transaction::Run {
                        self.line(format_args!("  {FAINT}commit{FAINT:#}"));
                    }
                }
                Group::Alone(step) => {
                    self.planned_step(step, width, "without a transaction, statement by statement")
                }
            }
        }
        if several && transaction == Transaction::Run {
            self.line(format_args!(
                "a script without a transaction divides this run: it is not all or nothing"
            ));
        }
    }

    fn planned_step(self, step: &StepReport, width: usize, how: &str) {
        let verb = match step.direction {
            Direction::Up => "apply",
            Direction::Down => "take back",
        };
        let StepReport { version, description, .. } = step;
        self.line(format_args!(
            "  {WAITING}{verb}{WAITING:#}  {version}  {description:width$}  {FAINT}{how}{FAINT:#}"
        ));
    }

    /// What there was to do is done.
    pub fn done(self, report: &Report) {
        let place = at(report.current.unwrap_or(Position::Base), report.head.map(Position::At));
        let steps = report.steps.as_deref().unwrap_or_default();
        if steps.is_empty() {
            self.line(format_args!("nothing to do: the database is {STRONG}{place}{STRONG:#}"));
        } else {
            let time: u64 = steps.iter().filter_map(|step| step.milliseconds).sum();
            let count = steps.iter().filter(|step| step.status == StepStatus::Done).count();
            self.line(format_args!(
                "{GOOD}done{GOOD:#}: {} in {time} ms; the database is {STRONG}{place}{STRONG:#}",
                crate::error::counted(count, "migration", "migrations")
            ));
        }
    }

    /// What `stamp` and `resolve` recorded, or would.
    pub fn recorded(self, report: &Report) {
        for line in report.recorded.as_deref().unwrap_or_default() {
            self.line(format_args!("  {WAITING}record{WAITING:#}  {line}"));
        }
    }

    /// Where the bookkeeping says the database is now.
    pub fn stamped(self, report: &Report) {
        let place = at(report.current.unwrap_or(Position::Base), report.head.map(Position::At));
        let nothing = report.recorded.as_deref().unwrap_or_default().is_empty();
        let done = if nothing { "nothing to record" } else { "recorded" };
        self.line(format_args!("{GOOD}{done}{GOOD:#}: the database is {STRONG}{place}{STRONG:#}"));
    }

    /// Where the database is.
    pub fn current(self, report: &Report) {
        let current = report.current.unwrap_or(Position::Base);
        let place = at(current, report.head.map(Position::At));
        let place = place.strip_prefix("at ").unwrap_or(&place);
        self.line(format_args!("{STRONG}{place}{STRONG:#}"));
        for migration in report.migrations.as_deref().unwrap_or_default() {
            if migration.status == Status::Applied {
                continue;
            }
            let style = style(migration.status);
            let MigrationReport { version, description, status, .. } = migration;
            self.line(format_args!("  {style}{}{style:#}  {version}  {description}", status.name()));
        }
    }

    /// Every migration, newest first as in Alembic.
    pub fn history(self, report: &Report) {
        let migrations = report.migrations.as_deref().unwrap_or_default();
        let marks = |migration: &MigrationReport| match (migration.is_current, migration.is_head) {
            (true, true) => " (current, head)",
            (true, false) => " (current)",
            (false, true) => " (head)",
            (false, false) => "",
        };
        let label = |migration: &MigrationReport| format!("{}{}", migration.description, marks(migration));
        let width = migrations.iter().map(|migration| label(migration).chars().count()).max().unwrap_or(0);
        for migration in migrations.iter().rev() {
            let MigrationReport { version, status, applied_at, milliseconds, .. } = migration;
            let (style, name) = (style(*status), status.name());
            let when = match (applied_at, milliseconds) {
                (Some(at), Some(time)) => format!("{at}, {time} ms"),
                (Some(at), None) => at.clone(),
                (None, _) => String::new(),
            };
            let label = label(migration);
            let line = format!("{style}{name:12}{style:#} {version}  {label:width$}  {FAINT}{when}{FAINT:#}");
            self.line(format_args!("{}", line.trim_end()));
        }
    }
}

/// The width of the descriptions' column.
pub(super) fn width(steps: &[StepReport]) -> usize {
    steps.iter().map(|step| step.description.chars().count()).max().unwrap_or(0)
}

fn style(status: Status) -> Style {
    match status {
        Status::Applied => GOOD,
        Status::Pending => WAITING,
        Status::OutOfOrder | Status::Drifted | Status::Unknown | Status::Halfway => BAD,
    }
}

/// The error a run ended with, on stderr.
pub fn print_error(error: &Error) {
    write_line(anstream::stderr(), format_args!("{BAD}error{BAD:#}: {error}"));
}

fn write_line(mut out: impl io::Write, line: fmt::Arguments<'_>) {
    if let Err(error) = writeln!(out, "{line}").and_then(|()| out.flush()) {
        unwritable(&error);
    }
}

fn unwritable(error: &io::Error) {
    if error.kind() != io::ErrorKind::BrokenPipe {
        tracing::error!("stdout can't be written: {error}");
    }
}
