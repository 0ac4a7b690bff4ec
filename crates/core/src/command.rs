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
    /// Which commands have it.
    pub commands: &'static [Command],
}

use Command::{Current, Downgrade, History, Resolve, Stamp, Upgrade};

/// Every option, and which commands have it.
pub const FLAGS: [Flag; 7] = [
    Flag { name: "--plan", value: None, commands: &[Upgrade, Downgrade, Stamp] },
    Flag { name: "--sql", value: Some("FROM:TO"), commands: &[Upgrade, Downgrade] },
    Flag { name: "--allow-out-of-order", value: None, commands: &[Upgrade] },
    Flag { name: "--check", value: None, commands: &[Current] },
    Flag { name: "--wait", value: Some("DURATION"), commands: &[Current] },
    Flag { name: "--done", value: None, commands: &[Resolve] },
    Flag { name: "--retry", value: None, commands: &[Resolve] },
];

impl Command {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 6] = [Upgrade, Downgrade, Current, History, Stamp, Resolve];

    /// As it is typed.
    pub fn name(self) -> &'static str {
        self.described().0
    }

    /// What it takes besides its options.
    pub fn arguments(self) -> &'static str {
        self.described().1
    }

    /// What it does, in a line.
    pub fn about(self) -> &'static str {
        self.described().2
    }

    fn described(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Upgrade => ("upgrade", "REVISION", "apply what is pending up to a revision"),
            Downgrade => ("downgrade", "REVISION", "take back what is applied above a revision"),
            Current => ("current", "", "say where the database is"),
            History => ("history", "[FROM:TO]", "say how every migration stands"),
            Stamp => ("stamp", "REVISION", "record a revision without running anything"),
            Resolve => ("resolve", "[VERSION]", "decide what the halfway script came to"),
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
