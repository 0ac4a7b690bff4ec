//! Whether a table is what it is taken for: an ordinary one, on which nobody has hung code but whoever is
//! [trusted](super::trusted). Whatever runs when our role reads or writes a table runs with its rights.

use crate::postgres::NOT_ORDINARY;
use crate::postgres::sql::quoted_literal;
use crate::postgres::trusted::TRUSTED;

/// Oids and places of the relations to judge, from the schemas that [`super::path::LEARN`] noted. What
/// comes first on the path is what an unqualified name means; of a schema that the role can't use, the
/// name says that something is there.
pub(crate) fn on_the_path(names: &[&str]) -> String {
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

/// Everything that belongs to table `c` and can call something, and whether planning a mere query may call it:
/// the planner computes what is constant in the expressions of an index, or of statistics. The index of a
/// constraint depends on that alone; rules are refused whatever they call.
const PARTS: &str = "\
SELECT 'pg_class'::regclass, c.oid, false
UNION ALL SELECT 'pg_class'::regclass, indexrelid, true FROM pg_index WHERE indrelid = c.oid
UNION ALL SELECT classid, objid, classid = 'pg_statistic_ext'::regclass FROM pg_depend
           WHERE refclassid = 'pg_class'::regclass AND refobjid = c.oid
             AND classid IN ('pg_statistic_ext'::regclass, 'pg_constraint'::regclass, 'pg_attrdef'::regclass,
                             'pg_trigger'::regclass, 'pg_policy'::regclass)";

/// What a role other than the trusted ones can change, and a part of the table calls. Built-in things
/// have no entry in `pg_depend`. An operator is as good as its function.
fn foreign_code() -> String {
    format!(
        "SELECT min(what) FILTER (WHERE is_planned) AS planned, min(what) AS called
           FROM (SELECT is_planned, format('%s of role %I', pg_describe_object(refclassid, refobjid, 0), pg_get_userbyid(owner)) AS what
                   FROM (SELECT part.is_planned, d.refclassid, d.refobjid, unnest(CASE d.refclassid
                                  WHEN 'pg_proc'::regclass THEN ARRAY(SELECT proowner FROM pg_proc WHERE oid = d.refobjid)
                                  WHEN 'pg_type'::regclass THEN ARRAY(SELECT typowner FROM pg_type WHERE oid = d.refobjid)
                                  WHEN 'pg_operator'::regclass THEN
                                    ARRAY(SELECT oprowner FROM pg_operator WHERE oid = d.refobjid) ||
                                    ARRAY(SELECT proowner FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode
                                           WHERE o.oid = d.refobjid) END) AS owner
                           FROM ({PARTS}) AS part (classid, objid, is_planned)
                           JOIN pg_depend d ON d.classid = part.classid AND d.objid = part.objid) AS called
                  WHERE owner NOT IN (SELECT oid FROM trusted)) AS foreigners"
    )
}

/// The columns that are read and written, with types that call nothing but built-in functions, by number:
/// `pg_type.dat` in PostgreSQL's sources.
const COLUMNS: &str = "\
CASE c.relname
  WHEN '_sqlx_migrations' THEN
    '{version 20, description 25, installed_on 1184, success 16, checksum 17, execution_time 20}'::text[]
  WHEN '_run_migrations_progress' THEN
    '{version 20, statement 23, checksum 17, index_existed 16, started_at 1184, finished_at 1184}'::text[]
  ELSE '{}'::text[]
END";

/// Who it is that can act as a role that is not trusted.
fn actor(owner: &str) -> String {
    format!(
        "(SELECT CASE WHEN bool_or(actor = role) THEN 'which'
                      ELSE format('and role %I, which can act as that one,', min(pg_get_userbyid(actor)::text)) END
            FROM stranger WHERE role = {owner})"
    )
}

/// Judges the relations of a query: one row for each, in the order of the path. `reading` and `writing`
/// say why the role had better not; they are null where nothing speaks against it.
pub(crate) fn judged(candidates: &str) -> String {
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
             WHEN NOT columns.have @> {COLUMNS}
               OR c.relname = 'alembic_version' AND NOT columns.have && '{{version_num 25, version_num 1043}}'::text[]
                  THEN 'its columns are not the expected ones'
             WHEN code.planned IS NOT NULL THEN 'it calls ' || code.planned
           END AS reading,
           CASE
             WHEN c.relowner NOT IN (SELECT oid FROM trusted)
                  THEN format('it belongs to role %I, %s could have triggers run with the rights of role %I',
                              pg_get_userbyid(c.relowner),
                              {by_table}, current_user)
             WHEN n.nspowner NOT IN (SELECT oid FROM trusted)
                  THEN format('its schema %I belongs to role %I, %s could put another table in its place; have that changed with: '
                              'ALTER SCHEMA %1$I OWNER TO %4$I', n.nspname, pg_get_userbyid(n.nspowner), {by_schema}, current_user)
             WHEN EXISTS (SELECT FROM pg_constraint k WHERE k.contype = 'f' AND k.confrelid = c.oid)
                  THEN (SELECT format('it is what the foreign key %I of table %s refers to', min(k.conname), min(k.conrelid::regclass::text))
                          FROM pg_constraint k WHERE k.contype = 'f' AND k.confrelid = c.oid)
             WHEN c.relpersistence <> 'p' THEN 'it is a temporary or an unlogged table'
             WHEN EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = c.oid) THEN 'it has rules'
             WHEN code.called IS NOT NULL THEN 'it calls ' || code.called
           END AS writing,
           coalesce((SELECT string_agg(format('%s:%s', g.oid, g.xmin), ' ' ORDER BY g.oid)
              FROM pg_trigger g WHERE g.tgrelid = c.oid), '') AS triggers
      FROM candidate
      JOIN pg_class c USING (oid)
      JOIN pg_namespace n ON n.oid = c.relnamespace
      CROSS JOIN LATERAL (
        SELECT array_agg(a.attname::text || ' ' || a.atttypid ORDER BY a.attnum) AS have
          FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns
      CROSS JOIN LATERAL ({code}) AS code
)",
        code = foreign_code(),
        by_table = actor("c.relowner"),
        by_schema = actor("n.nspowner"),
    )
}

/// SQL that fails where the table of this name is not one to write to, in a transaction. Nobody can hang
/// anything on it from then on.
pub(crate) fn write_only_if_ordinary(table: &str) -> String {
    write_only_if(table, &quoted_literal(table))
}

/// The same with the name once as SQL and once as a literal.
pub(crate) fn write_only_if(table: &str, literal: &str) -> String {
    format!(
        "LOCK TABLE ONLY {table} IN ROW EXCLUSIVE MODE;\n{} \
         SELECT CASE WHEN count(*) = 1 AND count(coalesce(reading, writing)) = 0 THEN 1 \
         ELSE concat('{NOT_ORDINARY}', coalesce(min(coalesce(reading, writing)), 'it is gone'))::int END \
         AS run_migrations_checked FROM judged",
        judged(&named(literal))
    )
}
