//! A connection pooler in transaction mode gives each transaction another server session, where
//! session locks and settings mean nothing, and stay behind for whoever comes next.

use crate::postgres::connect::second;
use crate::postgres::query::value;
use crate::postgres::{CANCEL_GRACE, Error, OURS_FOR_NOW, Server, Session};

/// The session is not set up yet.
const PID: &str = "SELECT pg_catalog.pg_backend_pid()";

/// Proves that the session is ours alone: while a second connection is in a transaction, it must
/// not have our server process, and ours must not have changed. Where there is no second connection
/// to be had, there is no proof, and the run goes on.
pub(crate) async fn refuse_transaction_pooling(session: &mut Session, server: &Server) -> Result<(), Error> {
    let Ok(mut second) = second(server).await else {
        tracing::debug!("no second connection, so a connection pooler would not be noticed");
        return Ok(());
    };
    let ask = format!("BEGIN; {OURS_FOR_NOW}; {PID}");
    let Ok(theirs) = value::<i32>(&mut second, CANCEL_GRACE, ask).await else { return Ok(()) };
    let failed = |source| Error::query("looking for a connection pooler", source);
    let ours: i32 = session.value(PID.to_owned()).await.map_err(failed)?;
    // Dropping the connection ends its transaction, which did nothing.
    drop(second);
    if theirs == session.info.pid || ours != session.info.pid {
        return Err(Error::Refused(format!(
            "{} is a connection pooler in transaction mode, where no lock can be kept; connect to the server \
             itself, or to a pool in session mode",
            server.address
        )));
    }
    Ok(())
}
