//! Watching a long statement: what to say of it, and when to give way to the site.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use crate::engine::{Event, Tracker};
use crate::postgres::other_session::listed;
use crate::postgres::watcher::Watcher;
use crate::postgres::{Error as PostgresError, Observation, Server};

const LET_RUN: Duration = Duration::from_secs(1);

/// More often nobody is looked at.
const OFTENEST: Duration = Duration::from_millis(50);

/// A server that has no room for a second connection is not asked for one all the time.
const CONNECT_EVERY: Duration = Duration::from_secs(15);

/// Watches the session of a run, over a connection that is made when it is first needed.
pub(crate) struct Watch<'s> {
    server: &'s Server,
    pid: i32,
    watcher: Option<Watcher>,
    failed: Option<Instant>,
    /// Whether the step was tried before, and met a lock.
    pub(crate) met_a_lock: bool,
    /// Who was last seen in the way of our statement.
    pub(crate) blockers: Option<String>,
    /// Whether the statement was cancelled because others waited for it too long.
    pub(crate) gave_way: bool,
}

impl<'s> Watch<'s> {
    pub(crate) fn new(server: &'s Server, pid: i32) -> Self {
        Self { server, pid, watcher: None, failed: None, met_a_lock: false, blockers: None, gave_way: false }
    }

    /// Forgets what was seen of the step before; what an earlier attempt of this one saw is still worth telling.
    pub(crate) fn begin(&mut self) {
        if !self.met_a_lock {
            self.blockers = None;
        }
        self.gave_way = false;
    }

    /// Before the first statement: what was promised of the others who use the site needs somebody who looks at them.
    pub(crate) async fn keep_promises(&mut self) -> Result<(), PostgresError> {
        if self.server.options.max_blocking.is_zero() {
            return Ok(());
        }
        let watcher = Watcher::connect(self.server, self.pid).await;
        self.watcher = Some(watcher.map_err(|source| PostgresError::Query {
            doing: "opening the second connection, without which MAX_BLOCKING can't be kept",
            source,
            state: "; nothing was changed; make room for two connections, or set MAX_BLOCKING=0".to_owned(),
        })?);
        Ok(())
    }

    /// The step will be tried again: then there is no time to connect.
    pub(crate) async fn get_ready(&mut self) {
        self.met_a_lock = true;
        self.watcher().await;
    }

    pub(crate) async fn forever(&mut self, tracker: &mut Tracker<'_>) -> Infallible {
        let limit = self.server.options.max_blocking;
        let every = self.every();
        let mut is_told = false;
        loop {
            tokio::time::sleep(every).await;
            let Some(seen) = self.observe().await else {
                if !limit.is_zero() && !std::mem::replace(&mut is_told, true) {
                    tracker.tell(Event::Warning("MAX_BLOCKING can't be kept: the second connection is gone"));
                }
                tracker.tell(Event::Watching(None));
                continue;
            };
            if !seen.blockers.is_empty() {
                self.blockers = Some(listed(&seen.blockers));
            }
            if !limit.is_zero() && seen.blocked_for > limit && !self.gave_way {
                self.give_way(&seen, tracker).await;
            }
            tracker.tell(Event::Watching(Some(&seen)));
        }
    }

    /// Waits until a cancel that was sent has been carried out: the statement may have ended before. Says whether there was
    /// one.
    pub(crate) async fn settle(&mut self) -> bool {
        if self.gave_way {
            // The answer to the cancel, which nobody may have waited for, comes before the one to this.
            self.observe().await;
        }
        self.gave_way
    }

    /// A step that met a lock may meet it again, and then has to say whose it is.
    fn every(&self) -> Duration {
        let options = &self.server.options;
        let lock_timeout = if self.met_a_lock { options.lock_timeout } else { Duration::ZERO };
        let limits = [options.max_blocking, lock_timeout].into_iter().filter(|limit| !limit.is_zero());
        limits.map(|limit| limit / 4).min().map_or(LET_RUN, |quarter| quarter.clamp(OFTENEST, LET_RUN))
    }

    async fn observe(&mut self) -> Option<Observation> {
        match self.watcher().await?.observe().await {
            Ok(seen) => Some(seen),
            Err(error) => {
                tracing::debug!("the watching connection broke: {error}");
                self.watcher = None;
                None
            }
        }
    }

    async fn watcher(&mut self) -> Option<&mut Watcher> {
        if self.watcher.is_none() {
            if self.failed.is_some_and(|failed| failed.elapsed() < CONNECT_EVERY) {
                return None;
            }
            match Watcher::connect(self.server, self.pid).await {
                Ok(watcher) => self.watcher = Some(watcher),
                Err(error) => {
                    tracing::debug!("nobody watches this statement: {error}");
                    self.failed = Some(Instant::now());
                }
            }
        }
        self.watcher.as_mut()
    }

    async fn give_way(&mut self, seen: &Observation, tracker: &mut Tracker<'_>) {
        let Some(watcher) = &mut self.watcher else { return };
        tracker.tell(Event::GivingWay(seen));
        // Before the cancelling: the statement may end before it is answered.
        self.gave_way = true;
        self.gave_way = watcher.cancel().await.is_ok();
    }
}
