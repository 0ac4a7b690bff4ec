//! One bookkeeping table, sqlx's, in whatever schema it stands.

use crate::support::{Setup, quoted};

const SCRIPTS: &[(&str, &str)] =
    &[("1_a.up.sql", "CREATE TABLE a ();"), ("2_b.up.sql", "CREATE TABLE b ();")];

#[test]
fn a_row_says_what_was_applied_and_how_long_it_took() {
    let setup = Setup::with(&[("1_add_a_phone.up.sql", "SELECT pg_sleep(0.05);\n")]);
    setup.job("upgrade head").run().ok();
    let row: String = setup.database.value(
        "SELECT format('%s|%s|%s|%s|%s', version, description, success, checksum = sha384('SELECT pg_sleep(0.05);\n'), \
         installed_on BETWEEN now() - interval '2 minutes' AND now()) FROM _sqlx_migrations",
    );
    assert_eq!(row, "1|add a phone|t|t|t");
    let nanoseconds: i64 = setup.database.value("SELECT execution_time FROM _sqlx_migrations");
    assert!((50_000_000..120_000_000_000).contains(&nanoseconds), "{nanoseconds}");
}

#[test]
fn a_table_in_another_schema_is_found_and_used() {
    let setup = Setup::with(SCRIPTS);
    setup.job("upgrade 1").run().ok();
    setup.database.execute("CREATE SCHEMA s; ALTER TABLE _sqlx_migrations SET SCHEMA s");
    setup.job("current").run().is(0, "1\n  pending  2  b", "");
    setup.job("upgrade head").run().ok();
    assert_eq!(setup.database.column::<i64>("SELECT version FROM s._sqlx_migrations ORDER BY 1"), [1, 2]);
    assert_eq!(setup.database.tables("public"), ["a", "b"]);
}

#[test]
fn the_table_is_made_in_the_schema_the_role_works_in() {
    let setup = Setup::with(SCRIPTS);
    let role = setup.database.role("secret");
    let name = quoted(&role.name);
    setup.database.execute(&format!(
        "CREATE SCHEMA \"S p\" AUTHORIZATION {name}; ALTER ROLE {name} SET search_path = \"S p\""
    ));
    let outcome = setup.job("upgrade head").role(&role).without("RUST_LOG").run();
    outcome.ok();
    assert_eq!(outcome.stderr, " INFO created the bookkeeping table \"S p\".\"_sqlx_migrations\"\n");
    assert_eq!(setup.database.tables("S p"), ["_sqlx_migrations", "a", "b"]);
    setup.database.execute("DROP SCHEMA \"S p\" CASCADE");
}

#[test]
fn two_tables_are_one_too_many() {
    let setup = Setup::with(SCRIPTS);
    setup.job("upgrade head").run().ok();
    setup.database.execute("CREATE SCHEMA s; CREATE TABLE s._sqlx_migrations AS TABLE _sqlx_migrations");
    for words in ["upgrade head", "downgrade base", "current", "history", "stamp head", "resolve --done"] {
        setup.job(words).run().is(
            7,
            "",
            "error: _sqlx_migrations exists in several schemas: public._sqlx_migrations, s._sqlx_migrations; \
             drop all but the one that tells the truth, or hide the others from this role",
        );
    }
}

/// The words of the message are a promise: a role that can't use a schema is not bothered by it.
#[test]
fn a_second_table_that_is_hidden_from_the_role_does_not_matter() {
    let setup = Setup::with(SCRIPTS);
    setup.job("upgrade head").run().ok();
    let role = setup.database.role("secret");
    setup.database.execute(&format!(
        "GRANT SELECT ON _sqlx_migrations TO {}; CREATE SCHEMA s; CREATE TABLE s._sqlx_migrations AS TABLE _sqlx_migrations",
        quoted(&role.name)
    ));
    setup.job("current").role(&role).run().is(0, "2 (head)", "");
}

#[test]
fn a_database_of_alembic_s_is_not_taken_for_an_empty_one() {
    let setup = Setup::with(SCRIPTS);
    setup.database.execute(
        "CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('ae1027a6acf')",
    );
    let message = "error: the database was migrated by Alembic (table \"public\".\"alembic_version\", revision ae1027a6acf) and \
                   has no _sqlx_migrations; write its schema as the first migration, then run `stamp` with that \
                   migration's version";
    for words in ["upgrade head", "upgrade head --plan", "downgrade base", "current"] {
        setup.job(words).run().is(7, "", message);
    }
    assert_eq!(setup.database.tables("public"), ["alembic_version"]);
    setup.job("stamp 1").run().ok();
    setup.job("upgrade head").run().ok();
    assert_eq!(setup.database.tables("public"), ["_sqlx_migrations", "alembic_version", "b"]);
}

#[test]
fn a_role_whose_search_path_names_no_schema_is_told_so() {
    let setup = Setup::with(SCRIPTS);
    let role = setup.database.role("secret");
    setup.database.execute(&format!("ALTER ROLE {} SET search_path = ''", quoted(&role.name)));
    setup.job("upgrade head").role(&role).run().is(
        8,
        "",
        "error: the search path of role \"DATABASE_role_1\" names no schema to create _sqlx_migrations in",
    );
}
