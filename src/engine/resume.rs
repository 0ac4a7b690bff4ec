//! Going on with a no-transaction script that an earlier run began.

use migration_core::resume::{self, Leftover, ResumePoint};
use migration_core::{Applied, Direction, PartiallyApplied, Prepared, Step, Version, script};

use crate::engine::{Context, Error, Event, Tracker};
use crate::postgres::batch::partially_applied;
use crate::postgres::batch::session::{WITH_LIMITS_AGAIN, WITHOUT_LIMITS};
use crate::postgres::{DatabaseError, Error as PostgresError, ScriptPath, Session};

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
    pub(super) async fn clean_up(
        &self,
        session: &mut Session,
        tracker: &mut Tracker<'_>,
    ) -> Result<(), Error> {
        tracker.tell(Event::Resumed(self.version, self.at + 1));
        let Some(index) = &self.leftover else { return Ok(()) };
        for sql in [
            WITHOUT_LIMITS.to_owned(),
            format!("DROP INDEX CONCURRENTLY IF EXISTS {index}"),
            WITH_LIMITS_AGAIN.to_owned(),
        ] {
            session.execute_patiently(sql).await.map_err(|failed| {
                Error::query("dropping the invalid index that an earlier run left", failed.error)
            })?;
        }
        tracker.tell(Event::DroppedIndex(index, "an earlier run"));
        Ok(())
    }
}

/// Looks for a script that is partially applied, and fails where a person has to look at it.
pub(super) async fn find(
    session: &mut Session,
    context: &Context<'_>,
    applied: &[Applied],
    direction: Direction,
) -> Result<Option<Resumed>, Error> {
    let Some(row) = applied.iter().find(|row| !row.success) else { return Ok(None) };
    let version = row.version;
    let stuck = |why: String| PartiallyApplied { version, label: version.called(&row.description), why };
    if partially_applied::direction(row.execution_time) != direction {
        let command = if direction == Direction::Up { "downgrade" } else { "upgrade" };
        return Err(stuck(format!("{command} began it, and can go on with it")).into());
    }
    let migration = match context.history.find(version) {
        // Of the script that stopped, its statements tell.
        Some(migration) if migration.checksum == row.checksum || direction == Direction::Up => migration,
        Some(_) => return Err(stuck("the script was edited since".to_owned()).into()),
        None => return Err(stuck("its script is not here".to_owned()).into()),
    };
    let prepared = script::one(Step { migration, direction })?;
    let looking = |source: DatabaseError| Error::query("reading how far a script came", source);
    let begun = match session.progress().await {
        // The table belongs to the role that began the script.
        Err(PostgresError::Refused(problem)) => {
            return Err(stuck(format!("how far it came can't be read: {problem}")).into());
        }
        begun => begun?,
    };
    let (at, leftover) = match resume::resume_point(&prepared, begun.as_deref()).map_err(stuck)? {
        ResumePoint::Next(next) => (next, None),
        ResumePoint::Building(next, build) => {
            let indexes = session.indexes_of(&build, ScriptPath::RolesOwn).await.map_err(looking)?;
            match resume::leftover(&build, &indexes).map_err(stuck)? {
                Leftover::Whole => (next + 1, None),
                Leftover::None => (next, None),
                Leftover::Drop(index) => (next, Some(index)),
            }
        }
    };
    Ok(Some(Resumed { version, direction, at, leftover }))
}

/// Reads and checks the scripts of a plan, the one to go on with among them.
pub(super) fn prepare<'a>(steps: &[Step<'a>], resumed: Option<&Resumed>) -> Result<Vec<Prepared<'a>>, Error> {
    let mut prepared = script::prepare(steps)?;
    let Some(resumed) = resumed else { return Ok(prepared) };
    match prepared.first_mut() {
        Some(first) if first.step.migration.version == resumed.version => {
            first.resumes_at = Some(resumed.at);
            Ok(prepared)
        }
        _ => Err(PartiallyApplied {
            version: resumed.version,
            label: resumed.version.to_string(),
            why: "the revision asked for leaves it so; ask for one that takes it to its end".to_owned(),
        }
        .into()),
    }
}
