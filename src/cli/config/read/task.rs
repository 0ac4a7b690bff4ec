//! What is to be done: COMMAND, REVISION and the options that go with them.

use std::str::FromStr;
use std::time::Duration;

use super::super::{Check, Extent, Resolution, Task};
use super::{Reader, duration, quoted};
use crate::cli::Args;
use crate::migration::Direction;
use crate::plan::OutOfOrder;
use crate::revision::{Range, Revision};

const COMMANDS: &str = "upgrade, downgrade, current, history, stamp or resolve";

pub(super) enum Asked {
    Script(Direction, Range),
    Task(Task),
}

impl Reader<'_> {
    pub(super) fn task(&mut self, args: &Args) -> Option<Asked> {
        let from_arguments = args.command.is_some();
        let command = match &args.command {
            Some(command) => command.clone(),
            None => self.required("COMMAND", &format!("one of {COMMANDS}"))?,
        };
        let known = ["upgrade", "downgrade", "current", "history", "stamp", "resolve"];
        if !known.contains(&command.as_str()) {
            self.wrong("COMMAND", format!("{} is not one of {COMMANDS}", quoted(&command)));
            return None;
        }
        self.misplaced_flags(args, &command);
        let revision = args.revision.clone().or_else(|| self.text("REVISION"));
        if let Some(sql) = &args.sql {
            return self.script(&command, sql, args.revision.as_deref());
        }
        let optional = from_arguments && matches!(command.as_str(), "current" | "history" | "resolve");
        if revision.is_none() && !optional {
            self.wrong(
                "REVISION",
                "is missing; set it to head, base, current, +N, -N, a version or a description",
            );
            return None;
        }
        let extent = if args.plan { Extent::Plan } else { Extent::Run };
        let order = if args.allow_out_of_order { OutOfOrder::Apply } else { OutOfOrder::Refuse };
        let task = match command.as_str() {
            "upgrade" => Task::Upgrade(self.target(revision.as_deref()?)?, order, extent),
            "downgrade" => Task::Downgrade(self.target(revision.as_deref()?)?, extent),
            "stamp" => Task::Stamp(self.target(revision.as_deref()?)?, extent),
            "resolve" => {
                // From the environment a revision comes with every command.
                let named = match &args.revision {
                    Some(text) => Some(self.revision(text)?),
                    None => None,
                };
                Task::Resolve(named, self.resolution(args)?)
            }
            "history" => Task::History(self.range(revision.as_deref())?),
            _ => {
                if let Some(revision) = &revision {
                    self.revision(revision)?;
                }
                Task::Current(self.check(args)?)
            }
        };
        Some(Asked::Task(task))
    }

    fn misplaced_flags(&mut self, args: &Args, command: &str) {
        let flags = [
            ("--plan", args.plan, &["upgrade", "downgrade", "stamp"][..]),
            ("--sql", args.sql.is_some(), &["upgrade", "downgrade"]),
            ("--allow-out-of-order", args.allow_out_of_order, &["upgrade"]),
            ("--check", args.check, &["current"]),
            ("--wait", args.wait.is_some(), &["current"]),
            ("--done", args.done, &["resolve"]),
            ("--retry", args.retry, &["resolve"]),
        ];
        for (flag, given, commands) in flags {
            if given && !commands.contains(&command) {
                self.wrong(flag, format!("goes with {}, not with {command}", commands.join(", ")));
            }
        }
        if args.sql.is_some() && args.plan {
            self.wrong("--plan", "does not go with --sql, which runs nothing");
        }
    }

    fn script(&mut self, command: &str, range: &str, revision: Option<&str>) -> Option<Asked> {
        if let Some(revision) = revision {
            self.wrong("REVISION", format!("{} is one too many: --sql has its own", quoted(revision)));
        }
        let direction = if command == "downgrade" { Direction::Down } else { Direction::Up };
        let range: Range = range.parse().map_err(|problem: String| self.wrong("--sql", problem)).ok()?;
        for side in [&range.from, &range.to] {
            if side.is_relative_to_current() {
                self.wrong("--sql", format!("{side} depends on the database; name a version, head or base"));
            }
        }
        Some(Asked::Script(direction, range))
    }

    fn revision(&mut self, text: &str) -> Option<Revision> {
        if text.starts_with("--") {
            self.wrong(text, "is not an option here; --help lists them");
            return None;
        }
        let wrong = |problem: String| format!("{}: {problem}", quoted(text));
        Revision::from_str(text.trim()).map_err(|problem| self.wrong("REVISION", wrong(problem))).ok()
    }

    /// A revision to change the database to.
    fn target(&mut self, text: &str) -> Option<Revision> {
        let revision = self.revision(text)?;
        let is_offset = revision.is_relative_to_current() && revision != Revision::Current;
        if is_offset && self.environment.is_in_cluster() && !self.allows_relative {
            self.wrong(
                "REVISION",
                format!(
                    "{} is relative, and in a cluster a pod may run twice: name a version, or set \
                     ALLOW_RELATIVE=true",
                    quoted(text)
                ),
            );
            return None;
        }
        Some(revision)
    }

    fn range(&mut self, text: Option<&str>) -> Option<Range> {
        match text {
            None => Some(Range { from: Revision::Base, to: Revision::Head }),
            Some(text) if text.contains(':') => {
                let wrong = |problem: String| format!("{}: {problem}", quoted(text));
                text.trim().parse().map_err(|problem| self.wrong("REVISION", wrong(problem))).ok()
            }
            Some(text) => Some(Range { from: Revision::Base, to: self.revision(text)? }),
        }
    }

    fn resolution(&mut self, args: &Args) -> Option<Resolution> {
        match (args.done, args.retry) {
            (true, false) => Some(Resolution::Done),
            (false, true) => Some(Resolution::Retry),
            (both, _) => {
                let given = if both { "both were given" } else { "none was given" };
                self.wrong(
                    "resolve",
                    format!(
                        "needs either --done (all of the script is in effect) or --retry (none of it is); {given}"
                    ),
                );
                None
            }
        }
    }

    fn check(&mut self, args: &Args) -> Option<Check> {
        let Some(wait) = &args.wait else {
            return Some(if args.check { Check::FailIfPending(Duration::ZERO) } else { Check::Show });
        };
        match duration(wait) {
            Ok(wait) => Some(Check::FailIfPending(wait)),
            Err(problem) => {
                self.wrong("--wait", problem);
                None
            }
        }
    }
}
