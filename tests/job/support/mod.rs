//! What the tests stand on: a server, a database of their own on it, a directory of scripts, and
//! the real binary with nothing in its environment but what a test puts there.

mod certificates;
mod database;
mod directory;
mod impostor;
mod interceptor;
mod job;
mod outcome;
mod pooler;
mod random;
mod relay;
mod rules;
mod server;

pub(crate) use certificates::{Certificate, openssl, revocation_list};
pub(crate) use database::{Database, Role, quoted};
pub(crate) use directory::Directory;
pub(crate) use impostor::{Encryption, Impostor, NONCE, message, welcome};
pub(crate) use interceptor::{Interceptor, Offer};
pub(crate) use job::{Job, Running};
pub(crate) use outcome::Outcome;
pub(crate) use pooler::Pooler;
pub(crate) use random::{Random, many_times};
pub(crate) use relay::{Relay, Then};
pub(crate) use rules::let_in_by;
pub(crate) use server::{Server, tool};

use std::time::{Duration, Instant};

/// How long anything may take before a test gives up on it: far more than it ever needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A database and a directory of scripts.
pub(crate) struct Setup {
    pub(crate) database: Database,
    pub(crate) directory: Directory,
}

impl Setup {
    /// An empty database, and these scripts by file name.
    pub(crate) fn with(scripts: &[(&str, &str)]) -> Self {
        Self { database: Database::new(), directory: Directory::with(scripts) }
    }

    /// The job on both; `words` are its arguments.
    pub(crate) fn job(&self, words: &str) -> Job {
        Job::new(words).within(&self.directory).on(&self.database)
    }
}

/// Waits until something holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
