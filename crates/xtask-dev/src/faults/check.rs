//! The independent check: what is in a database, by plain SQL and pg_dump, beside what a run without faults leaves.

use std::time::{Duration, Instant};

use sha2::{Digest, Sha384};

use super::scenario::Scenario;
use super::server::Server;

/// What there is to compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DatabaseContent {
    schema: String,
    /// Each table with its number of rows, and what they hold.
    tables: String,
}

/// Writes the query that counts and digests the rows of every table.
const TABLES: &str = r"
SELECT coalesce(string_agg(format(
  'SELECT %L, count(*), md5(coalesce(string_agg(t::text, chr(10) ORDER BY t::text), chr(48))) FROM %s AS t',
  c.relname, c.oid::regclass), ' UNION ALL ' ORDER BY c.relname), 'SELECT 1 WHERE false')
FROM pg_class c
WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND c.relname <> '_sqlx_migrations'";

impl DatabaseContent {
    pub(super) fn of(server: &Server, database: &str) -> anyhow::Result<Self> {
        let tables = server.sql(database, &server.sql(database, TABLES)?)?;
        Ok(Self { schema: server.schema(database)?, tables })
    }
}

/// The bookkeeping, beside what is left behind.
const ROWS: &str =
    "SELECT version, description, success, encode(checksum, 'hex') FROM _sqlx_migrations ORDER BY 1, 2";

const LEFT: &str = "
SELECT 'an invalid index: ' || indexrelid::regclass FROM pg_index WHERE NOT indisvalid
UNION ALL SELECT 'the table ' || oid::regclass FROM pg_class WHERE relname = '_run_migrations_progress'
UNION ALL SELECT format('an advisory lock (%s, %s) of pid %s', classid, objid, pid) FROM pg_locks
  WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
UNION ALL SELECT format('the session %s (%s, %s)', application_name, state, left(query, 60)) FROM pg_stat_activity
  WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
  AND application_name <> 'campaign'";

/// How long the last session may take to go, once its job has.
const GOING: Duration = Duration::from_secs(15);

/// Everything that is not as it should be.
pub(super) fn violations(
    server: &Server,
    database: &str,
    scenario: &Scenario,
    reference: &DatabaseContent,
) -> anyhow::Result<Vec<String>> {
    let mut violations = Vec::new();
    let start = Instant::now();
    let mut left = server.sql(database, LEFT)?;
    while !left.is_empty() && start.elapsed() < GOING {
        std::thread::sleep(Duration::from_millis(50));
        left = server.sql(database, LEFT)?;
    }
    violations.extend(left.lines().map(|what| format!("left behind: {what}")));
    let expected = bookkeeping(scenario);
    let rows = server.sql(database, ROWS)?;
    if rows != expected {
        violations.push(format!("the bookkeeping is\n{rows}\n    instead of\n{expected}"));
    }
    let content = DatabaseContent::of(server, database)?;
    if content.tables != reference.tables {
        violations.push(format!("the rows are\n{}\n    instead of\n{}", content.tables, reference.tables));
    }
    if content.schema != reference.schema {
        violations.push(format!("the schema differs: {}", difference(&content.schema, &reference.schema)));
    }
    Ok(violations)
}

fn bookkeeping(scenario: &Scenario) -> String {
    let row = |(version, description, text): (i64, String, &str)| {
        let checksum: String = Sha384::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{version}|{description}|t|{checksum}")
    };
    scenario.applied_at_the_end().into_iter().map(row).collect::<Vec<_>>().join("\n")
}

/// The lines that only one of them has.
fn difference(is: &str, should_be: &str) -> String {
    let only = |a: &str, b: &str, sign: &str| -> Vec<String> {
        a.lines()
            .filter(|line| !b.lines().any(|other| other == *line))
            .map(|line| format!("{sign}{line}"))
            .collect()
    };
    let lines = [only(is, should_be, "+"), only(should_be, is, "-")].concat();
    if lines.is_empty() { "only in the order of its lines".to_owned() } else { lines.join(" ⏎ ") }
}

#[cfg(test)]
mod tests {
    #[test]
    fn differences_are_told() {
        for (is, should_be, told) in [
            ("a\nb", "a\nc", "+b ⏎ -c"),
            ("a\nb", "b\na", "only in the order of its lines"),
            ("a", "a\nb", "-b"),
        ] {
            assert_eq!(super::difference(is, should_be), told);
        }
    }
}
