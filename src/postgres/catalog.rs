//! What one look at the server tells.

use foreign_text::one_line;
use sqlx::postgres::PgRow;
use sqlx::postgres::types::Oid;
use sqlx::{FromRow, Row as _};

use crate::postgres::judgement::{judged, on_the_path, schema_problem};
use crate::postgres::other_bookkeeping::{OtherBookkeeping, candidates};
use crate::postgres::query::{first, read};
use crate::postgres::sql::{PROGRESS, quoted_identifier};
use crate::postgres::table::Column;
use crate::postgres::trusted::TRUSTED;
use crate::postgres::{DatabaseError, Table};
use migration_core::BOOKKEEPING;

/// What one look at the server tells.
#[derive(Clone, Debug, Default)]
pub(crate) struct DatabaseInfo {
    pub(crate) database: String,
    /// Where the bookkeeping table would be made: the first schema of the role's search path in which it may
    /// create; the first of all where it may in none; `None` where the path has no schema.
    pub(crate) schema: Option<String>,
    pub(crate) search_path: String,
    /// The schema in which a script's objects are created that name none: the first of the path that is there.
    pub(crate) first_schema: Option<String>,
    /// A few of the schemas off the path that hold a table of the bookkeeping's name, whoever made it.
    pub(crate) elsewhere: Vec<String>,
    /// Why no table in `schema` could be trusted.
    pub(crate) schema_problem: Option<String>,
    pub(crate) user: String,
    pub(crate) pid: i32,
    pub(crate) is_standby: bool,
    pub(crate) is_read_only: bool,
    pub(crate) may_create: bool,
    /// Whether a commit is reported before it is safe on disk.
    pub(crate) commits_lazily: bool,
    /// How many object locks the server can hold altogether.
    pub(crate) lock_slots: i64,
    /// What `_sqlx_migrations` means on the role's own search path, if anything.
    pub(crate) bookkeeping: Option<Table>,
    /// What there is under the progress table's name beside it.
    pub(crate) progress: Option<Table>,
    /// The bookkeeping of other tools on the path.
    pub(crate) others: Vec<OtherBookkeeping>,
}

impl DatabaseInfo {
    /// The bookkeeping table that there is, or that would be made.
    pub(crate) fn home(&self) -> Option<Table> {
        let new = |schema| Table {
            writing: self.schema_problem.clone().filter(|_| self.may_create),
            ..Table::new_in(schema)
        };
        self.bookkeeping.clone().or_else(|| self.schema.as_deref().map(new))
    }

    /// A script's objects would be created beside another history than the one that is read. Where the role may
    /// create in the bookkeeping's schema alone, that is where it works.
    pub(crate) fn odd_place(&self) -> Option<String> {
        let (table, first) = (self.bookkeeping.as_ref()?, self.first_schema.as_ref()?);
        let may_create_in_first = self.may_create && self.schema.as_ref() == Some(first);
        let is_odd = *first != table.schema && (may_create_in_first || !table.may_create);
        is_odd.then(|| {
            format!(
                "the bookkeeping was found in schema {}, but what a script creates without naming a schema goes to {}, \
                 the first schema on the search path ({})",
                quoted_identifier(&table.schema),
                quoted_identifier(first),
                one_line(&self.search_path)
            )
        })
    }
}

/// About the server and the role.
fn about() -> String {
    format!(
        "WITH RECURSIVE {TRUSTED}, place AS (
    SELECT n.nspname::text AS name, has_schema_privilege(n.oid, 'CREATE') AS may_create, place
      FROM unnest(current_setting('run_migrations.schemas')::name[]) WITH ORDINALITY AS p (name, place)
      JOIN pg_namespace n ON n.nspname = p.name
     WHERE n.oid <> pg_my_temp_schema() AND n.nspname <> 'pg_catalog'
), path AS (
    SELECT name, may_create FROM place ORDER BY NOT may_create, place LIMIT 1
)
SELECT current_database()::text, (SELECT name FROM path), current_user::text, pg_backend_pid(), pg_is_in_recovery(),
       current_setting('transaction_read_only')::bool, coalesce((SELECT may_create FROM path), false),
       current_setting('synchronous_commit') IN ('off', 'local'),
       current_setting('max_locks_per_transaction')::bigint
         * (current_setting('max_connections')::bigint + current_setting('max_prepared_transactions')::bigint),
       current_setting('run_migrations.search_path'), (SELECT name FROM place ORDER BY place LIMIT 1),
       ARRAY(SELECT n.nspname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
              WHERE c.relname = '_sqlx_migrations' AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
                AND n.nspname NOT IN (SELECT name FROM place)
              ORDER BY 1 LIMIT 4),
       (SELECT {problem} FROM pg_namespace n WHERE n.nspname = (SELECT name FROM path))",
        problem = schema_problem()
    )
}

/// Two queries: about the server and the role, and for the tables on the role's search path.
pub(super) fn around() -> String {
    format!(
        "{};\n{}\nSELECT oid, schema, name, owner, is_trusted, may_use,
       has_table_privilege(oid, 'SELECT') AS may_select,
       array_to_string(ARRAY(SELECT word FROM unnest('{{SELECT,INSERT,UPDATE,DELETE}}'::text[]) WITH ORDINALITY AS w (word, n)
                              WHERE NOT has_table_privilege(oid, word) ORDER BY n), ', ') AS lacks,
       has_schema_privilege(namespace, 'CREATE') AS may_create, coalesce(have, '{{}}') AS have, reading, writing
  FROM judged ORDER BY place, schema",
        about(),
        judged(&format!("{}\nUNION ALL {}", on_the_path(&[BOOKKEEPING, PROGRESS]), candidates()))
    )
}

pub(super) fn info(about: &[PgRow], tables: &[PgRow]) -> Result<DatabaseInfo, DatabaseError> {
    let about = first(read(about)?);
    let mut info: DatabaseInfo =
        about.ok_or_else(|| DatabaseError::Cut("the server answered nothing".to_owned()))?;
    choose(&mut info, read(tables)?);
    Ok(info)
}

/// The first of its name is what the name means; the progress table is the one beside the bookkeeping.
fn choose(info: &mut DatabaseInfo, tables: Vec<Table>) {
    info.bookkeeping = tables.iter().find(|table| table.name == BOOKKEEPING).cloned();
    info.others = tables.iter().filter_map(OtherBookkeeping::of).collect();
    let home = info.home();
    let beside = |table: &&Table| {
        table.name == PROGRESS && home.as_ref().is_some_and(|home| home.schema == table.schema)
    };
    info.progress = tables.iter().find(beside).cloned();
}

/// Column by column of the first query.
impl FromRow<'_, PgRow> for DatabaseInfo {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            database: row.try_get(0)?,
            schema: row.try_get(1)?,
            user: row.try_get(2)?,
            pid: row.try_get(3)?,
            is_standby: row.try_get(4)?,
            is_read_only: row.try_get(5)?,
            may_create: row.try_get(6)?,
            commits_lazily: row.try_get(7)?,
            lock_slots: row.try_get(8)?,
            search_path: row.try_get(9)?,
            first_schema: row.try_get(10)?,
            elsewhere: row.try_get(11)?,
            schema_problem: row.try_get(12)?,
            ..Self::default()
        })
    }
}

/// Each is a name, a space, and the number of a type.
fn columns(have: &[String]) -> Vec<Column> {
    let column = |text: &String| {
        let (name, kind) = text.rsplit_once(' ')?;
        Some(Column { name: name.to_owned(), kind: kind.parse().ok()? })
    };
    have.iter().filter_map(column).collect()
}

impl FromRow<'_, PgRow> for Table {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            oid: row.try_get::<Oid, _>("oid")?.0,
            schema: row.try_get("schema")?,
            name: row.try_get("name")?,
            owner: row.try_get("owner")?,
            is_trusted: row.try_get("is_trusted")?,
            may_use_schema: row.try_get("may_use")?,
            may_select: row.try_get("may_select")?,
            lacks: row.try_get("lacks")?,
            may_create: row.try_get("may_create")?,
            columns: columns(&row.try_get::<Vec<String>, _>("have")?),
            reading: row.try_get("reading")?,
            writing: row.try_get("writing")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(schema: &str, name: &str) -> Table {
        Table { name: name.to_owned(), ..Table::new_in(schema) }
    }

    /// A table of that name in any schema was taken for the bookkeeping, and a second one stopped every run.
    #[test]
    fn a_name_means_the_first_table_on_the_path() {
        let mut info = DatabaseInfo { schema: Some("site".to_owned()), ..DatabaseInfo::default() };
        let tables = [
            table("site", PROGRESS),
            table("public", BOOKKEEPING),
            table("old", BOOKKEEPING),
            table("public", PROGRESS),
        ];
        choose(&mut info, tables.to_vec());
        assert_eq!(info.bookkeeping.unwrap().schema, "public");
        assert_eq!(info.progress.unwrap().schema, "public");
        assert!(info.others.is_empty());
    }

    /// With `t3, t1` and nothing in t3 yet, the history of t1 was taken for that of t3, without a word.
    #[test]
    fn a_bookkeeping_table_behind_the_first_schema_is_odd() {
        for (first, schema, may_create, may_create_beside, is_odd) in [
            ("t1", "t1", true, true, false),
            ("t3", "t3", true, true, true),
            // A reader, who may create nowhere.
            ("t3", "t3", false, false, true),
            ("t1", "t1", false, false, false),
            // The first schema is closed to the role, so it works in the one of the table.
            ("shared", "t1", true, true, false),
            ("shared", "t9", true, false, true),
        ] {
            let info = DatabaseInfo {
                first_schema: Some(first.to_owned()),
                schema: Some(schema.to_owned()),
                may_create,
                bookkeeping: Some(Table { may_create: may_create_beside, ..Table::new_in("t1") }),
                ..DatabaseInfo::default()
            };
            assert_eq!(info.odd_place().is_some(), is_odd, "{first} {schema} {may_create}");
        }
    }

    #[test]
    fn without_one_there_is_a_place_for_it() {
        let mut info = DatabaseInfo { schema: Some("site".to_owned()), ..DatabaseInfo::default() };
        choose(&mut info, vec![table("public", PROGRESS), table("site", PROGRESS)]);
        assert_eq!(info.home().unwrap().qualified(), "\"site\".\"_sqlx_migrations\"");
        assert_eq!(info.progress.unwrap().schema, "site");
    }
}
