//! What is typed after `run-migrations`, made complete. Everything in it is the job's business but two questions:
//! were a command and a revision given, and does the job need a database for it?

use anyhow::{Context, ensure};

use migration_core::Command;
use migration_core::command_line::CommandLine;
use workspace::given::Mistakes;

/// What is answered without a command, and without a database.
const INFORMATION: [&str; 4] = ["-h", "--help", "-V", "--version"];

fn is_offset(text: &str) -> bool {
    text.starts_with(['+', '-']) && text[1..].starts_with(|c: char| c.is_ascii_digit())
}

/// `upgrade` where no command was given, `head` behind it where there is no revision.
pub fn complete(words: Vec<String>) -> Vec<String> {
    let mut line = CommandLine::of(words);
    if line.command.is_none() && INFORMATION.iter().any(|name| line.has(name)) {
        return line.into_words();
    }
    // An offset alone is where to go.
    if line.command.as_deref().is_some_and(is_offset) {
        line.revisions.splice(0..0, line.command.take());
    }
    let command = line.command.get_or_insert_with(|| Command::Upgrade.name().to_owned());
    // A word that is no command goes to the job, which knows what is wrong with it.
    if command == Command::Upgrade.name() && line.revisions.is_empty() && !line.has("--sql") {
        line.revisions.push("head".to_owned());
    }
    line.into_words()
}

/// Help and offline SQL come from the job alone.
pub(super) fn needs_database(words: &[String]) -> bool {
    let line = CommandLine::of(words.iter().cloned());
    !line.has("--sql") && !INFORMATION.iter().any(|name| line.has(name))
}

/// The job has no options of these names; before its command they are xtask's.
const OURS: [&str; 19] = [
    "--on",
    "--native",
    "--in-container",
    "--detach",
    "--verdict",
    "--yes",
    "--dry-run",
    "--image",
    "--platform",
    "--postgres-image",
    "--namespace",
    "--context",
    "--manifests",
    "--start-timeout",
    "--fleet",
    "--canary",
    "--parallel",
    "--max-failed",
    "--json",
];

/// Options of the task among the job's words.
pub(super) fn refuse_ours(words: &[String], mistakes: &mut Mistakes) {
    for word in words {
        let name = word.split_once('=').map_or(word.as_str(), |(name, _)| name);
        if OURS.contains(&name) {
            mistakes.add(name, "this is no option of the job; put it before the command");
        }
    }
}

/// What is asked of the job, as far as a cluster has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub command: Command,
    pub revision: Option<String>,
}

/// Finds command and revision. A pod may run twice, so a revision that depends on where the database is is refused.
pub fn asked(words: &[String]) -> anyhow::Result<Asked> {
    let line = CommandLine::of(words.iter().cloned());
    let command = line.command.as_deref().and_then(Command::of);
    let command = command.with_context(|| {
        format!("no command among {:?}; use one of {}", words.join(" "), Command::listed())
    })?;
    for revision in &line.revisions {
        let from_current = revision.strip_prefix("current").is_some_and(is_offset);
        ensure!(
            !is_offset(revision) && !from_current,
            "revision {revision} depends on where the database is, and in a cluster a pod may run twice; name a \
             version, `head`, `base`, or an offset from one of them"
        );
    }
    let revision = line.revisions.first().cloned();
    let needs_one = matches!(command, Command::Upgrade | Command::Downgrade | Command::Stamp);
    ensure!(!needs_one || line.has("--sql") || revision.is_some(), "{command} needs a revision to go to");
    Ok(Asked { command, revision })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_a_cluster_only_absolute_revisions_are_taken() {
        for (typed, expected) in [
            ("upgrade head", Ok(("upgrade", Some("head")))),
            ("upgrade --plan 20260608081522", Ok(("upgrade", Some("20260608081522")))),
            ("downgrade base", Ok(("downgrade", Some("base")))),
            ("upgrade head-1", Ok(("upgrade", Some("head-1")))),
            ("current --check", Ok(("current", None))),
            ("history base:head", Ok(("history", Some("base:head")))),
            ("resolve 5 --done", Ok(("resolve", Some("5")))),
            ("downgrade -1", Err("revision -1 depends on where the database is")),
            ("upgrade --plan -- -1", Err("revision -1 depends on where the database is")),
            ("upgrade --plan +1", Err("revision +1 depends on where the database is")),
            ("--allow-out-of-order upgrade --plan current+1", Err("revision current+1 depends")),
            ("upgrade head +1", Err("revision +1 depends on where the database is")),
            ("upgrade --sql base:head", Ok(("upgrade", None))),
            ("current --check --wait 10m", Ok(("current", None))),
            ("upgrade +2", Err("revision +2 depends on where the database is")),
            ("downgrade current-1", Err("revision current-1 depends on where the database is")),
            ("downgrade", Err("downgrade needs a revision to go to")),
            ("upgrad head", Err("no command among \"upgrad head\"")),
        ] {
            let words: Vec<_> = typed.split_whitespace().map(str::to_owned).collect();
            match (asked(&words), expected) {
                (Ok(asked), Ok(expected)) => {
                    assert_eq!((asked.command.name(), asked.revision.as_deref()), expected, "{typed}");
                }
                (Err(error), Err(message)) => {
                    assert!(error.to_string().starts_with(message), "{typed}: {error}");
                }
                (found, _) => panic!("{typed}: {found:?}"),
            }
        }
    }

    #[test]
    fn options_of_the_task_stand_before_the_command() {
        for (typed, told) in [
            ("upgrade head --plan", None),
            ("downgrade -1 --yes", Some("a setting is wrong: --yes: this is no option of the job")),
            ("upgrade head --image=a", Some("a setting is wrong: --image: ")),
            ("current --native --start-timeout 1m", Some("2 settings are wrong\n  --native: ")),
        ] {
            let words: Vec<_> = typed.split_whitespace().map(str::to_owned).collect();
            let mut mistakes = Mistakes::default();
            refuse_ours(&words, &mut mistakes);
            match (mistakes.or(Some(())), told) {
                (found, None) => assert!(found.is_ok(), "{typed}: {found:?}"),
                (found, Some(told)) => assert!(found.unwrap_err().to_string().starts_with(told), "{typed}"),
            }
        }
    }

    #[test]
    fn the_command_is_completed() {
        for (typed, complete) in [
            ("", "upgrade head"),
            ("--plan", "upgrade head --plan"),
            ("upgrade", "upgrade head"),
            ("upgrade +1 --plan", "upgrade +1 --plan"),
            ("downgrade -1", "downgrade -- -1"),
            ("downgrade", "downgrade"),
            ("current", "current"),
            ("history base:head", "history base:head"),
            ("--plan upgrade", "upgrade head --plan"),
            (
                "upgrade --plan --allow-out-of-order 20260608081522",
                "upgrade 20260608081522 --plan --allow-out-of-order",
            ),
            ("upgrade --sql base:head", "upgrade --sql=base:head"),
            ("--sql=base:head", "upgrade --sql=base:head"),
            ("current --check --wait 10m", "current --check --wait=10m"),
            ("--plan +1", "upgrade +1 --plan"),
            ("upgrad head", "upgrad head"),
            ("--help", "--help"),
            ("upgrade --help", "upgrade head --help"),
        ] {
            let words = typed.split_whitespace().map(str::to_owned).collect();
            assert_eq!(super::complete(words).join(" "), complete, "{typed}");
        }
    }

    #[test]
    fn help_needs_no_database() {
        for (typed, needs) in [
            ("upgrade head", true),
            ("upgrade --help", false),
            ("upgrade --sql base:head", false),
            ("--sql=base:head", false),
        ] {
            let words: Vec<_> = typed.split_whitespace().map(str::to_owned).collect();
            assert_eq!(needs_database(&words), needs, "{typed}");
        }
    }
}
