//! What a concurrent build that failed leaves behind: an invalid unique index rejects the site's writes.

use std::time::Duration;

use migration_core::resume::Index;
use migration_core::statement::Concurrent;

use crate::engine::non_transactional::part::{Left, Part, ScriptState};
use crate::engine::{Error, Event, Runner};
use crate::postgres::{FailedQuery, ScriptPath};

/// How long the removal of an invalid index may take when a build has failed: it waits for every
/// transaction that uses the table, and a signal may have come.
const DROP_LIMIT: &str = "SET lock_timeout = 0; SET statement_timeout = '10s'";

/// How long the server may take to say that it came to that limit.
const DROP_PATIENCE: Duration = Duration::from_secs(15);

impl Runner<'_, '_> {
    pub(super) async fn indexes_of(
        &mut self,
        part: &Part<'_>,
        progress: ScriptState,
        target: &Concurrent,
    ) -> Result<Vec<Index>, Error> {
        match self.session.indexes_of(target, ScriptPath::Kept).await {
            Ok(indexes) => Ok(indexes),
            Err(source) => {
                let error = Error::query("looking at the indexes of a concurrent build", source);
                Err(self.ended(part.prepared, progress, error).await)
            }
        }
    }

    /// Drops what a failed build left, and says what is left then.
    pub(super) async fn clear_away(
        &mut self,
        part: &Part<'_>,
        target: &Concurrent,
        before: &[Index],
    ) -> Result<Left, Error> {
        let prepared = part.prepared;
        let progress = part.state(Left::Something);
        let after = self.indexes_of(part, progress, target).await?;
        // Without the table nothing can be told.
        let is_there = self.session.table_is_there(target, ScriptPath::Kept).await.unwrap_or(false);
        let mut left = if is_there { Left::Nothing } else { Left::Something };
        for index in after.iter().filter(|index| target.has_left(index, before)) {
            self.ours(prepared, progress, DROP_LIMIT.to_owned()).await?;
            let again = self.indexes_of(part, progress, target).await?;
            if index.is_worked_on || !again.contains(index) {
                self.tracker.tell(Event::SparedIndex(&index.name));
                left = Left::Something;
                continue;
            }
            let drop = format!("DROP INDEX CONCURRENTLY IF EXISTS {}", index.name);
            match self.session.execute_within(DROP_PATIENCE, drop).await {
                Ok(_) => {
                    self.tracker.tell(Event::DroppedIndex(&index.name, "the failed build"));
                }
                Err(FailedQuery { error, .. }) => {
                    self.tracker.tell(Event::InvalidIndex(&index.name, &error));
                    if target.is_among(before) {
                        left = Left::Something;
                    } else if left == Left::Nothing {
                        left = Left::Index;
                    }
                }
            }
        }
        Ok(left)
    }
}
