//! Going on with a no-transaction script that an earlier run began.

use super::Place;
use crate::database::path::ScriptPath;
use crate::database::{DatabaseError, Session};
use crate::error::{Disagreement, Error};
use crate::message::halfway;
use crate::migration::{Direction, Migration, Version};
use crate::plan::Step;
use crate::resume::{self, Leftover, Reach};
use crate::script::{self, Prepared};
use crate::standing::Applied;

/// A script that can go on by itself.
#[derive(Debug)]
pub(super) struct Resumed {
    version: Version,
    direction: Direction,
    /// The statement to go on with, from 0.
    at: usize,
    /// An invalid index to drop first.
    leftover: Option<String>,
}

impl Resumed {
    /// The rows as if the script had not begun, so that the plan takes it up again.
    pub(super) fn before(&self, applied: &[Applied]) -> Vec<Applied> {
        let as_before = |row: &Applied| match (row.version == self.version, self.direction) {
            (false, _) => Some(row.clone()),
            (true, Direction::Up) => None,
            (true, Direction::Down) => Some(Applied { success: true, ..row.clone() }),
        };
        applied.iter().filter_map(as_before).collect()
    }

    /// Drops what the statement left that is about to be repeated.
    pub(super) async fn clean_up(&self, session: &mut Session) -> Result<(), Error> {
        tracing::info!("an earlier run began {}; going on with its statement {}", self.version, self.at + 1);
        let Some(index) = &self.leftover else { return Ok(()) };
        for sql in [
            crate::message::WITHOUT_LIMITS.to_owned(),
            format!("DROP INDEX CONCURRENTLY IF EXISTS {index}"),
            crate::message::WITH_LIMITS_AGAIN.to_owned(),
        ] {
            session.execute_patiently(sql).await.map_err(|completed| {
                Error::database("dropping the invalid index that an earlier run left", completed.error)
            })?;
        }
        tracing::info!("dropped {index}, which an earlier run left invalid");
        Ok(())
    }
}

/// Looks for a script that stands halfway.
///
/// # Errors
/// [`Disagreement::Halfway`] where one does that a person has to look at.
pub(super) async fn find(
    session: &mut Session,
    place: &Place<'_>,
    applied: &[Applied],
    direction: Direction,
) -> Result<Option<Resumed>, Error> {
    let Some(row) = applied.iter().find(|row| !row.success) else { return Ok(None) };
    let version = row.version;
    let halfway = |why: String| Disagreement::Halfway {
        version,
        label: version.called(&row.description),
        why,
        because: None,
    };
    if halfway::direction(row.execution_time) != direction {
        let command = if direction == Direction::Up { "downgrade" } else { "upgrade" };
        return Err(halfway(format!("{command} began it, and can go on with it")).into());
    }
    let migration = match place.history.find(version) {
        Some(migration) if migration.checksum == row.checksum => migration,
        Some(_) => return Err(halfway("the script was edited since".to_owned()).into()),
        None => return Err(halfway("its script is not here".to_owned()).into()),
    };
    let prepared = prepare_one(migration, direction)?;
    let looking = |source: DatabaseError| Error::database("reading how far a script came", source);
    let begun = match session.progress().await {
        // The table belongs to the role that began the script.
        Err(Error::Refused(problem)) => {
            return Err(halfway(format!("how far it came can't be read: {problem}")).into());
        }
        begun => begun?,
    };
    let (at, leftover) = match resume::reach(&prepared, begun.as_deref()).map_err(halfway)? {
        Reach::Next(next) => (next, None),
        Reach::Building(next, build) => {
            let indexes = session.indexes_of(&build, ScriptPath::RolesOwn).await.map_err(looking)?;
            match resume::leftover(&build, &indexes).map_err(halfway)? {
                Leftover::Whole => (next + 1, None),
                Leftover::None => (next, None),
                Leftover::Drop(index) => (next, Some(index)),
            }
        }
    };
    Ok(Some(Resumed { version, direction, at, leftover }))
}

fn prepare_one(migration: &Migration, direction: Direction) -> Result<Prepared<'_>, Error> {
    let mut prepared = script::prepare(&[Step { migration, direction }])?;
    prepared.pop().ok_or_else(|| Error::Defect("a step was not prepared".to_owned()))
}

/// Reads and checks the scripts of a plan, the one to go on with among them.
///
/// # Errors
/// Scripts that can't be used; a plan that passes the halfway script by.
pub(super) fn prepare<'a>(steps: &[Step<'a>], resumed: Option<&Resumed>) -> Result<Vec<Prepared<'a>>, Error> {
    let mut prepared = script::prepare(steps)?;
    let Some(resumed) = resumed else { return Ok(prepared) };
    match prepared.first_mut() {
        Some(first) if first.step.migration.version == resumed.version => {
            first.resumes_at = Some(resumed.at);
            Ok(prepared)
        }
        _ => Err(Disagreement::Halfway {
            version: resumed.version,
            label: resumed.version.to_string(),
            why: "the revision asked for leaves it so; ask for one that takes it to its end".to_owned(),
            because: None,
        }
        .into()),
    }
}
