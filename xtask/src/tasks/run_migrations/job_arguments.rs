//! What is typed after `run-migrations`, made complete. Everything in it is the job's business but two questions:
//! were a command and a revision given, and does the job need a database for it?

use workspace::given::Mistakes;

const COMMANDS: [&str; 6] = ["upgrade", "downgrade", "current", "history", "stamp", "resolve"];

/// Options of the job whose value is the next word.
const VALUED: [&str; 2] = ["--sql", "--wait"];

fn is_offset(text: &str) -> bool {
    text.starts_with(['+', '-']) && text[1..].starts_with(|c: char| c.is_ascii_digit())
}

/// Where the words stand that are neither an option nor the value of one: the command, then the revision.
fn plain(words: &[String]) -> impl Iterator<Item = usize> {
    let is_value = |index: usize| index > 0 && VALUED.contains(&words[index - 1].as_str());
    let is_option = |word: &str| word.starts_with('-') && !is_offset(word);
    (0..words.len()).filter(move |index| !is_value(*index) && !is_option(&words[*index]))
}

/// Offline SQL names its own range.
fn is_offline(words: &[String]) -> bool {
    words.iter().any(|word| word == "--sql" || word.starts_with("--sql="))
}

/// `upgrade` where no command was given, `head` behind it where there is no revision.
pub fn complete(mut words: Vec<String>) -> Vec<String> {
    let (command, revision) = {
        let mut given = plain(&words);
        (given.next(), given.next())
    };
    let command = command.unwrap_or_else(|| {
        words.insert(0, "upgrade".to_owned());
        0
    });
    // A word that is no command goes to the job, which knows what is wrong with it.
    if words[command] == "upgrade" && revision.is_none() && !is_offline(&words) {
        words.insert(command + 1, "head".to_owned());
    }
    words
}

/// Help and offline SQL come from the job alone.
pub(super) fn needs_database(words: &[String]) -> bool {
    let is_help = |word: &String| ["-h", "--help", "-V", "--version"].contains(&word.as_str());
    !is_offline(words) && !words.iter().any(is_help)
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked<'a> {
    pub command: &'a str,
    pub revision: Option<&'a str>,
}

/// Finds command and revision. A pod may run twice, so a revision that depends on where the database is is refused.
pub fn asked(words: &[String]) -> anyhow::Result<Asked<'_>> {
    use anyhow::{Context, ensure};

    let mut given = plain(words).map(|index| words[index].as_str());
    let command = given.next().filter(|word| COMMANDS.contains(word)).with_context(|| {
        format!("no command among {:?}; use one of {}", words.join(" "), COMMANDS.join(", "))
    })?;
    let later: Vec<_> = given.collect();
    for revision in &later {
        let from_current = revision.strip_prefix("current").is_some_and(is_offset);
        ensure!(
            !is_offset(revision) && !from_current,
            "revision {revision} depends on where the database is, and in a cluster a pod may run twice; name a \
             version, `head`, `base`, or an offset from one of them"
        );
    }
    let revision = later.first().copied();
    let needs_one = ["upgrade", "downgrade", "stamp"].contains(&command) && !is_offline(words);
    ensure!(!needs_one || revision.is_some(), "{command} needs a revision to go to");
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
                (Ok(asked), Ok(expected)) => assert_eq!((asked.command, asked.revision), expected, "{typed}"),
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
            ("upgrade --plan", "upgrade head --plan"),
            ("upgrade +1 --plan", "upgrade +1 --plan"),
            ("downgrade -1", "downgrade -1"),
            ("downgrade", "downgrade"),
            ("current", "current"),
            ("history base:head", "history base:head"),
            ("--plan upgrade", "--plan upgrade head"),
            ("upgrade --plan +1", "upgrade --plan +1"),
            (
                "upgrade --plan --allow-out-of-order 20260608081522",
                "upgrade --plan --allow-out-of-order 20260608081522",
            ),
            ("--plan upgrade +1", "--plan upgrade +1"),
            ("upgrade -- +1", "upgrade -- +1"),
            ("upgrade --sql base:head", "upgrade --sql base:head"),
            ("--sql=base:head", "upgrade --sql=base:head"),
            ("downgrade --sql -1:head", "downgrade --sql -1:head"),
            ("upgrade --sql base:head +1", "upgrade --sql base:head +1"),
            ("current --check --wait 10m", "current --check --wait 10m"),
            ("--wait 10m current", "--wait 10m current"),
            ("--plan +1", "--plan +1"),
            ("+1 --plan", "+1 --plan"),
            ("upgrad head", "upgrad head"),
            ("--help", "upgrade head --help"),
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
