//! The tables on the role's path that look like the bookkeeping of another tool.

use migration_core::BOOKKEEPING;
use migration_core::other_tool::OtherTool;

use crate::postgres::Table;
use crate::postgres::sql::{PROGRESS, quoted_literal};

/// A table of another tool.
#[derive(Clone, Debug)]
pub(crate) struct OtherBookkeeping {
    pub(crate) tool: &'static OtherTool,
    pub(crate) table: Table,
}

impl OtherBookkeeping {
    /// What a table is, if it is neither of ours.
    pub(super) fn of(table: &Table) -> Option<Self> {
        if [BOOKKEEPING, PROGRESS].contains(&table.name.as_str()) {
            return None;
        }
        let columns: Vec<_> = table.columns.iter().map(|column| column.name.as_str()).collect();
        let tool = OtherTool::of(&table.name, &columns)?;
        Some(Self { tool, table: table.clone() })
    }
}

/// Oids and places of those that may be one; their columns tell. Without a limit, behind which somebody could hide the
/// one that matters.
pub(super) fn candidates() -> String {
    let list = |words: Vec<&str>| words.into_iter().map(quoted_literal).collect::<Vec<_>>().join(", ");
    let (columns, names) = OtherTool::marks();
    format!(
        "(SELECT c.oid, place, true
            FROM unnest(current_setting('run_migrations.schemas')::name[]) WITH ORDINALITY AS p (name, place)
            JOIN pg_namespace n ON n.nspname = p.name AND n.oid <> pg_my_temp_schema()
            JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p') AND c.relnatts <= 32
           WHERE c.relname NOT IN ({ours})
             AND (c.relname IN ({names}) OR EXISTS (
                   SELECT FROM pg_attribute a
                    WHERE a.attrelid = c.oid AND NOT a.attisdropped AND a.attname IN ({columns}))))",
        ours = list(vec![BOOKKEEPING, PROGRESS]),
        names = list(names),
        columns = list(columns),
    )
}
