//! Commands shown in documentation and scripts exist: each `cargo xtask …` line is held against the command line.

use clap::CommandFactory;

use super::finding::Finding;
use super::tree::ProjectFiles;
use xtask::cli::Xtask;

pub(super) fn look(tree: &ProjectFiles) -> Vec<Finding> {
    let documents = tree.matching(|path| {
        path.ends_with(".md")
            || path.starts_with(".ci/")
            || path.starts_with(".github/")
            || path.starts_with(".devcontainer/")
    });
    let found = documents.iter().flat_map(|path| {
        let text = tree.text(path);
        let wrong = text.lines().zip(1..).filter_map(|(line, number)| {
            let message = mistake(words(line)?)?;
            Some(Finding { path: path.clone(), line: number, message })
        });
        wrong.collect::<Vec<_>>()
    });
    found.collect()
}

/// The words after `cargo xtask` in a line that is a command; none in prose, and none where a placeholder stands.
fn words(line: &str) -> Option<Vec<String>> {
    let line =
        line.trim_start().trim_start_matches("- ").trim_start_matches("run: ").trim_start_matches("$ ");
    let (before, after) = line.split_once("cargo xtask ")?;
    // Variables may be set in front.
    if !before.split_whitespace().all(|word| word.contains('=')) {
        return None;
    }
    let end = ["#", "|", "&", ">", ";", "  "].iter().filter_map(|stop| after.find(stop)).min();
    let command = after.get(..end.unwrap_or(after.len()))?.trim_end_matches('\\').trim();
    let is_template = command.contains(['[', '<', '…', '`', '$']) || command.contains("...");
    let typed = split(command);
    let placeholder =
        |word: &String| word.len() > 2 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    (!is_template && !typed.is_empty() && !typed.iter().any(placeholder)).then_some(typed)
}

/// Words as a shell splits them, quotes taken off.
fn split(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in command.chars() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

fn mistake(words: Vec<String>) -> Option<String> {
    use clap::error::ErrorKind::{DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion};
    let typed = words.join(" ");
    let parsed = Xtask::command().try_get_matches_from(std::iter::once("xtask".to_owned()).chain(words));
    let error = parsed.err()?;
    if [DisplayHelp, DisplayVersion, DisplayHelpOnMissingArgumentOrSubcommand].contains(&error.kind()) {
        return None;
    }
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    Some(format!("`cargo xtask {typed}` can't be typed: {first}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_prose() {
        for (line, expected) in [
            ("cargo xtask run-migrations", Some("run-migrations")),
            (
                "    $ cargo xtask new-migration \"add contact city\"  # two scripts",
                Some("new-migration|add contact city"),
            ),
            ("      - run: cargo xtask lint", Some("lint")),
            ("RUST_LOG=debug cargo xtask run-migrations current | less", Some("run-migrations|current")),
            ("Then `cargo xtask lint` looks at everything.", None),
            ("cargo xtask TASK --help", None),
            ("cargo xtask run-migrations [COMMAND]", None),
        ] {
            assert_eq!(words(line).map(|words| words.join("|")).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn what_can_not_be_typed_is_named() {
        for (typed, mistaken) in [
            ("lint --fix", false),
            ("run-migrations downgrade -1", false),
            ("--help", false),
            ("lnit", true),
            ("lint --fxi", true),
        ] {
            assert_eq!(mistake(split(typed)).is_some(), mistaken, "{typed}");
        }
    }
}
