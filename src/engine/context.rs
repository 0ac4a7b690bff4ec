//! Where a task works: the server, the files, the signals.

use std::cell::Cell;

use migration_core::History;

use crate::engine::permission::refuse_unwritable;
use crate::engine::{Error, Tracker};
use crate::postgres::connect::{Backend, connect};
use crate::postgres::pooling::refuse_transaction_pooling;
use crate::postgres::{Interrupt, RunLock, Server, Session};

pub(crate) struct Context<'a> {
    pub(crate) server: &'a Server,
    pub(crate) history: &'a History,
    pub(crate) interrupt: &'a Interrupt,
    /// The server process that works for us, for whoever wants to cancel what it does.
    pub(crate) backend: &'a Cell<Option<Backend>>,
}

impl Context<'_> {
    pub(super) async fn connect(&self, tracker: &mut Tracker<'_>) -> Result<Session, Error> {
        let (session, backend) = connect(self.server, self.interrupt).await?;
        self.backend.set(Some(backend));
        tracker.report.header.database = Some(session.info.database.clone());
        tracker.report.header.bookkeeping = Some(session.info.found_bookkeeping());
        if let Some(odd) = session.info.odd_place()
            && !tracker.report.warnings.contains(&odd)
        {
            tracker.warn(odd);
        }
        tracing::debug!("connected to database {} as {}", session.info.database, session.info.user);
        Ok(session)
    }

    /// Takes the run lock, where it can be kept and there is leave to write.
    pub(super) async fn lock(&self, session: &mut Session) -> Result<RunLock, Error> {
        refuse_unwritable(session)?;
        refuse_transaction_pooling(session, self.server).await?;
        Ok(RunLock::take(session, &self.server.options, self.interrupt).await?)
    }
}
