//! The report as text for people. Colours are in it always; whoever prints takes them out where
//! they are not wanted.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use foreign_text::one_line;
use migration_core::plan::groups;
use migration_core::state::Status;
use migration_core::summary::MigrationReport;
use migration_core::{Bookkeeping, Direction, Group, Report, StepReport, Transaction, wording};

use crate::cli::Error;

const GOOD: Style = AnsiColor::Green.on_default();
const WAITING: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const FAINT: Style = Style::new().dimmed();
const STRONG: Style = Style::new().bold();

pub(crate) fn heading(report: &Report) -> String {
    let (Some(command), Some(from), Some(to)) = (report.header.command, report.header.from, report.header.to)
    else {
        return String::new();
    };
    let count = wording::migrations(report.steps().len());
    format!("{STRONG}{command}{STRONG:#} from {from} to {to}: {count}\n{}", bookkeeping(report))
}

fn bookkeeping(report: &Report) -> String {
    let line = |known: &Bookkeeping| format!("{FAINT}{}{FAINT:#}\n", which_table(known));
    report.header.bookkeeping.as_ref().map(line).unwrap_or_default()
}

/// The same in a sentence.
pub(super) fn which_table(bookkeeping: &Bookkeeping) -> String {
    match bookkeeping {
        Bookkeeping::Found { bookkeeping } => format!("bookkeeping: {}", one_line(bookkeeping)),
        Bookkeeping::Planned { bookkeeping, search_path } => format!(
            "bookkeeping: {}, to be created: none was found on the search path ({})",
            one_line(bookkeeping),
            one_line(search_path)
        ),
        Bookkeeping::Missing { search_path, next, .. } => {
            let next = next.as_ref().map(|next| format!("; {}", one_line(next))).unwrap_or_default();
            format!("bookkeeping: none found on the search path ({}){next}", one_line(search_path))
        }
    }
}

pub(crate) fn committed(report: &Report, steps: &[&StepReport]) -> String {
    let width = width(report.steps());
    let mut text = String::new();
    for StepReport { version, description, direction, milliseconds, waited_milliseconds, .. } in steps {
        let verb = match direction {
            Direction::Up => "applied",
            Direction::Down => "reverted",
        };
        let (description, time) = (one_line(description), milliseconds.unwrap_or_default());
        let waited = waited_milliseconds.map(|waited| format!(", {waited} ms of it waiting for locks"));
        let waited = waited.unwrap_or_default();
        let _ = writeln!(
            text,
            "  {GOOD}{verb}{GOOD:#}  {version}  {description:width$}  {FAINT}{time:>6} ms{waited}{FAINT:#}"
        );
    }
    text
}

/// The steps of a plan, and where it commits.
pub(crate) fn plan(report: &Report, transaction: Transaction) -> String {
    let steps = report.steps();
    let groups = groups(steps, transaction, |step| step.transactional);
    let is_divided = groups.len() > 1 && transaction == Transaction::Run;
    let width = width(steps);
    let mut text = String::new();
    let mut line = |step: &StepReport, how: &str| {
        let verb = match step.direction {
            Direction::Up => "apply",
            Direction::Down => "revert",
        };
        let (version, description) = (step.version, one_line(&step.description));
        let _ = writeln!(
            text,
            "  {WAITING}{verb}{WAITING:#}  {version}  {description:width$}  {FAINT}{how}{FAINT:#}"
        );
    };
    for group in groups {
        match group {
            Group::Transactional([only]) => line(only, "in a transaction"),
            Group::Transactional([rest @ .., last]) => {
                rest.iter().for_each(|step| line(step, "in one transaction with the next"));
                line(last, "then commit");
            }
            Group::Transactional([]) => {}
            Group::NonTransactional(step) => match step.resumes_at {
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

pub(crate) fn done(report: &Report) -> String {
    let place = report.place();
    let steps = report.steps();
    if steps.is_empty() {
        return format!("nothing to do: the database is {STRONG}{place}{STRONG:#}\n{}", bookkeeping(report));
    }
    let time = report.took.as_millis();
    let count = wording::migrations(report.done());
    format!("{GOOD}done{GOOD:#}: {count} in {time} ms; the database is {STRONG}{place}{STRONG:#}\n")
}

pub(crate) fn recording(report: &Report) -> String {
    let line = |line: &String| format!("  {WAITING}record{WAITING:#}  {}\n", one_line(line));
    let lines: String = report.recorded.iter().flatten().map(line).collect();
    lines + &bookkeeping(report)
}

pub(crate) fn recorded(report: &Report) -> String {
    let done =
        if report.recorded.iter().flatten().next().is_none() { "nothing to record" } else { "recorded" };
    format!("{GOOD}{done}{GOOD:#}: the database is {STRONG}{}{STRONG:#}\n", report.place())
}

pub(crate) fn current(report: &Report) -> String {
    let place = report.place();
    let mut text = format!("{STRONG}{}{STRONG:#}\n", place.strip_prefix("at ").unwrap_or(&place));
    let others = report.migrations.iter().flatten().filter(|migration| migration.status != Status::Applied);
    for MigrationReport { version, description, status, .. } in others {
        let (style, description) = (style(*status), one_line(description));
        let _ = writeln!(text, "  {style}{}{style:#}  {version}  {description}", status.name());
    }
    text + &bookkeeping(report)
}

/// Every migration, newest first as in Alembic.
pub(crate) fn history(report: &Report) -> String {
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
    let widest = |width: &dyn Fn(&MigrationReport) -> usize| migrations.iter().map(width).max().unwrap_or(0);
    let width = widest(&|migration| label(migration).chars().count());
    let column = widest(&|migration| migration.status.name().len()).max("out of order".len());
    let mut text = String::new();
    for migration in migrations.iter().rev() {
        let MigrationReport { version, status, applied_at, milliseconds, .. } = migration;
        let (style, status, label) = (style(*status), status.name(), label(migration));
        let applied_at = applied_at.as_deref().map(one_line);
        let _ = match (applied_at, milliseconds) {
            (None, _) => writeln!(text, "{style}{status:column$}{style:#} {version}  {label}"),
            (Some(when), None) => {
                writeln!(
                    text,
                    "{style}{status:column$}{style:#} {version}  {label:width$}  {FAINT}{when}{FAINT:#}"
                )
            }
            (Some(when), Some(time)) => {
                writeln!(
                    text,
                    "{style}{status:column$}{style:#} {version}  {label:width$}  {FAINT}{when}, {time} ms{FAINT:#}"
                )
            }
        };
    }
    text + &bookkeeping(report)
}

pub(crate) fn error(error: &Error) -> String {
    format!("{BAD}error{BAD:#}: {error}\n")
}

pub(super) fn width(steps: &[StepReport]) -> usize {
    steps.iter().map(|step| one_line(&step.description).chars().count()).max().unwrap_or(0)
}

fn style(status: Status) -> Style {
    match status {
        Status::Applied => GOOD,
        Status::Pending => WAITING,
        Status::OutOfOrder | Status::Drifted | Status::Unknown | Status::PartiallyApplied => BAD,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use migration_core::{StepStatus, Version};

    use crate::postgres::bookkeeping::tests::info;
    use crate::postgres::{DatabaseInfo, Table};

    fn report(transactional: &[bool]) -> Report {
        let step = |(index, &transactional): (usize, &bool)| StepReport {
            version: Version(i64::try_from(index).unwrap() + 1),
            description: format!("step {index}"),
            direction: Direction::Up,
            transactional,
            resumes_at: None,
            status: StepStatus::Planned,
            milliseconds: None,
            waited_milliseconds: None,
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

    #[test]
    fn every_report_says_which_table_it_goes_by() {
        let none = "bookkeeping: none found on the search path (\"$user\", public)";
        assert_eq!(which_table(&info(&[]).found_bookkeeping()), none);
        assert_eq!(
            which_table(&info(&["svc_a"]).found_bookkeeping()),
            format!(
                "{none}; there is one in schema \"svc_a\", not on that path; if the history of this service is in \
                 another schema, make the role look there: ALTER ROLE \"monitor\" IN DATABASE \"shop\" SET search_path = \
                 THAT_SCHEMA"
            )
        );
        assert_eq!(
            which_table(&info(&[]).planned_bookkeeping()),
            "bookkeeping: \"public\".\"_sqlx_migrations\", to be created: none was found on the search path (\"$user\", public)"
        );
        let found = DatabaseInfo { bookkeeping: Some(Table::new_in("s")), ..info(&["t"]) };
        assert_eq!(found.planned_bookkeeping(), found.found_bookkeeping());
        assert_eq!(which_table(&found.found_bookkeeping()), "bookkeeping: \"s\".\"_sqlx_migrations\"");
    }
}
