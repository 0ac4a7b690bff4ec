//! What the catalog and the progress table say of a script that stands halfway.

use sqlx::postgres::types::Oid;

use super::query::read;
use super::{DatabaseError, Session, Table, quoted_literal, recorded};
use crate::message::halfway;
use crate::migration::Version;
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
            // A partitioned one is rebuilt part by part; the tree of any other is itself.
            Concurrent::Rebuild { relation: Some(relation) } => format!(
                "i.indrelid IN (WITH parts AS (SELECT r.oid, r.reltoastrelid FROM pg_class r WHERE r.oid \
                 = to_regclass({relation}) OR r.oid IN (SELECT relid FROM pg_partition_tree(to_regclass({relation})))) \
                 SELECT oid FROM parts UNION SELECT reltoastrelid FROM parts \
                 UNION SELECT indrelid FROM pg_index WHERE indexrelid IN (SELECT oid FROM parts))",
                relation = quoted_literal(relation)
            ),
            Concurrent::Rebuild { relation: None } => "true".to_owned(),
        };
        let sql = format!(
            "SELECT c.oid, c.relname::text, format('%I.%I', n.nspname, c.relname), i.indisvalid, \
             EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'relation' AND l.relation = i.indrelid \
             AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
             AND l.mode = 'ShareUpdateExclusiveLock' AND l.granted AND l.pid <> pg_backend_pid()) \
             FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE {which} ORDER BY 1"
        );
        let results = self.rows(sql).await.map_err(|failed| failed.error)?;
        let rows = read(results.first().map(Vec::as_slice).unwrap_or_default())?;
        let index = |(Oid(oid), plain_name, name, is_valid, is_worked_on)| Index {
            oid,
            plain_name,
            name,
            is_valid,
            is_worked_on,
        };
        Ok(rows.into_iter().map(index).collect())
    }

    /// Whether the table of a concurrent statement can be found by the name in the statement.
    ///
    /// # Errors
    /// When the query failed.
    pub async fn table_is_there(&mut self, statement: &Concurrent) -> Result<bool, DatabaseError> {
        let (Concurrent::Build { table: name, .. } | Concurrent::Rebuild { relation: Some(name) }) =
            statement
        else {
            return Ok(false);
        };
        self.value(format!("SELECT to_regclass({}) IS NOT NULL", quoted_literal(name))).await
    }

    /// Whether no partition is known to be half detached.
    pub async fn nothing_is_pending(&mut self) -> bool {
        let sql = "SELECT NOT EXISTS (SELECT FROM pg_inherits WHERE inhdetachpending)";
        self.value(sql.to_owned()).await.unwrap_or(false)
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
        let results = self.rows(sql).await.map_err(|failed| failed.error)?;
        let rows = read(results.first().map(Vec::as_slice).unwrap_or_default())?;
        let begun = |(version, statement, checksum, index_existed, is_finished): Row| {
            Ok(Begun {
                version: Version(version),
                statement: usize::try_from(statement).unwrap_or(usize::MAX),
                checksum: recorded(&checksum)?,
                index_existed,
                is_finished,
            })
        };
        Ok(Some(rows.into_iter().map(begun).collect::<Result<_, DatabaseError>>()?))
    }
}

type Row = (i64, i32, String, bool, bool);
