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

#[cfg(test)]
mod tests {
    use super::*;

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
