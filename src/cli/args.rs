//! What was typed: a command with its revision and options, each known, not yet checked against the settings.

mod help;
mod tip;

use clap::builder::ArgAction;
use clap::{Arg, ArgMatches};
use foreign_text::one_line;
use migration_core::Command;
use migration_core::command::Flag;
use migration_core::command_line::CommandLine;

use crate::cli::Environment;

#[derive(Clone, Debug, Default)]
pub(crate) struct Args {
    pub(crate) command: Option<Command>,
    /// Whether the command was typed, and is not that of the environment.
    pub(crate) is_typed: bool,
    pub(crate) revision: Option<String>,
    /// The options that were given, by name, with their values.
    options: Vec<(&'static str, Option<String>)>,
}

impl Args {
    /// Sorts the words, without the program's name. Without a command among them that of the environment is taken.
    pub(crate) fn parse(
        words: impl IntoIterator<Item = String>,
        environment: &Environment,
    ) -> Result<Self, clap::Error> {
        let mut line = CommandLine::of(words);
        let is_typed = line.command.is_some();
        let of_environment = || environment.text("COMMAND").map(str::trim).and_then(Command::of);
        line.command = line.command.or_else(|| of_environment().map(|command| command.name().to_owned()));
        let mut program = program(environment);
        let words = std::iter::once("run-migrations".to_owned()).chain(line.clone().into_words());
        let matches =
            program.try_get_matches_from_mut(words).map_err(|error| tip::add(error, &line, &mut program))?;
        Ok(Self::of(&matches, is_typed))
    }

    fn of(matches: &ArgMatches, is_typed: bool) -> Self {
        let Some((name, given)) = matches.subcommand() else { return Self::default() };
        let command = Command::of(name);
        let flags = command.into_iter().flat_map(Command::flags);
        let options = flags.filter_map(|flag| match flag.value {
            Some(_) => Some((flag.name, Some(given.get_one::<String>(flag.name)?.clone()))),
            None => given.get_flag(flag.name).then_some((flag.name, None)),
        });
        Self {
            command,
            is_typed,
            revision: given.get_one::<String>(REVISION).cloned(),
            options: options.collect(),
        }
    }

    /// Whether an option was given.
    pub(crate) fn has(&self, flag: &str) -> bool {
        self.options.iter().any(|(name, _)| *name == flag)
    }

    /// The value of an option that was given.
    pub(crate) fn value(&self, flag: &str) -> Option<&str> {
        self.options.iter().find(|(name, _)| *name == flag).and_then(|(_, value)| value.as_deref())
    }
}

/// What `--help` prints.
pub(crate) fn help(environment: &Environment) -> String {
    format!("{}\n", program(environment).render_help())
}

const REVISION: &str = "revision";

/// The program's command line. Which version this is, the image's environment knows: the same binary serves many.
fn program(environment: &Environment) -> clap::Command {
    clap::Command::new("run-migrations")
        .about("Applies SQL migrations to PostgreSQL, exactly once, and says what it did")
        .version(&*version(environment).leak())
        .max_term_width(100)
        .subcommand_value_name("COMMAND")
        .subcommands(Command::ALL.map(subcommand))
        .disable_help_subcommand(true)
        .after_help(help::of_program())
}

fn subcommand(command: Command) -> clap::Command {
    let (name, about) = command.argument();
    let revision = Arg::new(REVISION).value_name(name).help(about);
    clap::Command::new(command.name())
        .about(command.about())
        .args(command.flags().map(option))
        .arg(revision)
        .after_help(help::of_command(command))
}

fn option(flag: &Flag) -> Arg {
    let long = flag.name.trim_start_matches('-');
    let option = Arg::new(flag.name).long(long).help(flag.about);
    match flag.value {
        Some(value) => option.value_name(value),
        None => option.action(ArgAction::SetTrue),
    }
}

fn version(environment: &Environment) -> String {
    let known = |name: &str| environment.text(name).filter(|text| *text != "unknown").map(one_line);
    let version = known("RUN_MIGRATIONS_VERSION").unwrap_or_else(|| "dev".to_owned());
    match (known("RUN_MIGRATIONS_COMMIT"), known("RUN_MIGRATIONS_CREATED")) {
        (Some(commit), Some(created)) => format!("{version} (commit {commit} of {created})"),
        (Some(commit), None) => format!("{version} (commit {commit})"),
        _ => version,
    }
}
