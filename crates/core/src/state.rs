//! The history held against the bookkeeping: where every version is.

use serde::{Deserialize, Serialize};

use crate::history::{History, Migration};
use crate::revision::Position;
use crate::version::{Checksum, Version};

/// sqlx's bookkeeping table.
pub const BOOKKEEPING: &str = "_sqlx_migrations";

/// A row of the bookkeeping table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The migration's version.
    pub version: Version,
    /// Its description when it was applied.
    pub description: String,
    /// When, in UTC, as `2026-11-05T09:00:00Z`.
    pub installed_on: String,
    /// False while a no-transaction script is partially applied.
    pub success: bool,
    /// The checksum of the up script that was applied.
    pub checksum: Checksum,
    /// How long it took, in nanoseconds; below zero where that isn't known.
    pub execution_time: i64,
}

/// How file and row of a version go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Applied, and the file is as it was.
    Applied,
    /// Not applied, above everything that is.
    Pending,
    /// Not applied, below something that is.
    OutOfOrder,
    /// Applied, but the file has changed since.
    Drifted,
    /// Applied, but there is no file.
    Unknown,
    /// A no-transaction script that began and did not end.
    #[serde(rename = "halfway")]
    PartiallyApplied,
}

impl Status {
    /// As people read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Pending => "pending",
            Self::OutOfOrder => "out of order",
            Self::Drifted => "drifted",
            Self::Unknown => "unknown",
            Self::PartiallyApplied => "partially applied",
        }
    }
}

/// One version, with the file and the row that speak of it; at least one is there.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The version.
    pub version: Version,
    /// Its file.
    pub migration: Option<&'a Migration>,
    /// Its row.
    pub applied: Option<&'a Applied>,
    /// What the two say together.
    pub status: Status,
}

impl Entry<'_> {
    /// The file's description, else the row's.
    pub fn description(&self) -> &str {
        match (self.migration, self.applied) {
            (Some(migration), _) => &migration.description,
            (None, Some(applied)) => &applied.description,
            (None, None) => "",
        }
    }

    /// `version (description)`
    pub fn label(&self) -> String {
        self.version.called(self.description())
    }
}

/// Every version of history and database, in order.
#[derive(Clone, Debug)]
pub struct State<'a> {
    entries: Vec<Entry<'a>>,
    applied: Vec<Version>,
}

impl<'a> State<'a> {
    /// Merges files and rows; `applied` is in version order.
    pub fn of(history: &'a History, applied: &'a [Applied]) -> Self {
        let mut files = history.migrations().iter().peekable();
        let mut rows = applied.iter().peekable();
        let mut entries = Vec::new();
        let done: Vec<Version> = applied.iter().filter(|row| row.success).map(|row| row.version).collect();
        let current = done.last().copied();
        loop {
            let version = match (files.peek(), rows.peek()) {
                (None, None) => break,
                (Some(file), None) => file.version,
                (None, Some(row)) => row.version,
                (Some(file), Some(row)) => file.version.min(row.version),
            };
            let migration = files.next_if(|file| file.version == version);
            let row = rows.next_if(|row| row.version == version);
            let status = match (migration, row) {
                (_, Some(row)) if !row.success => Status::PartiallyApplied,
                (None, _) => Status::Unknown,
                (Some(file), Some(row)) if file.checksum != row.checksum => Status::Drifted,
                (Some(_), Some(_)) => Status::Applied,
                (Some(_), None) if current.is_some_and(|current| version < current) => Status::OutOfOrder,
                (Some(_), None) => Status::Pending,
            };
            entries.push(Entry { version, migration, applied: row, status });
        }
        Self { entries, applied: done }
    }

    /// Every version, oldest first.
    pub fn entries(&self) -> &[Entry<'a>] {
        &self.entries
    }

    /// The versions of this status, oldest first.
    pub fn with(&self, status: Status) -> impl DoubleEndedIterator<Item = &Entry<'a>> {
        self.entries.iter().filter(move |entry| entry.status == status)
    }

    /// Versions whose script has yet to run, in or out of order.
    pub fn pending(&self) -> impl Iterator<Item = &Entry<'a>> {
        self.entries.iter().filter(|entry| matches!(entry.status, Status::Pending | Status::OutOfOrder))
    }

    /// The versions that are applied, in order.
    pub fn applied(&self) -> &[Version] {
        &self.applied
    }

    /// The highest applied version.
    pub fn position(&self) -> Position {
        Position::of(&self.applied)
    }
}

#[cfg(test)]
pub(crate) fn row(version: i64) -> Applied {
    Applied {
        version: Version(version),
        description: format!("row {version}"),
        installed_on: "2026-11-05T09:00:00Z".to_owned(),
        success: true,
        checksum: Checksum::of(&format!("SELECT {version};\n")),
        execution_time: 1_000_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status() {
        let history = History::of(&[(1, "a"), (2, "b"), (3, "c"), (5, "e"), (7, "g"), (8, "h")]);
        let drifted = Applied { checksum: Checksum::of("other"), ..row(3) };
        let partial = Applied { success: false, ..row(7) };
        let rows = [row(1), drifted, row(4), row(5), partial];
        let state = State::of(&history, &rows);
        let statuses: Vec<_> = state.entries().iter().map(|entry| (entry.version.0, entry.status)).collect();
        assert_eq!(
            statuses,
            [
                (1, Status::Applied),
                (2, Status::OutOfOrder),
                (3, Status::Drifted),
                (4, Status::Unknown),
                (5, Status::Applied),
                (7, Status::PartiallyApplied),
                (8, Status::Pending),
            ]
        );
        assert_eq!(state.position(), Position::At(Version(5)));
        assert_eq!(state.pending().count(), 2);
    }

    #[test]
    fn empty_database_is_at_base() {
        let history = History::of(&[(1, "a")]);
        let state = State::of(&history, &[]);
        assert_eq!(state.position(), Position::Base);
        assert_eq!(state.entries()[0].status, Status::Pending);
    }
}
