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
    let settings = VARIABLES.iter().filter(|variable| variable.set_by == SetBy::Operator).map(setting);
    let mut text = String::from(REVISIONS);
    text.extend(settings);
    text.push_str(
        "\n--sql reads MIGRATIONS_DIR alone; its script has the default LOCK_TIMEOUT.\n\nExit codes:\n",
    );
    let (left, right) = ExitCode::ALL.split_at(ExitCode::ALL.len().div_ceil(2));
    for (index, code) in left.iter().enumerate() {
        let line = match right.get(index) {
            Some(other) => {
                format!("{:>3} {:<29}{:>3} {}", code.code(), code.meaning(), other.code(), other.meaning())
            }
            None => format!("{:>3} {}", code.code(), code.meaning()),
        };
        let _ = writeln!(text, "{line}");
    }
    text + EXAMPLES
}

fn setting(variable: &Variable) -> String {
    const COLUMN: usize = 25;
    const WIDTH: usize = 80;
    let default = variable.default.map(|default| format!(" [{default}]")).unwrap_or_default();
    let mut lines = vec![format!("  {:22}", variable.name)];
    for word in format!("{}{default}", variable.purpose).split(' ') {
        let last = lines.last_mut().map_or(0, |line| line.chars().count());
        if last + 1 + word.chars().count() >= WIDTH || (lines.len() == 1 && last > COLUMN - 1) {
            lines.push(" ".repeat(COLUMN - 1));
        }
        if let Some(line) = lines.last_mut() {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines.join("\n") + "\n"
}
