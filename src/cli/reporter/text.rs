//! The report as text for people. Colours are in it always; whoever prints takes them out where
//! they are not wanted.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use foreign_text::one_line;

use super::{Bookkeeping, MigrationReport, Report, StepReport, StepStatus};
use crate::config::Transaction;
use crate::error::Error;
use crate::migration::Direction;
use crate::revision::Position;
use crate::run::{Group, at, groups};
use crate::standing::Status;
use crate::wording;

const GOOD: Style = AnsiColor::Green.on_default();
const WAITING: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const FAINT: Style = Style::new().dimmed();
const STRONG: Style = Style::new().bold();

/// What is about to be done.
pub fn heading(report: &Report) -> String {
    let (Some(command), Some(from), Some(to)) = (report.command, report.from, report.to) else {
        return String::new();
    };
    let count = wording::counted(report.steps().len(), "migration", "migrations");
    format!("{STRONG}{command}{STRONG:#} from {from} to {to}: {count}\n{}", bookkeeping(report))
}

/// Which table tells, or that there is none.
fn bookkeeping(report: &Report) -> String {
    let line = |bookkeeping: &Bookkeeping| format!("{FAINT}{bookkeeping}{FAINT:#}\n");
    report.bookkeeping.as_ref().map(line).unwrap_or_default()
}

/// Steps that are committed.
pub fn committed<'s>(steps: impl Iterator<Item = &'s StepReport>, width: usize) -> String {
    let mut text = String::new();
    for StepReport { version, description, direction, milliseconds, .. } in steps {
        let verb = match direction {
            Direction::Up => "applied",
            Direction::Down => "taken back",
        };
        let (description, time) = (one_line(description), milliseconds.unwrap_or_default());
        let _ = writeln!(
            text,
            "  {GOOD}{verb}{GOOD:#}  {version}  {description:width$}  {FAINT}{time:>6} ms{FAINT:#}"
        );
    }
    text
}

/// The steps of a plan, and where it commits.
pub fn plan(report: &Report, transaction: Transaction) -> String {
    let steps = report.steps();
    let groups = groups(steps, transaction, |step| step.transactional);
    let is_divided = groups.len() > 1 && transaction == Transaction::Run;
    let width = width(steps);
    let mut text = String::new();
    let mut line = |step: &StepReport, how: &str| {
        let verb = match step.direction {
            Direction::Up => "apply",
            Direction::Down => "take back",
        };
        let (version, description) = (step.version, one_line(&step.description));
        let _ = writeln!(
            text,
            "  {WAITING}{verb}{WAITING:#}  {version}  {description:width$}  {FAINT}{how}{FAINT:#}"
        );
    };
    for group in groups {
        match group {
            Group::Together([only]) => line(only, "in a transaction"),
            Group::Together([rest @ .., last]) => {
                rest.iter().for_each(|step| line(step, "in one transaction with the next"));
                line(last, "then commit");
            }
            Group::Together([]) => {}
            Group::Alone(step) => match step.resumes_at {
                Some(number) => line(step, &format!("without a transaction, from statement {number} on")),
                None => line(step, "without a transaction, statement by statement"),
            },
        }
    }
    if is_divided {
        text.push_str("a script without a transaction divides this run: it is not all or nothing\n");
    }
    text
}

/// What there was to do is done.
pub fn done(report: &Report) -> String {
    let place = place(report);
    let steps = report.steps();
    if steps.is_empty() {
        return format!("nothing to do: the database is {STRONG}{place}{STRONG:#}\n{}", bookkeeping(report));
    }
    let time: u64 = steps.iter().filter_map(|step| step.milliseconds).sum();
    let count = steps.iter().filter(|step| step.status == StepStatus::Done).count();
    let count = wording::counted(count, "migration", "migrations");
    format!("{GOOD}done{GOOD:#}: {count} in {time} ms; the database is {STRONG}{place}{STRONG:#}\n")
}

/// What `stamp` and `resolve` are about to record.
pub fn recording(report: &Report) -> String {
    let line = |line: &String| format!("  {WAITING}record{WAITING:#}  {}\n", one_line(line));
    let lines: String = report.recorded.iter().flatten().map(line).collect();
    lines + &bookkeeping(report)
}

/// Where the bookkeeping says the database is now.
pub fn recorded(report: &Report) -> String {
    let done =
        if report.recorded.iter().flatten().next().is_none() { "nothing to record" } else { "recorded" };
    format!("{GOOD}{done}{GOOD:#}: the database is {STRONG}{}{STRONG:#}\n", place(report))
}

/// Where the database is.
pub fn current(report: &Report) -> String {
    let place = place(report);
    let mut text = format!("{STRONG}{}{STRONG:#}\n", place.strip_prefix("at ").unwrap_or(&place));
    let others = report.migrations.iter().flatten().filter(|migration| migration.status != Status::Applied);
    for MigrationReport { version, description, status, .. } in others {
        let (style, description) = (style(*status), one_line(description));
        let _ = writeln!(text, "  {style}{}{style:#}  {version}  {description}", status.name());
    }
    text + &bookkeeping(report)
}

/// Every migration, newest first as in Alembic.
pub fn history(report: &Report) -> String {
    let migrations = report.migrations.as_deref().unwrap_or_default();
    let label = |migration: &MigrationReport| {
        let marks = match (migration.is_current, migration.is_head) {
            (true, true) => " (current, head)",
            (true, false) => " (current)",
            (false, true) => " (head)",
            (false, false) => "",
        };
        format!("{}{marks}", one_line(&migration.description))
    };
    let width = migrations.iter().map(|migration| label(migration).chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for migration in migrations.iter().rev() {
        let MigrationReport { version, status, applied_at, milliseconds, .. } = migration;
        let (style, status, label) = (style(*status), status.name(), label(migration));
        let applied_at = applied_at.as_deref().map(one_line);
        let _ = match (applied_at, milliseconds) {
            (None, _) => writeln!(text, "{style}{status:12}{style:#} {version}  {label}"),
            (Some(when), None) => {
                writeln!(
                    text,
                    "{style}{status:12}{style:#} {version}  {label:width$}  {FAINT}{when}{FAINT:#}"
                )
            }
            (Some(when), Some(time)) => {
                writeln!(
                    text,
                    "{style}{status:12}{style:#} {version}  {label:width$}  {FAINT}{when}, {time} ms{FAINT:#}"
                )
            }
        };
    }
    text + &bookkeeping(report)
}

/// The error a run ended with.
pub fn error(error: &Error) -> String {
    format!("{BAD}error{BAD:#}: {error}\n")
}

/// The width of the descriptions' column.
pub(super) fn width(steps: &[StepReport]) -> usize {
    steps.iter().map(|step| one_line(&step.description).chars().count()).max().unwrap_or(0)
}

fn place(report: &Report) -> String {
    at(report.current.unwrap_or(Position::Base), report.head.map(Position::At))
}

fn style(status: Status) -> Style {
    match status {
        Status::Applied => GOOD,
        Status::Pending => WAITING,
        Status::OutOfOrder | Status::Drifted | Status::Unknown | Status::Halfway => BAD,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migration::Version;

    fn report(transactional: &[bool]) -> Report {
        let step = |(index, &transactional): (usize, &bool)| StepReport {
            version: Version(i64::try_from(index).unwrap() + 1),
            description: format!("step {index}"),
            direction: Direction::Up,
            transactional,
            resumes_at: None,
            status: StepStatus::Planned,
            milliseconds: None,
        };
        Report { steps: Some(transactional.iter().enumerate().map(step).collect()), ..Report::default() }
    }

    #[test]
    fn a_plan_shows_where_it_commits() {
        let plain = |text: String| anstream::adapter::strip_str(&text).to_string();
        assert_eq!(
            plain(plan(&report(&[true, true, false, true]), Transaction::Run)),
            "  apply  1  step 0  in one transaction with the next
  apply  2  step 1  then commit
  apply  3  step 2  without a transaction, statement by statement
  apply  4  step 3  in a transaction
a script without a transaction divides this run: it is not all or nothing\n"
        );
        assert_eq!(
            plain(plan(&report(&[true, true]), Transaction::Each)),
            "  apply  1  step 0  in a transaction\n  apply  2  step 1  in a transaction\n"
        );
    }
}
