//! Whether a table is what it is taken for: an ordinary one, on which nobody whom the role does not
//! trust anyway has hung code. Whatever runs when our role reads or writes a table runs with its rights.
//!
//! Trusted are superusers, the database's owner, and the roles whose rights ours has: itself, and those that it
//! is a member of. All of them could have had their way without the table.

use super::{BOOKKEEPING, PROGRESS, quoted_literal};

/// Oids and places of the relations to judge, from the schemas that [`super::path::LEARN`] noted. What
/// comes first on the path is what an unqualified name means; of a schema that the role can't use, the
/// name says that something is there.
pub fn on_the_path(names: &[&str]) -> String {
    let names: Vec<_> = names.iter().map(|name| quoted_literal(name)).collect();
    format!(
        "SELECT c.oid, s.place, s.may_use
           FROM (SELECT n.oid, place, true
                   FROM unnest(current_setting('run_migrations.schemas')::name[]) WITH ORDINALITY AS p (name, place)
                   JOIN pg_namespace n ON n.nspname = p.name AND n.oid <> pg_my_temp_schema()
                 UNION ALL
                 SELECT n.oid, 1000000, false
                   FROM pg_namespace n
                  WHERE NOT has_schema_privilege(n.oid, 'USAGE') AND n.nspname::text IN (
                        SELECT replace(btrim(part, ' \"'), '$user', current_user)
                          FROM unnest(string_to_array(current_setting('run_migrations.search_path'), ',')) AS part)
                ) AS s (oid, place, may_use)
           JOIN pg_class c ON c.relnamespace = s.oid AND c.relname IN ({})",
        names.join(", ")
    )
}

/// One relation by the literal of its qualified name.
fn named(literal: &str) -> String {
    format!("SELECT to_regclass({literal})::oid AS oid, 1 AS place, true AS may_use")
}

/// The roles that may hang code on a table that ours works with.
const TRUSTED: &str = "\
mine (oid) AS (
    SELECT oid FROM pg_roles WHERE rolname = current_user
    UNION SELECT m.roleid FROM pg_auth_members m JOIN mine ON m.member = mine.oid
), trusted (oid) AS (
    SELECT oid FROM mine
    UNION SELECT oid FROM pg_roles WHERE rolsuper OR rolname = 'pg_database_owner'
    UNION SELECT datdba FROM pg_database WHERE datname = current_database()
)";

/// Everything that belongs to table `c` and can call something, and whether planning a mere query may call it:
/// the planner computes what is constant in the expressions of an index.
const PARTS: &str = "\
SELECT 'pg_class'::regclass, c.oid, false
UNION ALL SELECT 'pg_class'::regclass, indexrelid, true FROM pg_index WHERE indrelid = c.oid
UNION ALL SELECT 'pg_statistic_ext'::regclass, oid, true FROM pg_statistic_ext WHERE stxrelid = c.oid
UNION ALL SELECT 'pg_constraint'::regclass, oid, false FROM pg_constraint WHERE conrelid = c.oid
UNION ALL SELECT 'pg_attrdef'::regclass, oid, false FROM pg_attrdef WHERE adrelid = c.oid
UNION ALL SELECT 'pg_trigger'::regclass, oid, false FROM pg_trigger WHERE tgrelid = c.oid
UNION ALL SELECT 'pg_policy'::regclass, oid, false FROM pg_policy WHERE polrelid = c.oid
UNION ALL SELECT 'pg_rewrite'::regclass, oid, false FROM pg_rewrite WHERE ev_class = c.oid";

/// What a role other than the trusted ones can change, and a part of the table calls. Built-in things
/// have no entry in `pg_depend`.
fn foreign_code() -> String {
    format!(
        "SELECT min(what) FILTER (WHERE part.is_planned) AS planned, min(what) AS called
           FROM ({PARTS}) AS part (classid, objid, is_planned)
           JOIN pg_depend d ON d.classid = part.classid AND d.objid = part.objid
           LEFT JOIN pg_proc f ON d.refclassid = 'pg_proc'::regclass AND f.oid = d.refobjid
           LEFT JOIN pg_type t ON d.refclassid = 'pg_type'::regclass AND t.oid = d.refobjid
           LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
           LEFT JOIN pg_proc of ON of.oid = o.oprcode
          CROSS JOIN LATERAL (VALUES (f.proowner), (t.typowner), (o.oprowner), (of.proowner)) AS owner (oid)
          CROSS JOIN LATERAL (SELECT format('%s of role %I', pg_describe_object(d.refclassid, d.refobjid, 0),
                                            pg_get_userbyid(owner.oid))) AS described (what)
          WHERE owner.oid NOT IN (SELECT oid FROM trusted)"
    )
}

/// The columns that are read and written, with types that call nothing but built-in functions.
fn columns() -> String {
    let of = |table: &str, columns: &[(&str, &str)]| {
        let row = |(name, kind): &(&str, &str)| format!("('{table}', '{name}', '{kind}'::regtype)");
        columns.iter().map(row).collect::<Vec<_>>().join(", ")
    };
    [
        of(
            BOOKKEEPING,
            &[
                ("version", "int8"),
                ("description", "text"),
                ("installed_on", "timestamptz"),
                ("success", "bool"),
                ("checksum", "bytea"),
                ("execution_time", "int8"),
            ],
        ),
        of(
            PROGRESS,
            &[
                ("version", "int8"),
                ("statement", "int4"),
                ("checksum", "bytea"),
                ("index_existed", "bool"),
                ("started_at", "timestamptz"),
                ("finished_at", "timestamptz"),
            ],
        ),
    ]
    .join(", ")
}

/// Judges the relations of a query: one row for each, in the order of the path. `reading` and `writing`
/// say why the role had better not; they are null where nothing speaks against it.
pub fn judged(candidates: &str) -> String {
    format!(
        "WITH RECURSIVE {TRUSTED}, candidate AS ({candidates}), judged AS (
    SELECT c.oid, n.nspname::text AS schema, c.relname::text AS name, candidate.place, candidate.may_use,
           n.oid AS namespace, pg_get_userbyid(c.relowner)::text AS owner,
           c.relowner IN (SELECT oid FROM trusted) AS is_trusted,
           CASE
             WHEN c.relkind <> 'r' THEN 'it is not an ordinary table, but '
                  || CASE c.relkind WHEN 'v' THEN 'a view' WHEN 'm' THEN 'a materialized view' WHEN 'f' THEN 'a foreign table'
                                    WHEN 'p' THEN 'a partitioned table' ELSE 'something else' END
             WHEN EXISTS (SELECT FROM pg_inherits i WHERE c.oid IN (i.inhrelid, i.inhparent))
                  THEN 'it is a part of an inheritance tree'
             WHEN c.relname = 'alembic_version' AND NOT EXISTS (
                  SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'version_num' AND a.attnum > 0
                     AND a.atttypid IN ('text'::regtype, 'varchar'::regtype))
               OR EXISTS (
                  SELECT FROM (VALUES {columns}) AS w (relname, attname, atttypid)
                   WHERE w.relname = c.relname AND NOT EXISTS (
                         SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = w.attname
                            AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid = w.atttypid))
                  THEN 'its columns are not the expected ones'
             WHEN code.planned IS NOT NULL THEN 'it calls ' || code.planned
           END AS reading,
           CASE
             WHEN c.relowner NOT IN (SELECT oid FROM trusted)
                  THEN format('it belongs to role %I, which could have triggers run with the rights of role %I',
                              pg_get_userbyid(c.relowner), current_user)
             WHEN c.relpersistence <> 'p' THEN 'it is a temporary or an unlogged table'
             WHEN EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = c.oid) THEN 'it has rules'
             WHEN code.called IS NOT NULL THEN 'it calls ' || code.called
           END AS writing,
           coalesce((SELECT string_agg(format('%s:%s', g.oid, g.xmin), ' ' ORDER BY g.oid)
              FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal), '') AS triggers
      FROM candidate
      JOIN pg_class c USING (oid)
      JOIN pg_namespace n ON n.oid = c.relnamespace
      CROSS JOIN LATERAL ({code}) AS code
)",
        columns = columns(),
        code = foreign_code(),
    )
}

/// What our own check raises, by casting it to a number.
pub const NOT_ORDINARY: &str = "what is called so is not our table: ";

/// SQL that fails where the table of this name is not one to read, in a transaction that has locked it.
pub(super) fn read_only_if_ordinary(table: &str) -> String {
    raise_unless_null(&quoted_literal(table), "reading")
}

/// SQL that fails where the table of this name is not one to write to, in a transaction. Nobody can hang
/// anything on it from then on.
pub fn write_only_if_ordinary(table: &str) -> String {
    write_only_if(table, &quoted_literal(table))
}

/// The same with the name once as SQL and once as a literal.
pub fn write_only_if(table: &str, literal: &str) -> String {
    let check = raise_unless_null(literal, "coalesce(reading, writing)");
    format!("LOCK TABLE ONLY {table} IN ROW EXCLUSIVE MODE;\n{check}")
}

fn raise_unless_null(literal: &str, problem: &str) -> String {
    format!(
        "{} SELECT CASE WHEN {problem} IS NULL THEN 1 ELSE concat('{NOT_ORDINARY}', {problem})::int END \
         AS run_migrations_checked FROM judged",
        judged(&named(literal))
    )
}
