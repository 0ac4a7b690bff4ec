//! What `--help` says after the options, from the tables that the README is held to as well.

use std::fmt::Write as _;

use migration_core::ExitCode;
use migration_core::variable::{SetBy, VARIABLES, Variable};

const REVISIONS: &str = "\
Revisions: head, base, current, a version, a unique prefix of one, a whole
description, +N, -N, <revision>+N, <revision>-N.

Environment (an argument wins over COMMAND and REVISION; 0 is no limit):
";

const EXAMPLES: &str = "
Examples:
  run-migrations upgrade head            apply what is pending
  run-migrations upgrade head --plan     show what that would be
  run-migrations downgrade -1            take the last one back
  run-migrations current --check         exit 9 while something is pending
  run-migrations history base:head       everything, and how it stands
  run-migrations upgrade --sql base:head | psql -X -v ON_ERROR_STOP=1 …";

pub(super) fn after() -> String {
    let mut text = String::from(REVISIONS);
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
    text + EXAMPLES
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
