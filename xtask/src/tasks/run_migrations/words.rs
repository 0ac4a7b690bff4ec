//! What is typed after `run-migrations`, made complete. Everything in it is the job's business but two questions:
//! was a command given, and does the job need a database for it?

const COMMANDS: [&str; 6] = ["upgrade", "downgrade", "current", "history", "stamp", "resolve"];

/// `upgrade head` where no command was given, `head` where `upgrade` was given alone.
pub(super) fn complete(mut words: Vec<String>) -> Vec<String> {
    let named = words.iter().position(|word| COMMANDS.contains(&word.as_str()));
    let is_option =
        |word: &String| word.starts_with('-') && !word[1..].starts_with(|c: char| c.is_ascii_digit());
    match named {
        // A word that is no command goes to the job, which knows what is wrong with it.
        None if words.first().is_none_or(is_option) => {
            words.splice(0..0, ["upgrade".to_owned(), "head".to_owned()]);
        }
        Some(index) if words[index] == "upgrade" && words.get(index + 1).is_none_or(is_option) => {
            words.insert(index + 1, "head".to_owned());
        }
        _ => {}
    }
    words
}

/// Help and offline SQL come from the job alone.
pub(super) fn needs_database(words: &[String]) -> bool {
    !words.iter().any(|word| {
        ["-h", "--help", "-V", "--version", "--sql"].contains(&word.as_str()) || word.starts_with("--sql=")
    })
}

/// The job has no options of these names; before its command they are xtask's.
const OURS: [&str; 16] = [
    "--on",
    "--native",
    "--in-container",
    "--detach",
    "--yes",
    "--dry-run",
    "--image",
    "--platform",
    "--namespace",
    "--context",
    "--manifests",
    "--fleet",
    "--canary",
    "--parallel",
    "--max-failed",
    "--json",
];

/// An option of the task among the job's words.
pub(super) fn refuse_ours(words: &[String]) -> anyhow::Result<()> {
    for word in words {
        let name = word.split_once('=').map_or(word.as_str(), |(name, _)| name);
        anyhow::ensure!(!OURS.contains(&name), "{name} is no option of the job; put it before the command");
    }
    Ok(())
}

/// What is asked of the job, as far as a cluster has to know.
#[cfg(feature = "cloud")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked<'a> {
    pub(super) command: &'a str,
    pub(super) revision: Option<&'a str>,
}

/// Finds command and revision. A pod may run twice, so a revision that depends on where the database is is refused.
#[cfg(feature = "cloud")]
pub(super) fn asked(words: &[String]) -> anyhow::Result<Asked<'_>> {
    use anyhow::{Context, ensure};

    let index = words.iter().position(|word| COMMANDS.contains(&word.as_str()));
    let index = index.with_context(|| {
        format!("no command among {:?}; use one of {}", words.join(" "), COMMANDS.join(", "))
    })?;
    let is_offset =
        |text: &str| text.starts_with(['+', '-']) && text[1..].starts_with(|c: char| c.is_ascii_digit());
    let revision = words[index + 1..].iter().find(|word| !word.starts_with('-') || is_offset(word));
    if let Some(revision) = revision {
        let from_current = revision.strip_prefix("current").is_some_and(is_offset);
        ensure!(
            !is_offset(revision) && !from_current,
            "revision {revision} depends on where the database is, and in a cluster a pod may run twice; name a \
             version, `head`, `base`, or an offset from one of them"
        );
    }
    let command = words[index].as_str();
    let needs_one = ["upgrade", "downgrade", "stamp"].contains(&command);
    ensure!(!needs_one || revision.is_some(), "{command} needs a revision to go to");
    Ok(Asked { command, revision: revision.map(String::as_str) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "cloud")]
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
        for (typed, is_well) in [
            ("upgrade head --plan", true),
            ("downgrade -1 --yes", false),
            ("upgrade head --image=a", false),
            ("current --native", false),
        ] {
            let words: Vec<_> = typed.split_whitespace().map(str::to_owned).collect();
            assert_eq!(refuse_ours(&words).is_ok(), is_well, "{typed}");
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
            ("--transaction run upgrade", "--transaction run upgrade head"),
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
