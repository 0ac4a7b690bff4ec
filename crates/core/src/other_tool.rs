//! The bookkeeping tables of other tools, known by their columns, and where such a table says that its history is.
//!
//! Whoever configures such a tool may call its table anything; the columns stay. Where these are those of many a table,
//! the name is asked for as well. The columns are from the tools' own sources and documentation, in their versions of 2026.

/// A tool, and how its table is known and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherTool {
    /// What people call it.
    pub name: &'static str,
    /// Columns that the table has.
    has: &'static [&'static str],
    /// Whether it has no other ones.
    is_all: bool,
    /// What the table is called by default; any name will do where this is empty.
    called: &'static [&'static str],
    /// The column that grows with each migration, and the one that names it; without the first, each row says where the
    /// history is.
    newest: (Option<&'static str>, &'static str),
}

const fn exactly(
    name: &'static str,
    has: &'static [&'static str],
    newest: (Option<&'static str>, &'static str),
) -> OtherTool {
    OtherTool { name, has, is_all: true, called: &[], newest }
}

const fn with(
    name: &'static str,
    has: &'static [&'static str],
    newest: (Option<&'static str>, &'static str),
) -> OtherTool {
    OtherTool { name, has, is_all: false, called: &[], newest }
}

const fn named(
    name: &'static str,
    called: &'static [&'static str],
    has: &'static [&'static str],
    newest: (Option<&'static str>, &'static str),
) -> OtherTool {
    OtherTool { name, has, is_all: true, called, newest }
}

/// Those that are known. The first that fits is the one.
pub const OTHER_TOOLS: [OtherTool; 25] = [
    exactly("Alembic", &["version_num"], (None, "version_num")),
    exactly(
        "sqlx, under another name",
        &["version", "description", "installed_on", "success", "checksum", "execution_time"],
        (Some("version"), "version"),
    ),
    with(
        "Flyway",
        &["installed_rank", "version", "script", "installed_by"],
        (Some("installed_rank"), "version"),
    ),
    with(
        "Liquibase",
        &["id", "author", "filename", "orderexecuted", "md5sum", "exectype"],
        (Some("orderexecuted"), "id"),
    ),
    exactly("golang-migrate", &["version", "dirty"], (None, "version")),
    exactly("goose", &["id", "version_id", "is_applied", "tstamp"], (Some("id"), "version_id")),
    exactly("Django", &["id", "app", "name", "applied"], (Some("id"), "name")),
    with(
        "Prisma",
        &["id", "checksum", "migration_name", "started_at", "applied_steps_count"],
        (Some("started_at"), "migration_name"),
    ),
    exactly("Diesel", &["version", "run_on"], (Some("version"), "version")),
    exactly("refinery", &["version", "name", "applied_on", "checksum"], (Some("version"), "version")),
    with(
        "Sqitch",
        &["change_id", "change", "project", "committed_at", "planner_name"],
        (Some("committed_at"), "change"),
    ),
    exactly("knex", &["id", "name", "batch", "migration_time"], (Some("id"), "name")),
    with(
        "Atlas",
        &["version", "applied", "executed_at", "partial_hashes", "operator_version"],
        (Some("executed_at"), "version"),
    ),
    exactly(
        "yoyo",
        &["migration_hash", "migration_id", "applied_at_utc"],
        (Some("applied_at_utc"), "migration_id"),
    ),
    exactly("Entity Framework", &["MigrationId", "ProductVersion"], (Some("MigrationId"), "MigrationId")),
    named("Ecto", &["schema_migrations"], &["version", "inserted_at"], (Some("version"), "version")),
    named("dbmate or Rails", &["schema_migrations"], &["version"], (Some("version"), "version")),
    named("tern", &["schema_version"], &["version"], (Some("version"), "version")),
    named("node-pg-migrate", &["pgmigrations"], &["id", "name", "run_on"], (Some("id"), "name")),
    named(
        "TypeORM",
        &["migrations", "typeorm_migrations"],
        &["id", "timestamp", "name"],
        (Some("id"), "name"),
    ),
    named("Laravel", &["migrations"], &["id", "migration", "batch"], (Some("id"), "migration")),
    named("Sequelize", &["SequelizeMeta"], &["name"], (Some("name"), "name")),
    named("MikroORM", &["mikro_orm_migrations"], &["id", "name", "executed_at"], (Some("id"), "name")),
    named("Drizzle", &["__drizzle_migrations"], &["id", "hash", "created_at"], (Some("created_at"), "hash")),
    named("sql-migrate", &["gorp_migrations"], &["id", "applied_at"], (Some("applied_at"), "id")),
];

impl OtherTool {
    /// The tool whose table has this name and these columns.
    pub fn of(table: &str, columns: &[&str]) -> Option<&'static Self> {
        OTHER_TOOLS.iter().find(|tool| {
            tool.has.iter().all(|column| columns.contains(column))
                && (!tool.is_all || columns.len() == tool.has.len())
                && (tool.called.is_empty() || tool.called.contains(&table))
        })
    }

    /// The column that grows with each migration, and the one that names it; without the first, each row says where the
    /// history is.
    pub fn newest(&self) -> (Option<&'static str>, &'static str) {
        self.newest
    }

    /// For a first look at the catalog: no table is one of these that has none of these columns and none of these
    /// names.
    pub fn marks() -> (Vec<&'static str>, Vec<&'static str>) {
        let by_columns = OTHER_TOOLS.iter().filter(|tool| tool.called.is_empty());
        let rarest = |tool: &Self| {
            let uses =
                |column: &&&str| OTHER_TOOLS.iter().filter(|other| other.has.contains(*column)).count();
            // Of those that no other tool has, the longest is the least like a column of an application.
            tool.has.iter().min_by_key(|column| (uses(column), usize::MAX - column.len())).copied()
        };
        let names = OTHER_TOOLS.iter().flat_map(|tool| tool.called).copied();
        (by_columns.filter_map(rarest).collect(), names.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_known_by_its_columns() {
        for (table, columns, tool) in [
            ("alembic_version", &["version_num"][..], Some("Alembic")),
            ("shop_revisions", &["version_num"], Some("Alembic")),
            ("migrations", &["version", "dirty"], Some("golang-migrate")),
            ("schema_migrations", &["version"], Some("dbmate or Rails")),
            ("schema_migrations", &["version", "inserted_at"], Some("Ecto")),
            ("versions", &["version"], None),
            ("people", &["id", "name"], None),
            ("orders", &["version_num", "id"], None),
            (
                "history",
                &["success", "version", "description", "installed_on", "checksum", "execution_time"],
                Some("sqlx, under another name"),
            ),
        ] {
            assert_eq!(OtherTool::of(table, columns).map(|tool| tool.name), tool, "{table} {columns:?}");
        }
    }

    #[test]
    fn each_has_the_columns_it_is_read_by_and_a_mark() {
        let (columns, names) = OtherTool::marks();
        for tool in &OTHER_TOOLS {
            let (order, name) = tool.newest;
            assert!(
                order.is_none_or(|order| tool.has.contains(&order)) && tool.has.contains(&name),
                "{}",
                tool.name
            );
            let marked = tool.has.iter().any(|column| columns.contains(column))
                || tool.called.iter().any(|called| names.contains(called));
            assert!(marked, "{}", tool.name);
            let found = OtherTool::of(tool.called.first().unwrap_or(&"any"), tool.has);
            assert_eq!(found.map(|found| found.name), Some(tool.name));
        }
        assert!(!columns.contains(&"id") && !columns.contains(&"name"), "{columns:?}");
    }
}
