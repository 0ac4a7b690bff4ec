//! What the catalog and the progress table say of a partially applied script.

use sqlx::postgres::types::Oid;

use crate::postgres::copy::Fields;
use crate::postgres::query::read;
use crate::postgres::sql::quoted_literal;
use crate::postgres::{DatabaseError, Error, ScriptPath, Session};
use migration_core::Version;
use migration_core::resume::{Begun, Index};
use migration_core::statement::Concurrent;

/// The relation that a name in a script was found to mean.
const NAMED: &str = "SELECT nullif(current_setting('run_migrations.relation'), '')::oid AS oid";

impl Session {
    /// The indexes of the table that a concurrent statement is about, as they are now; none where the
    /// table can't be found by the name in the statement, on this path.
    pub(crate) async fn indexes_of(
        &mut self,
        statement: &Concurrent,
        path: ScriptPath,
    ) -> Result<Vec<Index>, DatabaseError> {
        let (name, which) = match statement {
            Concurrent::Build { table, .. } => (table.as_str(), "i.indrelid = (SELECT oid FROM named)"),
            // A partitioned one is rebuilt part by part; the tree of any other is itself.
            Concurrent::Rebuild { relation: Some(relation) } => (
                relation.as_str(),
                "i.indrelid IN (WITH parts AS (SELECT r.oid, r.reltoastrelid FROM pg_class r \
                 WHERE r.oid = (SELECT oid FROM named) \
                 OR r.oid IN (SELECT relid FROM pg_partition_tree((SELECT oid::regclass FROM named)))) \
                 SELECT oid FROM parts UNION SELECT reltoastrelid FROM parts \
                 UNION SELECT indrelid FROM pg_index WHERE indexrelid IN (SELECT oid FROM parts))",
            ),
            Concurrent::Rebuild { relation: None } => ("", "true"),
        };
        let sql = format!(
            "{}WITH named AS ({NAMED}) \
             SELECT c.oid, c.relname::text, format('%I.%I', n.nspname, c.relname), i.indisvalid, \
             EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'relation' AND l.relation = i.indrelid \
             AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
             AND l.mode = 'ShareUpdateExclusiveLock' AND l.granted AND l.pid <> pg_backend_pid()) \
             FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE {which} ORDER BY 1",
            self.naming(name, path)
        );
        let results = self.rows(sql).await.map_err(|failed| failed.error)?;
        let rows = read(results.last().map(Vec::as_slice).unwrap_or_default())?;
        let index = |(Oid(oid), plain_name, name, is_valid, is_worked_on)| Index {
            oid,
            plain_name,
            name,
            is_valid,
            is_worked_on,
        };
        Ok(rows.into_iter().map(index).collect())
    }

    /// What goes before a query about a name in a script: looks it up where the script would, and nothing else.
    fn naming(&self, name: &str, path: ScriptPath) -> String {
        let name = if name.is_empty() { "NULL".to_owned() } else { quoted_literal(name) };
        format!(
            "{};\nSELECT pg_catalog.set_config('run_migrations.relation', \
             COALESCE(pg_catalog.to_regclass({name})::pg_catalog.oid::pg_catalog.text, ''), true);\n{}",
            path.go(),
            self.for_now()
        )
    }

    pub(crate) async fn table_is_there(
        &mut self,
        statement: &Concurrent,
        path: ScriptPath,
    ) -> Result<bool, DatabaseError> {
        let (Concurrent::Build { table: name, .. } | Concurrent::Rebuild { relation: Some(name) }) =
            statement
        else {
            return Ok(false);
        };
        let naming = self.naming(name, path);
        self.value(format!("{naming}SELECT oid IS NOT NULL FROM ({NAMED}) AS named")).await
    }

    /// Whether no partition is known to be half detached.
    pub(crate) async fn nothing_is_pending(&mut self) -> bool {
        let sql = "SELECT NOT EXISTS (SELECT FROM pg_inherits WHERE inhdetachpending)";
        self.value(format!("{}{sql}", self.for_now())).await.unwrap_or(false)
    }

    pub(crate) async fn progress(&mut self) -> Result<Option<Vec<Begun>>, Error> {
        let Some(table) = self.info.progress.clone() else { return Ok(None) };
        let user = &self.info.user;
        if let Some(problem) = table.distrusted(user).or_else(|| table.unreadable(user)) {
            return Err(Error::Refused(problem));
        }
        let columns = ["version", "statement", "checksum", "index_existed", "finished_at"];
        let mut begun = self
            .read_table(&table, &columns, begun)
            .await
            .map_err(|source| Error::query("reading how far a script came", source))?;
        begun.sort_by_key(|begun| begun.statement);
        Ok(Some(begun))
    }
}

fn begun(row: &mut Fields<'_>) -> Result<Begun, DatabaseError> {
    Ok(Begun {
        version: Version(row.long()?),
        statement: usize::try_from(row.int()?).unwrap_or(usize::MAX),
        checksum: row.checksum()?,
        index_existed: row.truth()?,
        is_finished: !row.is_null(),
    })
}
