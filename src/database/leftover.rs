//! What the catalog and the progress table say of a script that stands halfway.

use sqlx::Row as _;

use super::session::rows;
use super::{DatabaseError, Session, Table, quoted_literal};
use crate::message::halfway;
use crate::migration::Checksum;
use crate::resume::Begun;
use crate::statement::Concurrent;

/// An index that a concurrent statement makes or leaves behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// Its number in the catalog.
    pub oid: u32,
    /// Its name as the catalog has it.
    pub plain_name: String,
    /// Its name with its schema, quoted for SQL.
    pub name: String,
    /// Whether queries may use it.
    pub is_valid: bool,
    /// Whether another session holds the lock that builds, and vacuums, take.
    pub is_worked_on: bool,
}

impl Session {
    /// The indexes of the table that a concurrent statement is about, as they are now; none where the
    /// table can't be found by the name in the statement.
    ///
    /// # Errors
    /// When the query failed.
    pub async fn indexes_of(&mut self, statement: &Concurrent) -> Result<Vec<Index>, DatabaseError> {
        let which = match statement {
            Concurrent::Build { table, .. } => format!("i.indrelid = to_regclass({})", quoted_literal(table)),
            Concurrent::Rebuild { relation } => format!(
                "i.indrelid IN (SELECT to_regclass({relation})::oid \
                 UNION SELECT reltoastrelid FROM pg_class WHERE oid = to_regclass({relation}) \
                 UNION SELECT indrelid FROM pg_index WHERE indexrelid = to_regclass({relation}))",
                relation = quoted_literal(relation)
            ),
        };
        let sql = format!(
            "SELECT c.oid, c.relname::text, format('%I.%I', n.nspname, c.relname), i.indisvalid, \
             EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'relation' AND l.relation = i.indrelid \
             AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
             AND l.mode = 'ShareUpdateExclusiveLock' AND l.granted AND l.pid <> pg_backend_pid()) \
             FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE {which} ORDER BY 1"
        );
        let results = rows(&mut self.connection, sql).await.map_err(|failed| failed.error)?;
        let index = |row: &sqlx::postgres::PgRow| {
            Ok(Index {
                oid: row.try_get::<sqlx::postgres::types::Oid, _>(0)?.0,
                plain_name: row.try_get(1)?,
                name: row.try_get(2)?,
                is_valid: row.try_get(3)?,
                is_worked_on: row.try_get(4)?,
            })
        };
        Ok(results.first().into_iter().flatten().map(index).collect::<Result<_, sqlx::Error>>()?)
    }

    /// Whether the table of a concurrent statement can be found by the name in the statement.
    ///
    /// # Errors
    /// When the query failed.
    pub async fn table_is_there(&mut self, statement: &Concurrent) -> Result<bool, DatabaseError> {
        let (Concurrent::Build { table: name, .. } | Concurrent::Rebuild { relation: name }) = statement;
        self.value(format!("SELECT to_regclass({}) IS NOT NULL", quoted_literal(name))).await
    }

    /// The statements that began, in order; `None` where there is no progress table.
    ///
    /// # Errors
    /// When the query failed.
    pub async fn progress(&mut self, table: &Table) -> Result<Option<Vec<Begun>>, DatabaseError> {
        let progress = halfway::progress(table);
        let exists = format!("SELECT to_regclass({}) IS NOT NULL", quoted_literal(&progress));
        if !self.value::<bool>(exists).await? {
            return Ok(None);
        }
        let sql = format!(
            "SELECT version, statement, encode(checksum, 'hex'), index_existed, finished_at IS NOT NULL \
             FROM {progress} ORDER BY statement"
        );
        let results = rows(&mut self.connection, sql).await.map_err(|failed| failed.error)?;
        let begun = |row: &sqlx::postgres::PgRow| {
            let hex: String = row.try_get(2)?;
            let statement: i32 = row.try_get(1)?;
            Ok(Begun {
                version: crate::migration::Version(row.try_get(0)?),
                statement: usize::try_from(statement).unwrap_or(usize::MAX),
                checksum: Checksum::from_hex(&hex)
                    .ok_or_else(|| sqlx::Error::Protocol(format!("{hex:?} is no checksum")))?,
                index_existed: row.try_get(3)?,
                is_finished: row.try_get(4)?,
            })
        };
        let begun = results.first().into_iter().flatten().map(begun).collect::<Result<_, sqlx::Error>>()?;
        Ok(Some(begun))
    }
}
