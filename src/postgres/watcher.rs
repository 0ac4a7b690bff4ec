//! A second connection that looks at the first: what it waits for, whom it keeps waiting, how far
//! it has come. It needs no privilege, and its absence never fails a run.

use std::time::Duration;

use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use crate::postgres::connect::second;
use crate::postgres::guard::try_each;
use crate::postgres::other_session::lasting;
use crate::postgres::query::{execute, first, read, rows};
use crate::postgres::{CANCEL_GRACE, DatabaseError, OURS_FOR_NOW, OtherSession, Server, lock};

pub(crate) struct Watcher {
    connection: PgConnection,
    pid: i32,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Observation {
    pub(crate) blockers: Vec<OtherSession>,
    /// How many sessions wait for a lock that we were granted.
    pub(crate) blocked: i64,
    pub(crate) blocked_for: Duration,
    pub(crate) progress: Option<Progress>,
}

/// A progress view's row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Progress {
    /// Such as `building index: loading tuples in tree`.
    pub(crate) phase: String,
    /// From 0 to 100, where the phase knows its end.
    pub(crate) percent: Option<f64>,
}

const BLOCKERS: &str = "\
SELECT b.pid, nullif(a.usename::text, ''), nullif(a.application_name, ''), a.state,
       extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, a.backend_start))::float8,
       nullif(nullif(a.query, ''), '<insufficient privilege>')
  FROM (SELECT DISTINCT unnest(pg_blocking_pids($PID))) AS b (pid) LEFT JOIN pg_stat_activity a USING (pid)
 ORDER BY 1";

/// Only while we are not waiting ourselves: then it is our granted locks that they wait for.
const BLOCKED: &str = "\
SELECT count(*), coalesce(max(extract(epoch FROM clock_timestamp() - $SINCE)), 0)::float8
  FROM pg_locks l JOIN pg_stat_activity a USING (pid)
 WHERE NOT l.granted AND l.pid <> $PID AND $PID = ANY (pg_blocking_pids(l.pid))
   AND NOT EXISTS (SELECT FROM pg_locks own WHERE own.pid = $PID AND NOT own.granted)";

const PROGRESS: [(u32, &str, &str); 5] = [
    (
        120_000,
        "pg_stat_progress_create_index",
        "phase, CASE WHEN tuples_total > 0 THEN 100.0 * tuples_done / tuples_total \
         WHEN blocks_total > 0 THEN 100.0 * blocks_done / blocks_total END",
    ),
    (
        90_600,
        "pg_stat_progress_vacuum",
        "'vacuum: ' || phase, CASE WHEN heap_blks_total > 0 THEN 100.0 * heap_blks_scanned / heap_blks_total END",
    ),
    (
        120_000,
        "pg_stat_progress_cluster",
        "'rewriting: ' || phase, CASE WHEN heap_blks_total > 0 THEN 100.0 * heap_blks_scanned / heap_blks_total END",
    ),
    (
        130_000,
        "pg_stat_progress_analyze",
        "'analyze: ' || phase, CASE WHEN sample_blks_total > 0 THEN 100.0 * sample_blks_scanned / sample_blks_total END",
    ),
    (
        140_000,
        "pg_stat_progress_copy",
        "'copying', CASE WHEN bytes_total > 0 THEN 100.0 * bytes_processed / bytes_total END",
    ),
];

impl Watcher {
    pub(crate) async fn connect(server: &Server, pid: i32) -> Result<Self, DatabaseError> {
        let mut connection = second(server).await?;
        // It must not outlive a lost node any more than the session it watches; a server may not know how.
        match execute(&mut connection, CANCEL_GRACE, format!("{OURS_FOR_NOW};\n{}", try_each())).await {
            Err(failed) if failed.error.is_outage() => Err(failed.error),
            _ => Ok(Self { connection, pid }),
        }
    }

    pub(crate) async fn observe(&mut self) -> Result<Observation, DatabaseError> {
        let version = self.connection.server_version_num().unwrap_or(0);
        let since = if version >= 140_000 { "l.waitstart" } else { "a.query_start" };
        let progress: Vec<_> = PROGRESS
            .iter()
            .filter(|(from, ..)| version >= *from)
            .map(|(_, view, columns)| format!("SELECT {columns} FROM {view} WHERE pid = {}", self.pid))
            .collect();
        // A null phase only where the role may not see it, and then it sees no row.
        let sql = format!(
            "{OURS_FOR_NOW};\n{BLOCKERS};\n{BLOCKED};\nSELECT phase, percent::float8 FROM (\n{}) AS progress (phase, percent)",
            progress.join("\nUNION ALL ")
        )
        .replace("$PID", &self.pid.to_string())
        .replace("$SINCE", since);
        let results = rows(&mut self.connection, CANCEL_GRACE, sql).await.map_err(|failed| failed.error)?;
        sight(results.get(1..).unwrap_or_default())
    }

    pub(crate) async fn cancel(&mut self) -> Result<(), DatabaseError> {
        rows(&mut self.connection, CANCEL_GRACE, lock::cancel(self.pid))
            .await
            .map(drop)
            .map_err(|failed| failed.error)
    }
}

fn sight(results: &[Vec<PgRow>]) -> Result<Observation, DatabaseError> {
    let of = |index: usize| results.get(index).map(Vec::as_slice).unwrap_or_default();
    let progress =
        |(phase, percent): (Option<String>, _)| Progress { phase: phase.unwrap_or_default(), percent };
    let (blocked, blocked_for) = first(read(of(1))?).unwrap_or_default();
    Ok(Observation {
        blockers: OtherSession::all(of(0))?,
        blocked,
        blocked_for: lasting(blocked_for),
        progress: first(read(of(2))?).map(progress),
    })
}
