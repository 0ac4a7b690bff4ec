//! What `--help` says after the options, from the tables that the README is held to as well.

use std::fmt::Write as _;

use migration_core::variable::{SetBy, VARIABLES, Variable};
use migration_core::{Command, ExitCode};

const REVISIONS: &str = "\
Revisions: head, base, current, a version, a unique prefix of one, a whole
description, +N, -N, <revision>+N, <revision>-N.
";

const ENVIRONMENT: &str = "
Environment (an argument wins over COMMAND and REVISION; 0 is no limit):
";

/// After the options of a command.
pub(super) fn of_command(command: Command) -> String {
    let mut text = if command == Command::Resolve { String::new() } else { format!("{REVISIONS}\n") };
    text.push_str("Examples:\n");
    for (line, about) in examples(command) {
        let _ = writeln!(text, "  {:<38} {about}", format!("run-migrations {line}"));
    }
    text + "\n`run-migrations --help` lists the settings and the exit codes."
}

fn examples(command: Command) -> &'static [(&'static str, &'static str)] {
    match command {
        Command::Upgrade => &[
            ("upgrade head", "apply everything that is pending"),
            ("upgrade head --plan", "show what that would be"),
            ("upgrade +1", "apply the next migration"),
            ("upgrade --sql base:head", "print it as a script for psql"),
        ],
        Command::Downgrade => &[
            ("downgrade -1", "roll back the last migration"),
            ("downgrade base --plan", "show what rolling back all would be"),
        ],
        Command::Current => &[
            ("current --check", "exit 9 if migrations are pending"),
            ("current --wait 10m", "wait for another run to apply them"),
        ],
        Command::History => &[
            ("history", "list all migrations"),
            ("history current:head", "list those above the current revision"),
        ],
        Command::Stamp => &[
            ("stamp head", "adopt a database that has it all"),
            ("stamp current", "record the checksums of edited scripts"),
        ],
        Command::Resolve => &[
            ("resolve --done", "the whole script is in effect"),
            ("resolve --retry", "nothing of it is: run it again"),
        ],
    }
}

/// After the commands and options of the program.
pub(super) fn of_program() -> String {
    let mut text = [REVISIONS, ENVIRONMENT].concat();
    let is_setting = |variable: &&Variable| variable.set_by == SetBy::Operator;
    let settings: Vec<_> = VARIABLES.iter().filter(is_setting).collect();
    for together in settings.chunk_by(|one, next| one.purpose == next.purpose) {
        let names: Vec<_> = together.iter().map(|variable| variable.name).collect();
        text.push_str(&setting(&names.join(", "), together[0]));
    }
    text.push_str(
        "\n--sql reads MIGRATIONS_DIR alone; its script has the default LOCK_TIMEOUT.\n\nExit codes:\n",
    );
    let (left, right) = ExitCode::ALL.split_at(ExitCode::ALL.len().div_ceil(2));
    let column = |code: &ExitCode| format!("{:>3} {}", code.code(), code.meaning());
    for (index, code) in left.iter().enumerate() {
        let other = right.get(index).map(column).unwrap_or_default();
        let _ = writeln!(text, "{}", format!("{:<32}{other}", column(code)).trim_end());
    }
    text + "\n`run-migrations COMMAND --help` shows what a command takes, with examples."
}

/// Names in the first column, and what they are for in the second.
fn setting(names: &str, variable: &Variable) -> String {
    const COLUMN: usize = 25;
    const WIDTH: usize = 79;
    let indent = " ".repeat(COLUMN);
    let mut text = String::new();
    let mut line = format!("  {names:23}");
    if line.len() > COLUMN {
        let _ = writeln!(text, "{line}");
        line.clone_from(&indent);
    }
    let default = variable.default.map(|default| format!(" [{default}]")).unwrap_or_default();
    for word in format!("{}{default}", variable.purpose).split(' ') {
        if line.chars().count() + word.chars().count() > WIDTH {
            let _ = writeln!(text, "{}", line.trim_end());
            line.clone_from(&indent);
        }
        line.push_str(word);
        line.push(' ');
    }
    let _ = writeln!(text, "{}", line.trim_end());
    text
}
