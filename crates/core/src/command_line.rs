//! What was typed, sorted: a command, its options, and what is neither. Options may stand before the command, and a
//! revision may begin with a minus sign.

use crate::command::FLAGS;

/// The words of a command line, each kind in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// The first word that is no option. It need not be the name of a command.
    pub command: Option<String>,
    /// The options, each with its value behind an equals sign.
    pub options: Vec<String>,
    /// The other words: a revision, and whatever is too many.
    pub revisions: Vec<String>,
}

impl CommandLine {
    /// Sorts the words, without the program's name. After `--` no word is an option.
    pub fn of(words: impl IntoIterator<Item = String>) -> Self {
        let mut line = Self::default();
        let mut words = words.into_iter();
        let mut may_be_option = true;
        while let Some(word) = words.next() {
            if may_be_option && word == "--" {
                may_be_option = false;
            } else if may_be_option && is_option(&word) {
                let takes_value = FLAGS.iter().any(|flag| flag.name == word && flag.value.is_some());
                let value = takes_value.then(|| words.next()).flatten();
                line.options.push(value.map_or(word.clone(), |value| format!("{word}={value}")));
            } else if line.command.is_none() {
                line.command = Some(word);
            } else {
                line.revisions.push(word);
            }
        }
        line
    }

    /// Whether an option was given, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.options.iter().any(|word| word.split_once('=').map_or(word.as_str(), |(name, _)| name) == name)
    }

    /// The words in an order that every parser of command lines understands.
    pub fn into_words(self) -> Vec<String> {
        let Self { command, options, revisions } = self;
        if revisions.iter().any(|revision| revision.starts_with('-')) {
            let separated = std::iter::once("--".to_owned()).chain(revisions);
            return command.into_iter().chain(options).chain(separated).collect();
        }
        command.into_iter().chain(revisions).chain(options).collect()
    }
}

/// `-1` and `-3:head` are revisions: no option begins with a digit.
fn is_option(word: &str) -> bool {
    word.strip_prefix('-').is_some_and(|rest| !rest.starts_with(|first: char| first.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_sorted() {
        for (typed, sorted) in [
            ("", ""),
            ("upgrade head", "upgrade head"),
            ("upgrade head --plan", "upgrade head --plan"),
            ("--plan upgrade head", "upgrade head --plan"),
            ("downgrade -1", "downgrade -- -1"),
            ("history -3:current", "history -- -3:current"),
            ("upgrade --plan -- +1", "upgrade +1 --plan"),
            ("--wait 10m current", "current --wait=10m"),
            ("downgrade --sql -1:head", "downgrade --sql=-1:head"),
            ("upgrade head --sql", "upgrade head --sql"),
            ("upgrade --sql=base:head +1", "upgrade +1 --sql=base:head"),
            ("upgrade --dry-run head", "upgrade head --dry-run"),
            ("current -v", "current -v"),
            ("--help", "--help"),
            ("upgrade head more", "upgrade head more"),
        ] {
            let words = typed.split_whitespace().map(str::to_owned);
            assert_eq!(CommandLine::of(words).into_words().join(" "), sorted, "{typed}");
        }
    }
}
