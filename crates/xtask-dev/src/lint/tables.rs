//! The tables of the documentation are those of the job: what it reads, how it ends and what can be typed is known in
//! `migration-core`, and a page that leaves something out, adds something or gives another default is told.

use std::collections::BTreeSet;

use migration_core::command::FLAGS;
use migration_core::variable::{SetBy, VARIABLES};
use migration_core::{Command, ExitCode};

use super::finding::Finding;
use super::tree::ProjectFiles;

pub(super) fn look(tree: &ProjectFiles) -> Vec<Finding> {
    let of = |path: &str, problems: fn(&str) -> Vec<String>| {
        let finding = |message| Finding { path: path.to_owned(), line: 1, message };
        problems(&tree.text(path)).into_iter().map(finding).collect::<Vec<_>>()
    };
    [of("docs/settings.md", settings), of("docs/exit-codes.md", exit_codes), of("docs/commands.md", commands)]
        .concat()
}

/// The rows of the first table of a page, cell by cell.
fn rows(page: &str) -> Vec<Vec<&str>> {
    let table = page.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let table = table.take_while(|line| line.starts_with('|'));
    table.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

fn names(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// What is in one and not in the other.
fn compare<T: Ord + ToString>(what: &str, here: &BTreeSet<T>, known: &BTreeSet<T>) -> Vec<String> {
    let missing = known.difference(here).map(|name| format!("{what} {} is missing", name.to_string()));
    let unknown = here.difference(known).map(|name| format!("the job has no {what} {}", name.to_string()));
    missing.chain(unknown).collect()
}

fn settings(page: &str) -> Vec<String> {
    let known = VARIABLES.iter().filter(|variable| variable.set_by == SetBy::Operator);
    let rows = rows(page);
    // A row may tell of other variables behind its own.
    let told = rows.iter().flat_map(|row| row.iter().take(2).flat_map(|cell| names(cell)));
    let is_variable = |name: &&str| VARIABLES.iter().any(|variable| variable.name == *name);
    let first = rows.iter().filter_map(|row| row.first()).flat_map(|cell| names(cell));
    let here: BTreeSet<_> = told.filter(is_variable).chain(first).collect();
    let mut problems = compare("setting", &here, &known.clone().map(|variable| variable.name).collect());
    for row in rows {
        let [of, .., default] = row.as_slice() else { continue };
        for (name, told) in names(of).zip(default.split(", ")) {
            let known = known.clone().find(|variable| variable.name == name).and_then(|known| known.default);
            // A default in words is told in other words there.
            if let Some(known) = known.filter(|known| !known.contains(' '))
                && !told.contains(known)
            {
                problems.push(format!("the default of {name} is {known}, not {told}"));
            }
        }
    }
    problems
}

fn exit_codes(page: &str) -> Vec<String> {
    let rows = rows(page);
    let codes = rows.iter().filter_map(|row| row.first()).flat_map(|cell| cell.split(", "));
    let here = codes.filter_map(|code| code.parse().ok()).collect();
    compare("exit code", &here, &ExitCode::ALL.into_iter().map(ExitCode::code).collect())
}

fn commands(page: &str) -> Vec<String> {
    let rows = rows(page);
    let first = rows.iter().filter_map(|row| row.first()).flat_map(|cell| names(cell));
    let here: BTreeSet<_> =
        first.filter_map(|name| name.split(' ').next()).filter(|name| !name.starts_with('-')).collect();
    let mut problems = compare("command", &here, &Command::ALL.into_iter().map(Command::name).collect());
    let is_told =
        |flag: &str| rows.iter().flatten().flat_map(|cell| names(cell)).any(|name| name.contains(flag));
    problems.extend(
        FLAGS.iter().filter(|flag| !is_told(flag.name)).map(|flag| format!("{} is missing", flag.name)),
    );
    problems
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_a_page_lacks_or_adds_is_named() {
        let row = |row: &str| format!("| a | b | c |\n|---|---|---|\n{row}\n");
        let problems = super::settings(&row("| `LOCK_TIMEOUT`, `LOCK_RETRIES`, `NO_SUCH` | x | 2s, 9 |"));
        assert!(problems.contains(&"the job has no setting NO_SUCH".to_owned()), "{problems:?}");
        assert!(problems.contains(&"setting MAX_BLOCKING is missing".to_owned()), "{problems:?}");
        assert!(problems.contains(&"the default of LOCK_RETRIES is 10, not 9".to_owned()), "{problems:?}");
        assert!(!problems.iter().any(|problem| problem.contains(" LOCK_TIMEOUT ")), "{problems:?}");
        let problems = super::exit_codes(&row("| 0, 1, 99 | x | |"));
        assert!(problems.contains(&"the job has no exit code 99".to_owned()), "{problems:?}");
        assert!(problems.contains(&"exit code 143 is missing".to_owned()), "{problems:?}");
        let problems = super::commands(&row("| `upgrade REVISION` | `--plan` | |"));
        assert!(problems.contains(&"command stamp is missing".to_owned()), "{problems:?}");
        assert!(problems.contains(&"--done is missing".to_owned()), "{problems:?}");
        assert!(!problems.iter().any(|problem| problem.contains("--plan")), "{problems:?}");
    }
}
