//! What is to be done: COMMAND, REVISION and the options that go with them.

use std::str::FromStr;
use std::time::Duration;

use crate::cli::Args;
use crate::cli::config::reader::{Reader, duration, quoted};
use crate::engine::task::{Check, Resolution};
use crate::engine::{Mode, Task};
use migration_core::{Command, Direction, OutOfOrder, Range, Revision, suggestion};

pub(super) enum Asked {
    Script(Direction, Range),
    Task(Task),
}

impl Reader<'_> {
    pub(super) fn task(&mut self, args: &Args) -> Option<Asked> {
        let Some(command) = args.command else {
            self.no_command(args.revision.as_deref());
            return None;
        };
        if args.has("--sql") && args.has("--plan") {
            self.wrong("--plan", "does not go with --sql, which runs nothing");
        }
        let revision = args.revision.clone().or_else(|| self.text("REVISION"));
        if let Some(sql) = args.value("--sql") {
            return self.script(command, sql, args.revision.as_deref());
        }
        let optional =
            args.is_typed && matches!(command, Command::Current | Command::History | Command::Resolve);
        if revision.is_none() && !optional {
            self.no_revision();
            return None;
        }
        let mode = if args.has("--plan") { Mode::Plan } else { Mode::Run };
        let order = if args.has("--allow-out-of-order") { OutOfOrder::Apply } else { OutOfOrder::Refuse };
        let task = match command {
            Command::Upgrade => Task::Upgrade(self.target(revision.as_deref()?)?, order, mode),
            Command::Downgrade => Task::Downgrade(self.target(revision.as_deref()?)?, mode),
            Command::Stamp => Task::Stamp(self.target(revision.as_deref()?)?, mode),
            Command::Resolve => {
                // From the environment a revision comes with every command.
                let named = match &args.revision {
                    Some(text) => Some(self.revision(text)?),
                    None => None,
                };
                Task::Resolve(named, self.resolution(args)?)
            }
            Command::History => Task::History(self.range(revision.as_deref())?),
            Command::Current => {
                let named = match &revision {
                    Some(text) => Some(self.revision(text)?),
                    None => None,
                };
                // From the environment a revision comes with every command.
                Task::Current(named.filter(|_| args.revision.is_some()), self.check(args)?)
            }
        };
        Some(Asked::Task(task))
    }

    /// Everything that is missing is told, and the revision is missing where the command is.
    fn no_command(&mut self, revision: Option<&str>) {
        let commands = format!("one of {}", Command::listed());
        if let Some(word) = self.required("COMMAND", &commands) {
            let tip = suggestion::command(&word).map(|ours| format!("; use {ours}")).unwrap_or_default();
            self.wrong("COMMAND", format!("{} is not {commands}{tip}", quoted(&word)));
        }
        if revision.is_none() && !self.is_set("REVISION") {
            self.no_revision();
        }
    }

    fn no_revision(&mut self) {
        self.wrong(
            "REVISION",
            "is missing; set it to head, base, current, +N, -N, a version or a description",
        );
    }

    fn script(&mut self, command: Command, range: &str, revision: Option<&str>) -> Option<Asked> {
        if let Some(revision) = revision {
            self.wrong("REVISION", format!("{} is one too many: --sql has its own", quoted(revision)));
        }
        let direction = if command == Command::Downgrade { Direction::Down } else { Direction::Up };
        let range: Range = range.parse().map_err(|problem: String| self.wrong("--sql", problem)).ok()?;
        for side in [&range.from, &range.to] {
            if side.is_relative_to_current() {
                self.wrong("--sql", format!("{side} depends on the database; name a version, head or base"));
            }
        }
        Some(Asked::Script(direction, range))
    }

    fn revision(&mut self, text: &str) -> Option<Revision> {
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
        match (args.has("--done"), args.has("--retry")) {
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
        let Some(wait) = args.value("--wait") else {
            return Some(if args.has("--check") {
                Check::FailIfPending(Duration::ZERO)
            } else {
                Check::Show
            });
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
