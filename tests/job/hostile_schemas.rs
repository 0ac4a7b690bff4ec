//! Whoever may create in a schema on the role's search path can put functions, operators, types and relations there
//! under the names of built-in ones. None of the job's own statements may ever take one of them.

use std::collections::BTreeSet;

use sqlx::raw_sql;

use crate::offline_sql::psql;
use crate::support::{Job, Relay, Role, Setup, quoted, until};

/// They name everything in full: what they call is the role's own business.
const SCRIPTS: &[(&str, &str)] = &[
    ("1_a.up.sql", "CREATE TABLE public.a (b int);\nINSERT INTO public.a VALUES (1), (1);"),
    ("1_a.down.sql", "DROP TABLE public.a;"),
    (
        "2_i.up.sql",
        "-- no-transaction\nCREATE TABLE public.c (d int);\nCREATE INDEX CONCURRENTLY i ON public.a (b);\n\
         VACUUM public.a;\nREINDEX TABLE CONCURRENTLY public.a;\nSET work_mem = '2MB';\n\
         CREATE INDEX CONCURRENTLY j ON public.a (b);\nANALYZE public.c;\n\
         CREATE TABLE public.r (s int) PARTITION BY LIST (s);\n\
         CREATE TABLE public.r1 PARTITION OF public.r FOR VALUES IN (1);\n\
         ALTER TABLE public.r DETACH PARTITION public.r1 CONCURRENTLY;",
    ),
    (
        "2_i.down.sql",
        "-- no-transaction\nDROP INDEX CONCURRENTLY public.i;\nDROP INDEX CONCURRENTLY public.j;\nDROP TABLE public.c;\n\
         DROP TABLE public.r;\nDROP TABLE public.r1;",
    ),
    (
        "3_d.up.sql",
        "CREATE TEMP TABLE p (id int PRIMARY KEY);\n\
         CREATE TEMP TABLE q (id int REFERENCES p DEFERRABLE INITIALLY DEFERRED);\n\
         INSERT INTO q VALUES (1);\nINSERT INTO p VALUES (1);",
    ),
    ("3_d.down.sql", "SELECT 1;"),
];

/// Every command, in the ways that make the job say something else to the server. `run` makes a job of its words.
fn everything(setup: &Setup, run: impl Fn(&str) -> Job) {
    let execute = |sql: &str| setup.database.execute(sql);
    execute(
        "CREATE TABLE public.alembic_version (version_num text); INSERT INTO public.alembic_version VALUES ('x');
         GRANT SELECT ON public.alembic_version TO PUBLIC",
    );
    run("current").run().fails(7, "by Alembic (table \"public\".\"alembic_version\" of role ");
    execute("DROP TABLE public.alembic_version");
    run("current").run().is(0, "base\n  pending  1  a\n  pending  2  i\n  pending  3  d", "");
    run("upgrade head --plan").run().ok();
    run("upgrade head").run().ok();
    run("current --check").run().is(0, "3 (head)", "");
    run("history").run().ok();
    run("downgrade base").run().ok();
    run("upgrade head").env("TRANSACTION", "run").run().ok();
    run("stamp 1").run().ok();
    run("current --check --wait 100ms").run().fails(9, "2 migrations are pending");
    run("stamp head").run().ok();

    setup.directory.write("3_d.up.sql", "-- edited\nSELECT 1;");
    run("upgrade head").run().fails(7, "applied migrations were edited");
    run("stamp current").run().ok();

    // What a failed build leaves is dropped, and a later run goes on with the script.
    setup.directory.write(
        "4_u.sql",
        "-- no-transaction\nANALYZE public.a;\nCREATE UNIQUE INDEX CONCURRENTLY u ON public.a (b);",
    );
    run("upgrade head").run().fails(6, "could not create unique index");
    run("upgrade head --plan").run().ok();
    run("upgrade head").run().fails(6, "could not create unique index");
    run("resolve 4 --retry").run().ok();
    setup.directory.remove("4_u.sql");

    // Somebody is in the way for so long that the watcher tells who; then others wait for the run for too long.
    setup.directory.write("5_b.sql", "ALTER TABLE public.a ADD b5 int;");
    let mut holder = setup.database.connection();
    let held = raw_sql("SET search_path = pg_catalog; BEGIN; LOCK TABLE public.a IN ACCESS SHARE MODE");
    setup.database.block_on(held.execute(&mut holder)).unwrap();
    run("upgrade head").env("LOCK_TIMEOUT", "1500ms").run().fails(4, "it waited for pid N, role ");
    drop(holder);
    setup.directory.write("5_b.sql", "LOCK TABLE public.a;\nSELECT pg_catalog.pg_sleep(600);");
    let job = run("upgrade head").env("MAX_BLOCKING", "200ms").start();
    until("the job sleeps", || setup.database.is_sleeping());
    run("upgrade head").env("RUN_LOCK_TIMEOUT", "100ms").run().fails(4, "it is held by pid N, role ");
    let mut waiter = setup.database.connection();
    let waits = raw_sql(
        "SET search_path = pg_catalog; SET lock_timeout = '20s'; LOCK TABLE public.a IN ACCESS SHARE MODE",
    );
    // A lock outside of a transaction is refused once it is granted.
    let _ = setup.database.block_on(waits.execute(&mut waiter));
    job.wait().fails(4, "others waited for its locks longer than MAX_BLOCKING");
    drop(waiter);
    setup.directory.write("5_b.sql", "SELECT pg_catalog.pg_sleep(600);");
    let job = run("upgrade head").start();
    until("the job sleeps", || setup.database.is_sleeping());
    job.signal("TERM");
    job.wait().fails(143, "terminated by SIGTERM");
    setup.directory.remove("5_b.sql");

    run("downgrade base").run().ok();
    // psql is a superuser here.
    execute("ALTER TABLE public._sqlx_migrations OWNER TO CURRENT_USER");
    for words in ["upgrade --sql base:2", "upgrade --sql 2:head", "downgrade --sql head:base"] {
        let done = psql(&setup.directory, words, &setup.database);
        assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{words}");
    }
}

/// An ordinary role, as migrates in earnest.
fn migrating_role(setup: &Setup) -> Role {
    let role = setup.database.role("secret");
    setup.database.execute(&format!("GRANT CREATE ON SCHEMA public TO {}", quoted(&role.name)));
    role
}

/// Words and operators of what the job says: to the server, by its own account, and to psql.
fn vocabulary() -> (BTreeSet<String>, BTreeSet<String>) {
    let setup = Setup::with(SCRIPTS);
    let relay = Relay::at("127.0.0.1:0");
    let app = migrating_role(&setup);
    everything(&setup, |words| through(&relay, setup.job(words).role(&app)));
    let mut said = relay.said();
    for words in ["upgrade --sql base:head", "downgrade --sql head:base"] {
        said.push_str(&Job::new(words).within(&setup.directory).run().ok().raw_stdout);
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = said.split(|c| !is_word(c)).filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
    let operators = said.split(|c| !"+-*/<>=~!@#%^&|`?".contains(c)).filter(|operator| !operator.is_empty());
    (words, operators.map(str::to_owned).collect())
}

fn through(relay: &Relay, job: Job) -> Job {
    job.env("POSTGRES_HOST", "127.0.0.1").env("POSTGRES_PORT", &relay.port.to_string())
}

fn array(items: &BTreeSet<String>) -> String {
    let items: Vec<_> = items.iter().map(|item| format!("'{}'", item.replace('\'', "''"))).collect();
    format!("ARRAY[{}]::text[]", items.join(", "))
}

/// As a role that may create in `public`, puts something there under each of these names: of the built-in ones'
/// types, and of types that fit better. Each tells of its use by a number that no rollback reverts.
fn plant(setup: &Setup, (words, operators): &(BTreeSet<String>, BTreeSet<String>)) {
    let mallory = setup.database.role("secret");
    let name = quoted(&mallory.name);
    setup.database.execute(&format!(
        "GRANT CREATE, USAGE ON SCHEMA public TO {name}; SET SESSION AUTHORIZATION {name}"
    ));
    setup.database.execute(&format!(
        "SET search_path = pg_catalog; SET check_function_bodies = off;
         CREATE SEQUENCE public.intrusions;
         CREATE FUNCTION public.intrude(what text) RETURNS bool LANGUAGE plpgsql AS $intrude$ BEGIN
           PERFORM pg_catalog.nextval('public.intrusions');
           RAISE WARNING 'intruded by %', what;
           RETURN true;
         END $intrude$;
         CREATE TEMP TABLE planted (kind text, name text);
         DO $plant$
         DECLARE
           kinds text[] := '{{text,name,int4,int8,oid,bool,numeric,regclass,anyelement,anyarray}}';
           body text := 'LANGUAGE plpgsql AS $body$ BEGIN PERFORM public.intrude(%L); RETURN NULL; END $body$';
           it record;
           arguments text;
         BEGIN
           FOR it IN SELECT p.oid, p.proname, p.proretset, p.prorettype::regtype AS result, p.proargtypes
                       FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f'
                        AND p.proname = ANY ({words}) LOOP
             SELECT string_agg(CASE WHEN a = '\"any\"'::regtype THEN 'anyelement' ELSE a::regtype::text END, ', ' ORDER BY n)
               INTO arguments FROM unnest(it.proargtypes::oid[]) WITH ORDINALITY AS u (a, n);
             BEGIN
               EXECUTE format('CREATE FUNCTION public.%I(%s) RETURNS %s %s ' || body, it.proname, arguments,
                              CASE WHEN it.proretset THEN 'SETOF' ELSE '' END,
                              CASE WHEN it.result = 'record'::regtype THEN 'text' ELSE it.result::text END, it.proname);
               INSERT INTO planted VALUES ('function', it.proname);
             EXCEPTION WHEN OTHERS THEN NULL;
             END;
           END LOOP;
           FOR it IN SELECT p.proname, p.proargtypes, row_number() OVER () AS number FROM pg_proc p
                      WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind IN ('a', 'w')
                        AND p.proname = ANY ({words}) LOOP
             SELECT string_agg(CASE WHEN a = '\"any\"'::regtype THEN 'anyelement' ELSE a::regtype::text END, ', ' ORDER BY n)
               INTO arguments FROM unnest(it.proargtypes::oid[]) WITH ORDINALITY AS u (a, n);
             BEGIN
               EXECUTE format('CREATE FUNCTION public.state_%s(%s) RETURNS text ' || body, it.number,
                              concat_ws(', ', 'text', arguments), it.proname);
               EXECUTE format('CREATE AGGREGATE public.%I(%s) (SFUNC = public.state_%s, STYPE = text)', it.proname,
                              coalesce(arguments, '*'), it.number);
               INSERT INTO planted VALUES ('function', it.proname);
             EXCEPTION WHEN OTHERS THEN NULL;
             END;
           END LOOP;
           FOR it IN SELECT DISTINCT p.proname, least(p.pronargs, 3) AS arity FROM pg_proc p
                      WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND p.proname = ANY ({words}) LOOP
             FOR arguments IN
               SELECT CASE it.arity WHEN 1 THEN a WHEN 2 THEN a || ', ' || b ELSE a || ', ' || b || ', bool' END
                 FROM unnest(kinds) a, unnest(kinds) b WHERE it.arity > 0 AND (it.arity > 1 OR b = 'text')
               UNION ALL SELECT 'VARIADIC anyarray' UNION ALL SELECT 'text, VARIADIC anyarray' LOOP
               BEGIN
                 EXECUTE format('CREATE FUNCTION public.%I(%s) RETURNS text ' || body, it.proname, arguments, it.proname);
               EXCEPTION WHEN OTHERS THEN NULL;
               END;
             END LOOP;
           END LOOP;
           FOR it IN SELECT o.oprname, o.oprleft::regtype AS l, o.oprright::regtype AS r, o.oprresult::regtype AS result,
                            row_number() OVER () AS number
                       FROM pg_operator o WHERE o.oprnamespace = 'pg_catalog'::regnamespace AND o.oprname = ANY ({operators})
                      UNION ALL
                     SELECT o, a::regtype, b::regtype, 'bool'::regtype, 1000000 + row_number() OVER ()
                       FROM (SELECT DISTINCT oprname::text FROM pg_operator
                              WHERE oprnamespace = 'pg_catalog'::regnamespace AND oprname = ANY ({operators})) AS known (o),
                            unnest(kinds) a, unnest(kinds) b LOOP
             BEGIN
               IF it.l::oid = 0 THEN
                 EXECUTE format('CREATE FUNCTION public.operator_%s(%s) RETURNS %s ' || body, it.number, it.r, it.result, it.oprname);
                 EXECUTE format('CREATE OPERATOR public.%s (RIGHTARG = %s, FUNCTION = public.operator_%s)', it.oprname, it.r, it.number);
               ELSE
                 EXECUTE format('CREATE FUNCTION public.operator_%s(%s, %s) RETURNS %s ' || body, it.number, it.l, it.r, it.result, it.oprname);
                 EXECUTE format('CREATE OPERATOR public.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = public.operator_%s)',
                                it.oprname, it.l, it.r, it.number);
               END IF;
               INSERT INTO planted VALUES ('operator', it.oprname);
             EXCEPTION WHEN OTHERS THEN NULL;
             END;
           END LOOP;
           FOR it IN SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'pg_catalog'::regnamespace
                        AND c.relkind IN ('r', 'v') AND c.relname = ANY ({words}) LOOP
             BEGIN
               EXECUTE format('CREATE VIEW public.%1$I AS SELECT * FROM pg_catalog.%1$I WHERE public.intrude(%1$L)', it.relname);
               INSERT INTO planted VALUES ('relation', it.relname);
             EXCEPTION WHEN OTHERS THEN NULL;
             END;
           END LOOP;
           FOR it IN SELECT t.typname FROM pg_type t WHERE t.typnamespace = 'pg_catalog'::regnamespace
                        AND t.typtype = 'b' AND t.typname = ANY ({words}) LOOP
             BEGIN
               EXECUTE format('CREATE DOMAIN public.%1$I AS pg_catalog.%1$I CHECK (public.intrude(%1$L))', it.typname);
               INSERT INTO planted VALUES ('type', it.typname);
             EXCEPTION WHEN OTHERS THEN NULL;
             END;
           END LOOP;
         END $plant$",
        words = array(words),
        operators = array(operators),
    ));
    let missing = setup.database.value::<String>(&format!(
        "SELECT coalesce(string_agg(DISTINCT kind || ' ' || name, ', '), '')
           FROM (SELECT 'function', proname FROM pg_proc
                  WHERE pronamespace = 'pg_catalog'::regnamespace AND proname = ANY ({words})
                  UNION ALL
                 SELECT 'operator', oprname FROM pg_operator
                  WHERE oprnamespace = 'pg_catalog'::regnamespace AND oprname = ANY ({operators})) AS known (kind, name)
          WHERE (kind, name) NOT IN (SELECT kind, name FROM pg_temp.planted)",
        words = array(words),
        operators = array(operators),
    ));
    assert_eq!(missing, "", "what the job says, and nothing was planted for");
    setup.database.execute("RESET SESSION AUTHORIZATION; SET search_path = pg_catalog");
}

/// Planting `has_schema_privilege(name, text)`, `unnest(integer[])` or an operator `*(numeric, integer)` was enough to
/// run as the migrating role, in a mere `current` too.
#[test]
fn nothing_that_is_planted_is_ever_run() {
    let vocabulary = vocabulary();
    for path in ["\"$user\", public", "public, pg_catalog"] {
        let setup = Setup::with(SCRIPTS);
        plant(&setup, &vocabulary);
        let name = quoted(&setup.database.name);
        setup.database.execute(&format!("ALTER DATABASE {name} SET search_path = {path}"));
        // It works: whoever asks in the usual way is taken in.
        let mut naive = setup.database.connection();
        let asked = raw_sql("SELECT current_setting('max_connections'::name) FROM pg_class LIMIT 1")
            .execute(&mut naive);
        let _ = setup.database.block_on(asked);
        assert!(setup.database.value::<bool>("SELECT is_called FROM public.intrusions"), "{path}");
        setup.database.execute("ALTER SEQUENCE public.intrusions RESTART");
        let app = migrating_role(&setup);
        everything(&setup, |words| setup.job(words).role(&app));
        assert!(!setup.database.value::<bool>("SELECT is_called FROM public.intrusions"), "{path}");
    }
}
