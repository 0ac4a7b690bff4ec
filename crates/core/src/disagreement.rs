//! History and database disagree, so that no run is safe.

use foreign_text::one_line;

use crate::state::BOOKKEEPING;
use crate::version::Version;
use crate::wording::list;

/// In what they disagree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Disagreement {
    /// A no-transaction script stopped in the middle.
    #[error("{0}")]
    PartiallyApplied(PartiallyApplied),
    /// Files changed after they were applied.
    #[error(
        "applied migrations were edited:{}\n  put the files back as they were; or, if the database is as \
         the files say, record them anew with `stamp current`", list(.0)
    )]
    Drifted(Vec<String>),
    /// Rows without a file.
    #[error(
        "applied, but without a script here: {}; run the image that has the scripts, or bring them back", .0.join(", ")
    )]
    Unknown(Vec<String>),
    /// Files below the current revision that were never applied.
    #[error(
        "pending below the database's revision: {}; give them versions above it, or apply them as they are \
         with --allow-out-of-order", .0.join(", ")
    )]
    OutOfOrder(Vec<String>),
    /// The bookkeeping of other tools, and none of ours.
    #[error(
        "the database was migrated by {}, and has no {BOOKKEEPING} on the search path; if its schema is that of a migration \
         here, record that one with `stamp REVISION`; if the table belongs to another service, start with `stamp base`",
        .0.join(" and ")
    )]
    OtherTool(Vec<String>),
}

/// A tool, its table, the table's owner, and the revision that it says the database is at.
pub fn other_tool(tool: &str, table: &str, owner: &str, revision: &str) -> String {
    format!("{tool} (table {} of role {}, at {})", one_line(table), one_line(owner), one_line(revision))
}

/// A no-transaction script that stopped in the middle, and that a person has to look at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.because(""))]
pub struct PartiallyApplied {
    /// The migration.
    pub version: Version,
    /// `version (description)`
    pub label: String,
    /// Why a person has to look.
    pub why: String,
}

impl PartiallyApplied {
    /// The whole sentence, with what else went wrong.
    pub fn because(&self, more: &str) -> String {
        let Self { version, label, why } = self;
        format!(
            "the no-transaction script of {label} is partially applied and can't continue by itself: {}{more}; \
             look at the database, then finish the script by hand and run `resolve {version} --done`, or undo what it did and \
             run `resolve {version} --retry`",
            one_line(why)
        )
    }
}
