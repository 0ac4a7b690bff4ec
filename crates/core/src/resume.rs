//! Whether a no-transaction script that stopped in the middle can go on by itself.
//!
//! Only where that is safe: the script is the one that began, every statement before left the
//! session alone, and the next one either never began or is the build of a named index, of which
//! the catalog tells what became.

use crate::script::Prepared;
use crate::statement::{Concurrent, Statement};
use crate::version::{Checksum, Version};

/// An index that a concurrent statement makes or leaves behind, as the catalog has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// Its number in the catalog.
    pub oid: u32,
    /// Its name as the catalog has it.
    pub plain_name: String,
    /// Its name with its schema, quoted for SQL.
    pub name: String,
    /// Whether queries may use it.
    pub is_valid: bool,
    /// Whether another session holds the lock that builds, and vacuums, take.
    pub is_worked_on: bool,
}

impl Concurrent {
    /// Whether an index of the name it builds is one of these. Where the name isn't known, it may be.
    pub fn is_among(&self, indexes: &[Index]) -> bool {
        match self {
            Self::Build { name: Some(name), .. } => indexes.iter().any(|index| index.plain_name == *name),
            Self::Build { name: None, .. } | Self::Rebuild { .. } => true,
        }
    }

    /// Whether a later run can tell from the catalog what became of it: a build with a name that was free.
    pub fn is_told_later(&self, before: &[Index]) -> bool {
        matches!(self, Self::Build { name: Some(_), .. }) && !self.is_among(before)
    }

    /// Whether it left this one behind, where it has failed: an invalid one that was not there before,
    /// or was valid, until a rebuild put another in its place.
    pub fn has_left(&self, index: &Index, before: &[Index]) -> bool {
        let is_old = before.iter().any(|old| old.oid == index.oid && !old.is_valid);
        let is_called_so = match self {
            Self::Build { name: Some(name), .. } => index.plain_name == *name,
            Self::Build { name: None, .. } => true,
            Self::Rebuild { .. } => ["_ccnew", "_ccold"].iter().any(|end| index.plain_name.contains(end)),
        };
        !index.is_valid && !is_old && is_called_so
    }
}

/// A statement that began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// The migration.
    pub version: Version,
    /// Its place in the script, from 0.
    pub statement: usize,
    /// The checksum of the statement's text.
    pub checksum: Checksum,
    /// Whether there was an index of the name it builds before.
    pub index_existed: bool,
    /// Whether it ended.
    pub is_finished: bool,
}

impl Begun {
    /// Whether the statement is the one that began. Earlier versions recorded the checksum of the whole script.
    fn is_of(&self, statement: &Statement<'_>, prepared: &Prepared<'_>) -> bool {
        self.checksum == Checksum::of(statement.text) || self.checksum == prepared.checksum
    }
}

/// How far the record goes, and so where a run may go on.
#[derive(Debug, PartialEq, Eq)]
pub enum ResumePoint {
    /// All before this statement ended, and it never began.
    Next(usize),
    /// All before this statement ended; of itself it is known only that it began. The catalog tells.
    Building(usize, Concurrent),
}

/// Reads the record of a script; `None` is a script that sqlx's own tools began.
/// Why a person has to look.
pub fn resume_point(prepared: &Prepared<'_>, begun: Option<&[Begun]>) -> Result<ResumePoint, String> {
    let Some(begun) = begun else { return Err("nothing is recorded of its statements".to_owned()) };
    if prepared.script.is_transactional() {
        return Err("its script no longer begins with `-- no-transaction`".to_owned());
    }
    let statements = prepared.split();
    let version = prepared.step.migration.version;
    if begun.iter().enumerate().any(|(index, row)| row.statement != index || row.version != version) {
        return Err("the record of its statements has gaps".to_owned());
    }
    if begun.len() > statements.len() {
        let (count, of) = (begun.len(), statements.len());
        return Err(format!("{count} of its statements began, and by now it has only {of}"));
    }
    // Those that follow may be edited: they are what a failure asks to be fixed.
    if let Some(row) = begun.iter().find(|row| !row.is_of(&statements[row.statement], prepared)) {
        let statement = name(row.statement, &statements[row.statement]);
        return Err(format!("{statement} was edited after it had begun"));
    }
    let next = begun.iter().take_while(|row| row.is_finished).count();
    let of = statements.len();
    if let Some(index) = statements.iter().take(next).position(|statement| !statement.leaves_session_alone())
    {
        return Err(format!(
            "{next} of its {of} statements ended, and {} may have set what the rest relies on",
            name(index, &statements[index])
        ));
    }
    match begun.get(next) {
        None => Ok(ResumePoint::Next(next)),
        Some(row) => match statements[next].concurrent() {
            Some(Concurrent::Build { name: Some(name), table }) if !row.index_existed => {
                Ok(ResumePoint::Building(next, Concurrent::Build { name: Some(name), table }))
            }
            _ => Err(format!(
                "{} began and its end is not recorded: it and what follows it may or may not be in effect",
                name(next, &statements[next])
            )),
        },
    }
}

fn name(index: usize, statement: &Statement<'_>) -> String {
    format!("statement {} ({})", index + 1, statement.summary(6))
}

/// What to do about an index that was being built.
#[derive(Debug, PartialEq, Eq)]
pub enum Leftover {
    /// It is there and whole: the statement ended.
    Whole,
    /// Nothing is left.
    None,
    /// An invalid one, to be dropped first.
    Drop(String),
}

/// Tells from the catalog what became of a build: from the indexes of its table.
/// Why a person has to look.
pub fn leftover(build: &Concurrent, indexes: &[Index]) -> Result<Leftover, String> {
    let Concurrent::Build { name: Some(name), .. } = build else {
        return Err("the index that was being built has no name".to_owned());
    };
    match indexes.iter().find(|index| index.plain_name == *name) {
        None => Ok(Leftover::None),
        Some(Index { is_valid: true, .. }) => Ok(Leftover::Whole),
        Some(Index { name, is_worked_on: false, .. }) => Ok(Leftover::Drop(name.clone())),
        Some(Index { name, .. }) => {
            Err(format!("another session works on the table of {name}, which is invalid"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{History, Script};
    use crate::plan::Step;
    use crate::version::Direction;

    const SCRIPT: &str = "-- no-transaction\nCREATE TABLE t (a int);\nVACUUM t;\nCREATE INDEX CONCURRENTLY i ON t (a);\nSET x.y = 1;\nANALYZE t;\n";

    fn begun(rows: &[(usize, bool)]) -> Vec<Begun> {
        let texts: Vec<_> =
            crate::statement::split(SCRIPT).unwrap().iter().map(|it| it.text.to_owned()).collect();
        let row = |&(statement, is_finished): &(usize, bool)| Begun {
            version: Version(1),
            statement,
            checksum: Checksum::of(texts.get(statement).map_or(SCRIPT, String::as_str)),
            index_existed: false,
            is_finished,
        };
        rows.iter().map(row).collect()
    }

    fn reached(rows: &[Begun]) -> Result<ResumePoint, String> {
        recorded(Some(rows))
    }

    fn recorded(rows: Option<&[Begun]>) -> Result<ResumePoint, String> {
        let migration = &History::of(&[(1, "x")]).migrations()[0].clone();
        let prepared = Prepared {
            step: Step { migration, direction: Direction::Up },
            script: Script { path: migration.up.clone(), text: SCRIPT.to_owned() },
            checksum: Checksum::of(SCRIPT),
            statements: 5,
            schema_changes: 1,
            resumes_at: None,
        };
        resume_point(&prepared, rows)
    }

    #[test]
    fn goes_on_where_it_is_safe() {
        let done = |count: usize| (0..count).map(|index| (index, true)).collect::<Vec<_>>();
        assert_eq!(reached(&begun(&done(0))), Ok(ResumePoint::Next(0)), "it is recorded before it is sent");
        assert_eq!(reached(&begun(&done(1))), Ok(ResumePoint::Next(1)));
        assert_eq!(reached(&begun(&done(3))), Ok(ResumePoint::Next(3)));
        let building = begun(&[(0, true), (1, true), (2, false)]);
        let build = Concurrent::Build { name: Some("i".to_owned()), table: "t".to_owned() };
        assert_eq!(reached(&building), Ok(ResumePoint::Building(2, build)));
    }

    #[test]
    fn leaves_the_rest_to_a_person() {
        let existed = |rows: &[(usize, bool)]| {
            begun(rows).into_iter().map(|row| Begun { index_existed: true, ..row }).collect::<Vec<_>>()
        };
        let edited = vec![Begun { checksum: Checksum::of("other"), ..begun(&[(0, true)])[0].clone() }];
        assert_eq!(recorded(None).unwrap_err(), "nothing is recorded of its statements");
        for (rows, expected) in [
            (edited, "statement 1 (CREATE TABLE t (a int)) was edited after it had begun"),
            (
                begun(&[(0, true), (1, true), (2, true), (3, true), (4, true), (5, true)]),
                "6 of its statements began, and by now it has only 5",
            ),
            (begun(&[(0, true), (2, true)]), "has gaps"),
            (begun(&[(0, true), (1, false)]), "statement 2 (VACUUM t) began and its end is not recorded"),
            (
                existed(&[(0, true), (1, true), (2, false)]),
                "statement 3 (CREATE INDEX CONCURRENTLY i ON t) began",
            ),
            (begun(&[(0, true), (1, true), (2, true), (3, true)]), "statement 4 (SET x.y = 1) may have set"),
        ] {
            let why = reached(&rows).unwrap_err();
            assert!(why.contains(expected), "{why}");
        }
    }

    #[test]
    fn reads_the_catalog() {
        let build = Concurrent::Build { name: Some("i".to_owned()), table: "t".to_owned() };
        let index = |plain_name: &str, is_valid, is_worked_on| Index {
            oid: 1,
            plain_name: plain_name.to_owned(),
            name: format!("s.{plain_name}"),
            is_valid,
            is_worked_on,
        };
        let other = index("other", false, true);
        for (own, expected) in [
            (None, Ok(Leftover::None)),
            (Some(index("i", true, true)), Ok(Leftover::Whole)),
            (Some(index("i", false, false)), Ok(Leftover::Drop("s.i".to_owned()))),
            (
                Some(index("i", false, true)),
                Err("another session works on the table of s.i, which is invalid".to_owned()),
            ),
        ] {
            let indexes: Vec<_> = own.into_iter().chain([other.clone()]).collect();
            assert_eq!(leftover(&build, &indexes), expected);
        }
    }
}
