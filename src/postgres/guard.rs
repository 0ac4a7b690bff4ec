//! What makes the server notice that we are gone, so that no session of a dead job holds locks for
//! hours. Any role may set these; which of them a server has depends on its version and system.

use crate::postgres::query::read;
use crate::postgres::{DatabaseError, Session};

/// A dead process closes its socket, and the server looks for that every two seconds even while it
/// works. A dead node closes nothing: after 4 s of silence it is asked every 2 s, and has to answer
/// within 11 s, as it has to acknowledge what it is sent; Linux counts that in steps of the asking,
/// so a lost one is noticed after 12 to 14 s.
const GUARDS: [(&str, &str); 8] = [
    ("client_connection_check_interval", "2s"),
    ("tcp_keepalives_idle", "4"),
    ("tcp_keepalives_interval", "2"),
    ("tcp_keepalives_count", "4"),
    ("tcp_user_timeout", "11s"),
    ("idle_in_transaction_session_timeout", "60s"),
    // A role's own limits of this kind would end a run while it pauses, or in a long migration.
    ("idle_session_timeout", "0"),
    ("transaction_timeout", "0"),
];

impl Session {
    /// Sets the session up, with what the server has of these, now and after every reset of it.
    pub(super) async fn guard(&mut self) -> Result<(), DatabaseError> {
        self.settle().await?;
        match self.rows(try_each()).await {
            Ok(results) => {
                let names: Vec<(String,)> = read(results.last().map(Vec::as_slice).unwrap_or_default())?;
                let had = |name: &str| names.iter().any(|(had,)| had == name);
                let guards = GUARDS.iter().filter(|(name, _)| had(name));
                self.settings.extend(guards.map(|(name, value)| format!("SET {name} = '{value}'")));
            }
            Err(failed) if failed.error.is_outage() => return Err(failed.error),
            Err(failed) => {
                tracing::debug!("the server can't be asked to watch this connection: {}", failed.error);
            }
        }
        Ok(())
    }
}

/// Each by itself: a server that knows a setting may still refuse it on its system. Then the names
/// of those that took.
pub(super) fn try_each() -> String {
    let pairs: Vec<_> = GUARDS.iter().map(|(name, value)| format!("('{name}', '{value}')")).collect();
    let names: Vec<_> = GUARDS.iter().map(|(name, _)| format!("'{name}'")).collect();
    format!(
        "DO $run_migrations$
DECLARE
  guard record;
BEGIN
  FOR guard IN SELECT * FROM (VALUES {}) AS guards (name, value) WHERE name IN (SELECT name FROM pg_settings) LOOP
    BEGIN
      PERFORM set_config(guard.name, guard.value, false);
    EXCEPTION WHEN OTHERS THEN
      NULL;
    END;
  END LOOP;
END
$run_migrations$;
SELECT name FROM pg_settings WHERE name IN ({}) AND source = 'session'",
        pairs.join(", "),
        names.join(", "),
    )
}
