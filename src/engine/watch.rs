//! Watching a long statement: what to say of it, and when to give way to the site.

use std::convert::Infallible;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use foreign_text::one_line;

use crate::config::Server;
use crate::database::{Progress, Sight, Watcher, listed};
use crate::log::Format;
use crate::wording;

/// A statement that ends sooner needs no watching.
const LET_RUN: Duration = Duration::from_secs(1);

/// More often nobody is looked at.
const OFTENEST: Duration = Duration::from_millis(50);

/// A server that has no room for a second connection is not asked for one all the time.
const CONNECT_EVERY: Duration = Duration::from_secs(15);

/// How often the log gets a line that says the same as before.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Watches the session of a run, over a connection that is made when it is first needed.
pub struct Watch<'s> {
    server: &'s Server,
    pid: i32,
    format: Format,
    watcher: Option<Watcher>,
    failed: Option<Instant>,
    /// Whether the step was tried before, and met a lock.
    pub met_a_lock: bool,
    /// Who was last seen in the way of our statement.
    pub blockers: Option<String>,
    /// Whether the statement was cancelled because others waited for it too long.
    pub gave_way: bool,
}

impl<'s> Watch<'s> {
    /// Will watch this session.
    pub fn new(server: &'s Server, pid: i32, format: Format) -> Self {
        Self {
            server,
            pid,
            format,
            watcher: None,
            failed: None,
            met_a_lock: false,
            blockers: None,
            gave_way: false,
        }
    }

    /// Forgets what was seen of the step before; what an earlier attempt of this one saw is still worth telling.
    pub fn begin(&mut self) {
        if !self.met_a_lock {
            self.blockers = None;
        }
        self.gave_way = false;
    }

    /// The step will be tried again: then there is no time to connect.
    pub async fn get_ready(&mut self) {
        self.met_a_lock = true;
        self.watcher().await;
    }

    /// Watches until it is dropped.
    pub async fn forever(&mut self) -> Infallible {
        let limit = self.server.manners.max_blocking;
        let every = self.every();
        let start = Instant::now();
        let mut line = LiveLine::new(self.format);
        let mut said: Option<(String, Instant)> = None;
        loop {
            tokio::time::sleep(every).await;
            let Some(sight) = self.look().await else { continue };
            if !sight.blockers.is_empty() {
                self.blockers = Some(listed(&sight.blockers));
            }
            if !limit.is_zero() && sight.blocked_for > limit && !self.gave_way {
                self.give_way(&sight).await;
            }
            let Some(text) = describe(&sight) else { continue };
            if line.show(&format!("{}: {text}", wording::whole_seconds(start.elapsed()))) {
                continue;
            }
            let kind = sight_kind(&sight);
            if said.as_ref().is_none_or(|(before, at)| *before != kind || at.elapsed() >= SAY_EVERY) {
                tracing::info!("{text}");
                said = Some((kind, Instant::now()));
            }
        }
    }

    /// Waits until a cancel that was sent has been carried out: the statement may have ended before. Says whether there was
    /// one.
    pub async fn settle(&mut self) -> bool {
        if self.gave_way {
            // The answer to the cancel, which nobody may have waited for, comes before the one to this.
            self.look().await;
        }
        self.gave_way
    }

    /// A step that met a lock may meet it again, and then has to say whose it is.
    fn every(&self) -> Duration {
        let manners = &self.server.manners;
        let lock_timeout = if self.met_a_lock { manners.lock_timeout } else { Duration::ZERO };
        let limits = [manners.max_blocking, lock_timeout].into_iter().filter(|limit| !limit.is_zero());
        limits.map(|limit| limit / 4).min().map_or(LET_RUN, |quarter| quarter.clamp(OFTENEST, LET_RUN))
    }

    async fn look(&mut self) -> Option<Sight> {
        match self.watcher().await?.look().await {
            Ok(sight) => Some(sight),
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

    async fn give_way(&mut self, sight: &Sight) {
        let Some(watcher) = &mut self.watcher else { return };
        tracing::warn!(
            "{} for {} for a lock of this run, longer than MAX_BLOCKING; cancelling",
            wording::counted(
                usize::try_from(sight.blocked).unwrap_or(1),
                "session has waited",
                "sessions have waited"
            ),
            wording::duration(sight.blocked_for),
        );
        // Before the cancelling: the statement may end before it is answered.
        self.gave_way = true;
        self.gave_way = watcher.cancel().await.is_ok();
    }
}

/// A line that is written over and over on a terminal.
struct LiveLine {
    on: bool,
    shown: bool,
}

impl LiveLine {
    fn new(format: Format) -> Self {
        Self { on: format == Format::Text && io::stderr().is_terminal(), shown: false }
    }

    /// Whether there is a terminal to show it on.
    fn show(&mut self, text: &str) -> bool {
        if self.on {
            let _ = write!(io::stderr(), "\r\x1b[2K{}", one_line(text));
            let _ = io::stderr().flush();
            self.shown = true;
        }
        self.on
    }
}

impl Drop for LiveLine {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[2K");
        }
    }
}

/// What is seen, without the numbers that change all the time.
fn sight_kind(sight: &Sight) -> String {
    let pids: Vec<_> = sight.blockers.iter().map(|other| other.pid).collect();
    let phase = sight.progress.as_ref().map(|progress| progress.phase.as_str()).unwrap_or_default();
    format!("{pids:?} {} {phase}", sight.blocked > 0)
}

/// One sentence, or nothing where there is nothing to tell.
fn describe(sight: &Sight) -> Option<String> {
    let mut parts = Vec::new();
    if !sight.blockers.is_empty() {
        parts.push(format!("waiting for {}", listed(&sight.blockers)));
    }
    if sight.blocked > 0 {
        parts.push(format!(
            "{} for this run, the longest for {}",
            wording::counted(usize::try_from(sight.blocked).unwrap_or(1), "session waits", "sessions wait"),
            wording::whole_seconds(sight.blocked_for)
        ));
    }
    if let Some(Progress { phase, percent }) = &sight.progress {
        parts.push(percent.map_or_else(|| phase.clone(), |percent| format!("{phase}, {percent:.0} %")));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Other;

    #[test]
    fn says_what_is_seen() {
        let blocker = Other { pid: 7, role: None, application: None, state: None, since: None, query: None };
        let progress = |percent| Some(Progress { phase: "building index".to_owned(), percent });
        for (sight, expected) in [
            (Sight::default(), None),
            (Sight { blockers: vec![blocker], ..Sight::default() }, Some("waiting for pid 7")),
            (
                Sight {
                    blocked: 3,
                    blocked_for: Duration::from_millis(4200),
                    progress: progress(Some(41.7)),
                    ..Sight::default()
                },
                Some("3 sessions wait for this run, the longest for 4 s; building index, 42 %"),
            ),
            (Sight { progress: progress(None), ..Sight::default() }, Some("building index")),
        ] {
            assert_eq!(describe(&sight).as_deref(), expected);
        }
    }
}
