//! What the job can be asked to do, with the arguments of each.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Command {
    /// Apply what is pending.
    Upgrade,
    /// Undo what is applied.
    Downgrade,
    /// Say where the database is.
    Current,
    /// Say how every migration is.
    History,
    /// Record a revision without running anything.
    Stamp,
    /// Decide what a partially applied script came to.
    Resolve,
}

/// An option of some commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag {
    /// With its dashes.
    pub name: &'static str,
    /// What it takes, if anything.
    pub value: Option<&'static str>,
    /// What it does, in a line.
    pub about: &'static str,
    /// Which commands have it.
    pub commands: &'static [Command],
}

use Command::{Current, Downgrade, History, Resolve, Stamp, Upgrade};

/// Every option, and which commands have it.
pub const FLAGS: [Flag; 7] = [
    Flag {
        name: "--plan",
        value: None,
        about: "print the steps and stop",
        commands: &[Upgrade, Downgrade, Stamp],
    },
    Flag {
        name: "--sql",
        value: Some("FROM:TO"),
        about: "print a range as a psql script; needs no database",
        commands: &[Upgrade, Downgrade],
    },
    Flag {
        name: "--allow-out-of-order",
        value: None,
        about: "also apply what is pending below current",
        commands: &[Upgrade],
    },
    Flag { name: "--check", value: None, about: "exit 9 if migrations are pending", commands: &[Current] },
    Flag {
        name: "--wait",
        value: Some("DURATION"),
        about: "wait up to this long for them, then like --check",
        commands: &[Current],
    },
    Flag { name: "--done", value: None, about: "the whole script is in effect", commands: &[Resolve] },
    Flag { name: "--retry", value: None, about: "nothing of the script is in effect", commands: &[Resolve] },
];

impl Command {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 6] = [Upgrade, Downgrade, Current, History, Stamp, Resolve];

    /// As it is typed.
    pub fn name(self) -> &'static str {
        self.described().0
    }

    /// What it does, in a line.
    pub fn about(self) -> &'static str {
        self.described().1
    }

    /// The name of what it takes besides its options, and what that is for.
    pub fn argument(self) -> (&'static str, &'static str) {
        self.described().2
    }

    fn described(self) -> (&'static str, &'static str, (&'static str, &'static str)) {
        match self {
            Upgrade => (
                "upgrade",
                "apply the pending migrations up to a revision",
                ("REVISION", "the revision to go up to, such as head"),
            ),
            Downgrade => (
                "downgrade",
                "roll back the applied migrations down to a revision",
                ("REVISION", "the revision to go down to, such as -1 or base"),
            ),
            Current => (
                "current",
                "show which revision the database is at",
                ("REVISION", "has to exist, and has no other effect"),
            ),
            History => (
                "history",
                "list the migrations with the state of each",
                ("FROM:TO", "only the migrations above FROM, up to TO"),
            ),
            Stamp => (
                "stamp",
                "record a revision without running anything",
                ("REVISION", "the revision to record"),
            ),
            Resolve => (
                "resolve",
                "say whether a partially applied migration counts as applied",
                ("VERSION", "the partially applied migration"),
            ),
        }
    }

    /// The options it has.
    pub fn flags(self) -> impl Iterator<Item = &'static Flag> {
        FLAGS.iter().filter(move |flag| flag.commands.contains(&self))
    }

    /// The command of this name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|command| command.name() == name)
    }

    /// `upgrade, downgrade, current, history, stamp or resolve`
    pub fn listed() -> String {
        let [first @ .., last] = Self::ALL;
        format!("{} or {last}", first.map(Self::name).join(", "))
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
