//! Whether a table is what it is taken for: an ordinary one of somebody who is [trusted](super::trusted), with no code
//! hung on it. Whatever runs when our role writes to a table runs with its rights.

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

/// What table `c` has that the job never puts there and that can call something. Whoever has held TRIGGER on it may
/// have made a trigger, and of whom the catalog says nothing; whoever has owned it may have made the rest. Functions of
/// the server's own are no better than others: `query_to_xml` runs any text. A default without a call is a constant.
const PARTS: &str = "\
SELECT format('the trigger %I', tgname) FROM pg_trigger WHERE tgrelid = c.oid
UNION ALL SELECT format('the rule %I', rulename) FROM pg_rewrite WHERE ev_class = c.oid
UNION ALL SELECT format('the policy %I', polname) FROM pg_policy WHERE polrelid = c.oid
UNION ALL SELECT format('the constraint %I', conname) FROM pg_constraint
           WHERE conrelid = c.oid AND contype NOT IN ('p', 'u', 'n')
UNION ALL SELECT format('a default for column %I', a.attname)
            FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
           WHERE d.adrelid = c.oid AND pg_get_expr(d.adbin, d.adrelid) NOT IN ('now()', 'clock_timestamp()')
             AND pg_get_expr(d.adbin, d.adrelid) LIKE '%(%'
UNION ALL SELECT format('column %I of a type that is not built in', attname) FROM pg_attribute
           WHERE attrelid = c.oid AND attnum > 0 AND atttypid >= 16384
UNION ALL SELECT format('the index %I', x.relname) FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
           WHERE i.indrelid = c.oid
             AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL OR 16384 <= ANY (i.indclass::oid[]))
UNION ALL SELECT format('the statistics %I', stxname) FROM pg_statistic_ext s
           WHERE stxrelid = c.oid AND to_jsonb(s) ->> 'stxexprs' IS NOT NULL";

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

/// Why a table in schema `n` had better not be written to, whoever it belongs to; null where nothing speaks against it.
pub(super) fn schema_problem() -> String {
    format!(
        "CASE WHEN n.nspowner NOT IN (SELECT oid FROM trusted)
              THEN format('its schema %I belongs to role %I, %s could put another table in its place; have that changed with: '
                          'ALTER SCHEMA %1$I OWNER TO %4$I', n.nspname, pg_get_userbyid(n.nspowner), {}, current_user) END",
        actor("n.nspowner")
    )
}

/// Judges the relations of a query: one row for each, in the order of the path. `reading` and `writing`
/// say why the role had better not; they are null where nothing speaks against it.
pub(crate) fn judged(candidates: &str) -> String {
    format!(
        "WITH RECURSIVE {TRUSTED}, candidate AS ({candidates}), judged AS (
    SELECT c.oid, n.nspname::text AS schema, c.relname::text AS name, candidate.place, candidate.may_use,
           n.oid AS namespace, pg_get_userbyid(c.relowner)::text AS owner,
           c.relowner IN (SELECT oid FROM trusted) AS is_trusted, columns.have,
           CASE
             WHEN c.relkind <> 'r' THEN 'it is not an ordinary table, but '
                  || CASE c.relkind WHEN 'v' THEN 'a view' WHEN 'm' THEN 'a materialized view' WHEN 'f' THEN 'a foreign table'
                                    WHEN 'p' THEN 'a partitioned table' ELSE 'something else' END
             WHEN EXISTS (SELECT FROM pg_inherits i WHERE c.oid IN (i.inhrelid, i.inhparent))
                  THEN 'it is a part of an inheritance tree'
             WHEN NOT coalesce(columns.have, '{{}}') @> {COLUMNS}
                  THEN 'its columns are not the expected ones'
           END AS reading,
           coalesce(CASE
             WHEN c.relowner NOT IN (SELECT oid FROM trusted)
                  THEN format('it belongs to role %I, %s could have triggers run with the rights of role %I',
                              pg_get_userbyid(c.relowner),
                              {by_table}, current_user)
           END, {schema}, CASE
             WHEN EXISTS (SELECT FROM pg_constraint k WHERE k.contype = 'f' AND k.confrelid = c.oid)
                  THEN (SELECT format('it is what the foreign key %I of table %s refers to', min(k.conname), min(k.conrelid::regclass::text))
                          FROM pg_constraint k WHERE k.contype = 'f' AND k.confrelid = c.oid)
             WHEN c.relpersistence <> 'p' THEN 'it is a temporary or an unlogged table'
             ELSE (SELECT format('it has %s, which could run anything with the rights of role %I', min(part), current_user)
                     FROM ({PARTS}) AS parts (part) HAVING count(*) > 0)
           END) AS writing
      FROM candidate
      JOIN pg_class c USING (oid)
      JOIN pg_namespace n ON n.oid = c.relnamespace
      CROSS JOIN LATERAL (
        SELECT array_agg(a.attname::text || ' ' || a.atttypid ORDER BY a.attnum) AS have
          FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns
)",
        by_table = actor("c.relowner"),
        schema = schema_problem(),
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
