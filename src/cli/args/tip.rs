//! What clap's errors are told besides: what was meant, in this program's words and not in clap's.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use migration_core::command::FLAGS;
use migration_core::command_line::CommandLine;
use migration_core::{Command, suggestion};

/// Adds the tip, if there is one. Clap's own is kept where it names an option that is alike.
pub(super) fn add(mut error: clap::Error, line: &CommandLine, program: &mut clap::Command) -> clap::Error {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let tip = match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let word = context(ContextKind::InvalidSubcommand).unwrap_or_default();
            let tip = unknown_command(&word);
            return program.error(error.kind(), format!("unknown command '{word}'\n\n  tip: {tip}"));
        }
        ErrorKind::UnknownArgument => {
            context(ContextKind::InvalidArg).and_then(|word| unknown_argument(&word, line))
        }
        ErrorKind::InvalidValue if line.has("--sql") => {
            Some("name the range, such as --sql base:head".to_owned())
        }
        _ => return error,
    };
    // Without one of ours, clap would say how to pass an unknown option as a revision.
    let tips = tip.into_iter().map(StyledStr::from).collect();
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    error
}

fn unknown_command(word: &str) -> String {
    match suggestion::command(word) {
        Some(ours) => format!("use {ours}"),
        None => format!("the commands are {}", Command::listed().replace(" or ", " and ")),
    }
}

fn unknown_argument(word: &str, line: &CommandLine) -> Option<String> {
    let name = word.split(['=', ' ']).next().unwrap_or(word);
    if let Some(flag) = FLAGS.iter().find(|flag| flag.name == name) {
        let commands: Vec<_> = flag.commands.iter().map(|command| command.name()).collect();
        let with = match line.command {
            Some(ref command) => format!(", not with {command}"),
            None => "; COMMAND is missing".to_owned(),
        };
        return Some(format!("{name} goes with {}{with}", commands.join(", ")));
    }
    if line.revisions.iter().any(|extra| extra == word) {
        return Some("a command takes one revision; quote a description that has spaces".to_owned());
    }
    suggestion::option(name).map(|ours| format!("use {ours}"))
}
