//! What somebody may have meant: misspelt words, and the words of other tools.

use crate::command::Command;
use crate::variable::{SetBy, VARIABLES};

/// Commands of other tools, each with what does the same here. Of Alembic, Flyway, Liquibase, sqlx-cli, dbmate, goose,
/// golang-migrate, Rails, Django and Atlas.
const COMMANDS: [(&[&str], &str); 11] = [
    (&["up", "migrate", "apply", "update", "deploy", "run"], "upgrade head"),
    (&["down", "rollback", "undo", "revert"], "downgrade -1"),
    (&["redo"], "downgrade -1, then upgrade +1"),
    (&["clean", "reset", "drop", "zero"], "downgrade base"),
    (&["status", "info", "show", "showmigrations", "list", "heads", "branches", "log"], "history"),
    (&["version", "where"], "current"),
    (&["validate", "verify", "check"], "current --check"),
    (&["baseline", "force", "fake", "mark"], "stamp REVISION"),
    (&["repair"], "stamp current, which records the new checksums of edited scripts"),
    (&["fix", "continue", "skip"], "resolve"),
    (
        &["revision", "new", "create", "add", "generate", "makemigrations"],
        "cargo xtask new-migration DESCRIPTION",
    ),
];

/// Revisions as other tools spell them.
const REVISIONS: [(&[&str], &str); 3] = [
    (&["heads", "latest", "last", "newest", "tip", "top", "max"], "head"),
    (&["zero", "none", "empty", "first", "start"], "base"),
    (&["now", "here"], "current"),
];

/// Options of other tools.
const OPTIONS: [(&[&str], &str); 2] =
    [(&["--dry-run", "--dryrun", "--show"], "--plan"), (&["-v", "--verbose"], "RUST_LOG=debug")];

/// Variables of other tools and other spellings, for what has no default.
const NAMES: [(&[&str], &str); 5] = [
    (&["POSTGRES_DATABASE", "POSTGRES_DBNAME", "POSTGRES_DB_NAME", "POSTGRES_NAME"], "POSTGRES_DB"),
    (&["POSTGRES_USERNAME", "POSTGRES_ROLE"], "POSTGRES_USER"),
    (&["POSTGRES_PASS", "POSTGRES_PWD", "POSTGRES_PASSWD"], "POSTGRES_PASSWORD"),
    (&["POSTGRES_HOSTNAME", "POSTGRES_SERVER", "POSTGRES_ADDRESS"], "POSTGRES_HOST"),
    (&["POSTGRES_URL", "POSTGRES_URI", "POSTGRES_DSN", "POSTGRESQL_URL"], "DATABASE_URL"),
];

/// What to type in place of a word that is no command.
pub fn command(typed: &str) -> Option<&'static str> {
    of_another_tool(typed, &COMMANDS).or_else(|| misspelt(typed, Command::ALL.map(Command::name)))
}

/// What to type in place of an option that does not exist.
pub fn option(typed: &str) -> Option<&'static str> {
    of_another_tool(typed, &OPTIONS)
}

/// What to type in place of a revision that names nothing.
pub fn revision(typed: &str) -> Option<&'static str> {
    of_another_tool(typed, &REVISIONS).or_else(|| misspelt(typed, ["head", "base", "current"]))
}

/// The setting that was meant by the name of a variable that is none.
///
/// A short name is like too many others, so a misspelling of one is not told.
pub fn variable(name: &str) -> Option<&'static str> {
    const SHORTEST: usize = 10;
    let settings = VARIABLES.iter().filter(|known| known.set_by == SetBy::Operator).map(|known| known.name);
    if VARIABLES.iter().any(|known| known.name == name) {
        return None;
    }
    let long = settings.filter(|known| known.len() >= SHORTEST);
    of_another_tool(name, &NAMES).or_else(|| misspelt(name, long).filter(|_| name.len() >= SHORTEST))
}

fn of_another_tool(typed: &str, table: &[(&[&str], &'static str)]) -> Option<&'static str> {
    let is_it = |word: &&str| word.eq_ignore_ascii_case(typed);
    table.iter().find(|(words, _)| words.iter().any(is_it)).map(|(_, ours)| *ours)
}

/// At most two letters are wrong, and at most a third of them; or capital where they should not be.
fn misspelt(typed: &str, known: impl IntoIterator<Item = &'static str>) -> Option<&'static str> {
    let distance =
        |word: &str| strsim::damerau_levenshtein(&typed.to_ascii_lowercase(), &word.to_ascii_lowercase());
    let (distance, word) = known.into_iter().map(|word| (distance(word), word)).min()?;
    (word != typed && distance <= 2.min(word.len() / 3)).then_some(word)
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_was_meant_is_found() {
        for (typed, meant) in [
            ("upgrad", Some("upgrade")),
            ("UPGRADE", Some("upgrade")),
            ("donwgrade", Some("downgrade")),
            ("status", Some("history")),
            ("Rollback", Some("downgrade -1")),
            ("revision", Some("cargo xtask new-migration DESCRIPTION")),
            ("fly", None),
        ] {
            assert_eq!(super::command(typed), meant, "{typed}");
        }
        for (typed, meant) in [
            ("heads", Some("head")),
            ("HEAD", Some("head")),
            ("haed", Some("head")),
            ("latest", Some("head")),
            ("x", None),
        ] {
            assert_eq!(super::revision(typed), meant, "{typed}");
        }
        for (name, meant) in [
            ("LOCK_TIMEUOT", Some("LOCK_TIMEOUT")),
            ("POSTGRES_DATABASE", Some("POSTGRES_DB")),
            ("POSTGRES_PASWORD", Some("POSTGRES_PASSWORD")),
            ("LOCK_TIMEOUT", None),
            ("MIGRATION_DIR", Some("MIGRATIONS_DIR")),
            ("POSTGRES_SSL", None),
            ("VERSION", None),
            ("INPUT", None),
            ("POSTGRES_PORT_5432_TCP", None),
            ("POSTGRES_SERVICE_HOST", None),
        ] {
            assert_eq!(super::variable(name), meant, "{name}");
        }
    }
}
