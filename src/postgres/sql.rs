//! Names and quotes in our own SQL, and the sentences that it raises as errors.

/// Our own table, which exists while a no-transaction script is under way.
pub(crate) const PROGRESS: &str = "_run_migrations_progress";

/// What our queries raise, by casting it to a number: SQL has no RAISE.
pub(crate) const LOCK_LOST: &str = "the run lock was lost by process ";

/// The same, for a change of the bookkeeping that changed nothing.
pub(crate) const NOT_WRITTEN: &str = "the bookkeeping was not written for version ";

/// The same, for a table that is none of ours.
pub(crate) const NOT_ORDINARY: &str = "what is called so is not our table: ";

pub(crate) fn quoted_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A string literal. Backslashes go in as they are: `standard_conforming_strings` is on wherever
/// one is used.
pub(crate) fn quoted_literal(text: &str) -> String {
    if !text.contains(char::is_control) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    // A script of `--sql` is read on a terminal, and by CI.
    let escaped = text.chars().map(|c| match c {
        '\'' | '\\' => format!("\\{c}"),
        c if c.is_control() => format!("\\u{:04X}", u32::from(c)),
        c => c.to_string(),
    });
    format!("E'{}'", escaped.collect::<String>())
}
