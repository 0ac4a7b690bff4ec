//! The run lock: one run per database at a time, sqlx's own tools included.

use std::time::{Duration, Instant};

use crate::postgres::other_session::listed;
use crate::postgres::{DatabaseError, Error, Interrupt, OURS_FOR_NOW, OtherSession, RunOptions, Session};
use migration_core::log_record::WAITS;
use migration_core::wording;

/// Our own key: the first eight bytes of SHA-384("run-migrations"). Advisory locks are per
/// database, so one key serves all.
const KEY: i64 = 0x664d_23dc_b454_22d2;

/// sqlx's key for a database:
/// <https://docs.rs/sqlx-postgres/0.9.0/src/sqlx_postgres/migrate.rs.html>.
fn sqlx_key(database: &str) -> i64 {
    const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    0x3d32_ad9e * i64::from(CRC.checksum(database.as_bytes()))
}

const SAY_EVERY: Duration = Duration::from_secs(10);

/// The held lock. Our key is held twice, so that [`unlock_and_lock_again`] can prove it is held
/// without ever letting go of it. The server releases everything when the session ends.
#[derive(Debug)]
pub(crate) struct RunLock {
    sqlx: i64,
}

/// SQL that cancels what a session of this run is doing. The number may be somebody else's by now, so the session is
/// known by the run's name as well, or by the lock, where a script has set another name.
pub(super) fn cancel(pid: i32) -> String {
    format!(
        "{OURS_FOR_NOW};\nSELECT pg_cancel_backend(pid) FROM pg_stat_activity a WHERE pid = {pid} \
         AND (application_name = current_setting('application_name') OR EXISTS (\
         SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.database = a.datid AND {}))",
        is_key(KEY)
    )
}

/// SQL that is true for a granted lock on a key.
fn is_key(key: i64) -> String {
    format!(
        "l.locktype = 'advisory' AND l.granted AND (l.classid::bigint << 32) | l.objid::bigint = {key} \
         AND l.objsubid = 1"
    )
}

/// SQL that is true while this session holds our key, and false once a script has let go of it
/// with `pg_advisory_unlock_all`.
pub(crate) fn unlock_and_lock_again() -> String {
    format!("pg_catalog.pg_advisory_unlock({KEY}) AND pg_catalog.pg_try_advisory_lock({KEY})")
}

impl RunLock {
    /// The key itself, for a script that psql runs.
    pub(crate) const KEY: i64 = KEY;

    /// Takes both keys. Polls, so that no snapshot stays open while waiting: one would hold up
    /// `CREATE INDEX CONCURRENTLY`, and deadlock with the one whose run is waited for.
    pub(crate) async fn take(
        session: &mut Session,
        options: &RunOptions,
        interrupt: &Interrupt,
    ) -> Result<Self, Error> {
        let failed = |source| Error::query("taking the run lock", source);
        session.guard().await.map_err(failed)?;
        let sqlx = sqlx_key(&session.info.database);
        let twice = format!(
            "SELECT CASE WHEN pg_try_advisory_lock({KEY}) THEN pg_try_advisory_lock({KEY}) ELSE false END"
        );
        poll(session, KEY, &twice, options, interrupt).await?;
        let lock = Self { sqlx };
        lock.take_sqlx(session, options, interrupt).await?;
        Ok(lock)
    }

    /// Takes sqlx's key again after [`RunLock::release_sqlx`].
    pub(crate) async fn take_sqlx(
        &self,
        session: &mut Session,
        options: &RunOptions,
        interrupt: &Interrupt,
    ) -> Result<(), Error> {
        let once = format!("SELECT pg_try_advisory_lock({})", self.sqlx);
        poll(session, self.sqlx, &once, options, interrupt).await
    }

    /// Lets go of sqlx's key while an index is built concurrently: an application that blocks in
    /// `pg_advisory_lock` holds a snapshot the build waits for, and the build would be the victim
    /// of the deadlock. The application then finds the row of the unfinished script and refuses.
    pub(crate) async fn release_sqlx(&self, session: &mut Session) -> Result<(), Error> {
        release(session, self.sqlx, 1).await
    }

    /// Lets go of both. A session that is gone has let go of them already.
    pub(crate) async fn release(self, session: &mut Session) -> Result<(), Error> {
        for (key, times) in [(self.sqlx, 1), (KEY, 2)] {
            match release(session, key, times).await {
                Err(Error::Query { source, .. }) if source.is_outage() => return Ok(()),
                other => other?,
            }
        }
        Ok(())
    }
}

async fn release(session: &mut Session, key: i64, times: usize) -> Result<(), Error> {
    let unlock = vec![format!("pg_advisory_unlock({key})"); times].join(" AND ");
    let failed = |source| Error::query("releasing the run lock", source);
    if session.value(format!("SELECT {unlock}")).await.map_err(failed)? {
        Ok(())
    } else {
        Err(Error::Refused(
            "the run lock was lost: a script released it with pg_advisory_unlock_all, or a connection pooler \
             in transaction mode stands before the server; connect to the server itself"
                .to_owned(),
        ))
    }
}

async fn poll(
    session: &mut Session,
    key: i64,
    attempt: &str,
    options: &RunOptions,
    interrupt: &Interrupt,
) -> Result<(), Error> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(20);
    let mut said: Option<Instant> = None;
    loop {
        let failed = |source| Error::query("taking the run lock", source);
        if session.value(attempt.to_owned()).await.map_err(failed)? {
            return Ok(());
        }
        let waited = start.elapsed();
        let out_of_time = !options.run_lock_timeout.is_zero() && waited >= options.run_lock_timeout;
        if out_of_time || said.is_none_or(|said| said.elapsed() >= SAY_EVERY) {
            let holder = holder(session, key).await.map_err(failed)?;
            if out_of_time {
                return Err(Error::RunLock {
                    after: options.run_lock_timeout,
                    holder,
                    state: "nothing was changed".to_owned(),
                });
            }
            tracing::info!(progress = WAITS, "waiting for the run lock, which is held by {holder}");
            said = Some(Instant::now());
        }
        interrupt.sleep(pause).await.map_err(|signal| {
            Error::interrupted(
                signal,
                format!("it had waited {} for the run lock; nothing was changed", wording::duration(waited)),
            )
        })?;
        pause = (pause * 2).min(Duration::from_millis(500));
    }
}

async fn holder(session: &mut Session, key: i64) -> Result<String, DatabaseError> {
    let sql = format!(
        "SELECT coalesce(l.pid, 0), nullif(a.usename::text, ''), nullif(a.application_name, ''), \
           CASE WHEN a.backend_start IS NOT NULL THEN 'connected' END, \
           extract(epoch FROM clock_timestamp() - a.backend_start)::float8, NULL::text \
         FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid \
         WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND {}",
        is_key(key)
    );
    let results = session.rows(sql).await.map_err(|failed| failed.error)?;
    let holders = OtherSession::all(results.last().map(Vec::as_slice).unwrap_or_default())?;
    Ok(if holders.is_empty() { "nobody any more".to_owned() } else { listed(&holders) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        // What sqlx 0.9.0 computes for a database called "postgres".
        assert_eq!(sqlx_key("postgres"), 368_907_709_894_077_238);
        let digest = migration_core::version::Checksum::of("run-migrations").to_string();
        assert_eq!(format!("{KEY:016x}"), digest[..16]);
    }
}
