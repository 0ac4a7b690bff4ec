//! What a script sets for its session ends with it: ten at once equal one per release.

use crate::support::{Setup, quoted};

#[test]
fn a_search_path_of_one_script_is_not_the_next_one_s() {
    for first_line in ["", "-- no-transaction\n"] {
        let setup = Setup::with(&[
            (
                "1_a.up.sql",
                &format!("{first_line}CREATE SCHEMA s;\nSET search_path = s;\nCREATE TABLE a ();"),
            ),
            ("2_b.up.sql", "CREATE TABLE b ();"),
            ("3_c.up.sql", "SELECT set_config('search_path', 's', false);\nCREATE TABLE c ();"),
            ("4_d.up.sql", "CREATE TABLE d ();"),
        ]);
        for transaction in ["each", "run"] {
            setup.job("upgrade head").env("TRANSACTION", transaction).run().ok();
            assert_eq!(setup.database.tables("public"), ["_sqlx_migrations", "b", "d"], "{transaction}");
            assert_eq!(setup.database.tables("s"), ["a", "c"], "{transaction}");
            assert_eq!(setup.database.versions(), [1, 2, 3, 4]);
            setup.database.execute("DROP SCHEMA public, s CASCADE; CREATE SCHEMA public");
        }
    }
}

#[test]
fn a_role_of_one_script_is_not_the_next_one_s_nor_the_bookkeeping_s() {
    for set in ["SET ROLE", "SET SESSION AUTHORIZATION"] {
        let setup = Setup::with(&[]);
        let role = setup.database.role("secret");
        let name = quoted(&role.name);
        setup.database.execute(&format!("GRANT CREATE ON SCHEMA public TO {name}"));
        setup.directory.write("1_a.up.sql", format!("{set} {name};\nCREATE TABLE a ();"));
        setup.directory.write("2_b.up.sql", "CREATE TABLE b ();");
        setup.job("upgrade head").run().ok();
        let owner = |table: &str| {
            setup.database.value::<String>(&format!(
                "SELECT tableowner::text FROM pg_tables WHERE tablename = '{table}'"
            ))
        };
        assert_eq!(owner("a"), role.name, "{set}");
        assert_ne!(owner("b"), role.name, "{set}");
        assert_ne!(owner("_sqlx_migrations"), role.name, "{set}");
        setup.database.execute("DROP TABLE a");
    }
}

#[test]
fn settings_temporary_tables_and_cursors_do_not_outlive_their_script() {
    let setup = Setup::with(&[
        (
            "1_a.up.sql",
            "SET work_mem = '1234kB'; SET lock_timeout = '1h'; SET statement_timeout = '1h';\n\
             SET standard_conforming_strings = on; SET datestyle = 'German';\n\
             CREATE TEMPORARY TABLE t (); PREPARE p AS SELECT 1; LISTEN l;\n\
             DECLARE c CURSOR WITH HOLD FOR SELECT 1; SELECT lastval() FROM (SELECT nextval('s')) x;",
        ),
        (
            "2_it's_\\_fine.up.sql",
            "CREATE TABLE report AS SELECT name, setting FROM pg_settings\n\
             WHERE name IN ('work_mem', 'standard_conforming_strings', 'lock_timeout', 'DateStyle');\n\
             CREATE TABLE t (); PREPARE p AS SELECT 1; DECLARE c CURSOR WITH HOLD FOR SELECT 1;",
        ),
    ]);
    setup.database.execute("CREATE SEQUENCE s");
    setup.job("upgrade head").run().ok();
    let report: Vec<String> =
        setup.database.column("SELECT format('%s = %s', name, setting) FROM report ORDER BY name");
    let usual: String = setup.database.value("SELECT setting FROM pg_settings WHERE name = 'work_mem'");
    assert_eq!(
        report,
        [
            "DateStyle = ISO, MDY".to_owned(),
            "lock_timeout = 2000".to_owned(),
            "standard_conforming_strings = on".to_owned(),
            format!("work_mem = {usual}"),
        ]
    );
    assert_eq!(
        setup.database.column::<String>("SELECT description FROM _sqlx_migrations ORDER BY version"),
        ["a", "it's \\ fine"]
    );
}

/// A function may change settings without being called by a name that says so.
#[test]
fn settings_that_a_function_changes_inside_plain_ddl_do_not_outlive_their_script() {
    let setup = Setup::with(&[
        (
            "1_f.up.sql",
            "CREATE SCHEMA s; CREATE TABLE t (a int); INSERT INTO t VALUES (1);\n\
             CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql VOLATILE AS\n\
             $$ BEGIN PERFORM set_config('search_path', 's', false); RETURN 1; END $$;",
        ),
        ("2_default.up.sql", "ALTER TABLE t ADD COLUMN b int DEFAULT f();"),
        ("3_b.up.sql", "CREATE TABLE b ();"),
        ("4_view.up.sql", "CREATE MATERIALIZED VIEW v AS SELECT public.f();"),
        ("5_c.up.sql", "CREATE TABLE c ();"),
    ]);
    setup.job("upgrade head").run().ok();
    assert_eq!(setup.database.tables("s"), [""; 0]);
    assert_eq!(setup.database.tables("public"), ["_sqlx_migrations", "b", "c", "t"]);
}

#[test]
fn a_script_that_fails_leaves_no_setting_to_a_second_attempt() {
    let setup = Setup::with(&[
        ("1_a.up.sql", "CREATE SCHEMA s;"),
        ("2_b.up.sql", "-- no-transaction\nSET search_path = s;\nCREATE TABLE b ();"),
        ("3_c.up.sql", "SET search_path = s;\nCREATE TABLE c ();\nSELECT 1 / 0;"),
    ]);
    setup.job("upgrade head").run().fails(5, "division by zero");
    assert_eq!(setup.database.versions(), [1, 2]);
    assert_eq!(setup.database.tables("public"), ["_sqlx_migrations"]);
    assert_eq!(setup.database.tables("s"), ["b"]);
}

#[test]
fn settings_of_the_role_do_not_decide_how_a_run_behaves() {
    let setup = Setup::with(&[("1_a.up.sql", "SELECT pg_sleep(0.3);\nCREATE TABLE a ();")]);
    let role = setup.database.role("secret");
    let name = quoted(&role.name);
    setup.database.execute(&format!(
        "GRANT CREATE ON SCHEMA public TO {name}; ALTER ROLE {name} SET statement_timeout = '100ms'; \
         ALTER ROLE {name} SET lock_timeout = '1ms'; ALTER ROLE {name} SET row_security = off"
    ));
    setup.job("upgrade head").role(&role).run().ok();
    setup.database.execute("DROP TABLE a, _sqlx_migrations");
}

#[test]
fn a_temporary_object_under_any_name_does_not_outlive_its_script() {
    let setup = Setup::with(&[
        ("1_a.up.sql", "CREATE TABLE pg_temp.t (a int);"),
        ("2_b.up.sql", "CREATE TABLE pg_temp.t (b int);"),
        ("3_c.up.sql", "CREATE TABLE t ();"),
    ]);
    setup.job("upgrade head").run().ok();
    assert_eq!(setup.database.tables("public"), ["_sqlx_migrations", "t"]);
}

/// An old database may still read backslashes in plain strings as escapes.
#[test]
fn a_database_with_escapes_in_plain_strings_records_the_same() {
    let setup = Setup::with(&[
        ("1_back\\slash.up.sql", "CREATE TABLE a AS SELECT 'x\\';"),
        (
            "2_b.up.sql",
            "-- no-transaction\nCREATE TABLE b AS SELECT 'x\\' AS c; CREATE TABLE c AS SELECT ';' AS d;",
        ),
    ]);
    setup.database.execute(&format!(
        "ALTER DATABASE {} SET standard_conforming_strings = off",
        quoted(&setup.database.name)
    ));
    setup.job("upgrade head").run().ok();
    assert_eq!(
        setup.database.column::<String>("SELECT description FROM _sqlx_migrations ORDER BY version"),
        ["back\\slash", "b"]
    );
    assert!(setup.database.has("c"));
}

/// What was pending for a temporary table was in the way when the session was cleaned.
#[test]
fn deferred_constraints_of_temporary_tables_are_no_obstacle() {
    let script = |row: &str| {
        format!(
            "CREATE TEMP TABLE p (id int PRIMARY KEY);\n\
             CREATE TEMP TABLE c (id int CONSTRAINT \"c's p\" REFERENCES p DEFERRABLE INITIALLY DEFERRED);\n\
             INSERT INTO c VALUES (1);\nINSERT INTO p VALUES ({row});"
        )
    };
    for transaction in ["each", "run"] {
        let setup = Setup::with(&[("1_a.sql", &script("1")), ("2_b.sql", &script("1"))]);
        setup.job("upgrade head").env("TRANSACTION", transaction).run().ok();
        setup.directory.write("3_c.sql", script("2"));
        setup.directory.write("4_d.sql", "SELECT 1;");
        let outcome = setup.job("upgrade head").env("TRANSACTION", transaction).run();
        outcome.fails(5, "applying 3 (c), a constraint checked at its end: ");
    }
}

/// A trigger that is due at the end of a script finds what the script's search path names, as it did when the path was
/// reset before the commit; and the job's own path is nobody's business.
#[test]
fn deferred_triggers_have_the_search_path_of_their_script() {
    const TRIGGER: &str = "CREATE SCHEMA s; SET search_path = s;\n\
         CREATE TABLE seen (path text); CREATE TABLE t (a int);\n\
         CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS\n\
         $$ BEGIN INSERT INTO seen SELECT current_setting('search_path'); RETURN NULL; END $$;\n\
         CREATE CONSTRAINT TRIGGER look AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION look();\n\
         INSERT INTO t VALUES (1);";
    let setup = Setup::with(&[("1_a.sql", TRIGGER)]);
    setup.job("upgrade head").run().ok();
    assert_eq!(setup.database.column::<String>("SELECT path FROM s.seen"), ["s"]);

    // What others wait for in the same transaction, or a statement by itself, has the role's own path.
    let own = "CREATE TABLE seen (path text); CREATE TABLE t (a int);\n\
         CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS\n\
         $$ BEGIN INSERT INTO seen SELECT current_setting('search_path'); RETURN NULL; END $$;\n\
         CREATE CONSTRAINT TRIGGER look AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION look();\n";
    for (transaction, first_line) in [("run", ""), ("each", "-- no-transaction\n")] {
        let setup = Setup::with(&[
            ("1_a.sql", own),
            ("2_b.sql", &format!("{first_line}INSERT INTO t VALUES (1);")),
            ("3_c.sql", &format!("{first_line}INSERT INTO t VALUES (2);\nCREATE TABLE c ();")),
        ]);
        setup.job("upgrade head").env("TRANSACTION", transaction).run().ok();
        assert_eq!(
            setup.database.column::<String>("SELECT path FROM seen"),
            ["\"$user\", public", "\"$user\", public"],
            "{transaction}"
        );
    }
}

/// A name in a statement means what it means to the script, and the path lasts from one statement to the next.
#[test]
fn a_search_path_of_a_script_without_a_transaction_lasts_until_its_end() {
    let setup = Setup::with(&[
        (
            "1_a.sql",
            "CREATE SCHEMA s; CREATE TABLE s.t (a int); INSERT INTO s.t VALUES (1), (1); CREATE TABLE seen (path text);",
        ),
        (
            "2_b.sql",
            "-- no-transaction\nSET search_path = s, public;\nVACUUM t;\nINSERT INTO seen SELECT current_setting('search_path');\n\
             CREATE INDEX CONCURRENTLY i ON t (a);\nREINDEX INDEX CONCURRENTLY i;\n\
             INSERT INTO seen SELECT current_setting('search_path');\nRESET ALL;\n\
             INSERT INTO seen SELECT current_setting('search_path');",
        ),
        ("3_c.sql", "INSERT INTO seen SELECT current_setting('search_path');"),
    ]);
    setup.job("upgrade head").run().ok();
    let own = "\"$user\", public";
    assert_eq!(
        setup.database.column::<String>("SELECT path FROM seen"),
        ["s, public", "s, public", own, own]
    );
    // What a failed build leaves is found by the script's path, too.
    setup.directory.write(
        "4_d.sql",
        "-- no-transaction\nSET search_path = s;\nCREATE UNIQUE INDEX CONCURRENTLY u ON t (a);",
    );
    setup.job("upgrade head").run().fails(6, "could not create unique index");
    assert!(!setup.database.has("s.u"));
}

/// A role may have made the change for all that comes: the session goes on as it began.
#[test]
fn a_role_of_a_script_does_not_reach_our_own_statements() {
    let setup = Setup::with(&[]);
    let role = setup.database.role("secret");
    let name = quoted(&role.name);
    setup.database.execute(&format!("GRANT CREATE ON SCHEMA public TO {name}"));
    setup.directory.write(
        "1_a.sql",
        format!("-- no-transaction\nSET ROLE {name};\nCREATE TABLE a (b int);\nCREATE INDEX CONCURRENTLY i ON a (b);"),
    );
    setup.job("upgrade head").run().ok();
    assert_eq!(setup.database.versions(), [1]);
    setup.database.execute("DROP TABLE a");
}
