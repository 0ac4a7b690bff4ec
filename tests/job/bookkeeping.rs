//! One bookkeeping table, sqlx's: what its name means on the role's search path.

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

/// A table of that name in any schema was taken for the bookkeeping.
#[test]
fn a_table_in_another_schema_is_none_of_ours() {
    let setup = Setup::with(SCRIPTS);
    setup.job("upgrade 1").run().ok();
    setup.database.execute("CREATE SCHEMA s; ALTER TABLE _sqlx_migrations SET SCHEMA s");
    setup.job("current").run().is(0, "base\n  pending  1  a\n  pending  2  b", "");
    let name = quoted(&setup.database.name);
    setup.database.execute(&format!("ALTER DATABASE {name} SET search_path = public, s"));
    // With the table of a tenant behind it, an empty schema was "at head".
    let odd = "the bookkeeping was found in schema \"s\", but what a script creates without naming a schema goes to \"public\", \
               the first schema on the search path (public, s)";
    for words in ["current", "history", "upgrade 1", "upgrade head --plan", "stamp 1 --plan"] {
        let outcome = setup.job(words).run();
        assert_eq!(outcome.ok().stderr, format!(" WARN {odd}\n"), "{words}");
        let json = setup.job(words).env("OUTPUT", "json").run();
        assert_eq!(json.ok().json()["warnings"], serde_json::json!([odd]), "{words}");
    }
    setup.job("upgrade head").run().ok();
    assert_eq!(setup.database.column::<i64>("SELECT version FROM s._sqlx_migrations ORDER BY 1"), [1, 2]);
    assert_eq!(setup.database.tables("public"), ["a", "b"]);
}

#[test]
fn every_report_names_the_table() {
    let setup = Setup::with(SCRIPTS);
    let none = "none found on the search path (\"$user\", public)";
    let line = "bookkeeping: \"public\".\"_sqlx_migrations\"\n";
    for words in [
        "current",
        "history",
        "upgrade base",
        "upgrade base --plan",
        "upgrade head --plan",
        "stamp head --plan",
    ] {
        let outcome = setup.job(words).run();
        let line = if words.contains("head") {
            "bookkeeping: \"public\".\"_sqlx_migrations\", to be created: none was found on the search path (\"$user\", public)\n"
                .to_owned()
        } else {
            format!("bookkeeping: {none}\n")
        };
        assert_eq!(outcome.ok().raw_stdout.matches(&line).count(), 1, "{words}: {}", outcome.raw_stdout);
        let json = setup.job(words).env("OUTPUT", "json").run().ok().json();
        let table = words.contains("head").then_some("\"public\".\"_sqlx_migrations\"");
        assert_eq!(json["bookkeeping"], serde_json::json!(table), "{words}");
        assert!(json.as_object().unwrap().contains_key("bookkeeping"), "{json}");
        assert_eq!(json["search_path"], "\"$user\", public", "{words}");
    }
    setup.job("upgrade head").run().ok();
    for words in [
        "upgrade head",
        "upgrade head",
        "current",
        "history",
        "stamp 1 --plan",
        "stamp head",
        "current --check",
    ] {
        let outcome = setup.job(words).run();
        assert_eq!(outcome.ok().raw_stdout.matches(line).count(), 1, "{words}: {}", outcome.raw_stdout);
        let json = setup.job(words).env("OUTPUT", "json").run();
        assert_eq!(json.ok().json()["bookkeeping"], "\"public\".\"_sqlx_migrations\"", "{words}");
    }
}

/// A database at its head looked like an empty one, in silence, to a role that looks elsewhere.
#[test]
fn a_reader_that_finds_no_table_is_told_where_it_looked_and_where_there_is_one() {
    let setup = Setup::with(SCRIPTS);
    let monitor = setup.database.role("secret");
    let database = quoted(&setup.database.name);
    setup
        .database
        .execute(&format!("CREATE SCHEMA svc_a; ALTER DATABASE {database} SET search_path = svc_a"));
    setup.job("upgrade head").run().ok();
    setup.database.execute(&format!(
        "ALTER DATABASE {database} RESET search_path; GRANT SELECT ON svc_a._sqlx_migrations TO {name}",
        name = quoted(&monitor.name)
    ));
    let told = "none found on the search path (\"$user\", public)";
    let there = "there is one in schema \"svc_a\", not on that path";
    let next = format!("ALTER ROLE {} IN DATABASE {database} SET search_path = ", quoted(&monitor.name));
    for words in ["current", "history", "current --check", "upgrade base"] {
        let outcome = setup.job(words).role(&monitor).run();
        for part in [told, there, &next] {
            assert!(outcome.raw_stdout.contains(part), "{words}: {}", outcome.raw_stdout);
        }
        let json = setup.job(words).role(&monitor).env("OUTPUT", "json").run().json();
        assert!(json["bookkeeping"].is_null() && json["next"].as_str().unwrap().contains(there), "{json}");
    }
    let job = setup.job("current --check --wait 1s").role(&monitor).without("RUST_LOG");
    job.run().fails(9, "INFO waiting for 2 pending migrations; bookkeeping: none found on the search path (\"$user\", public); there is one in schema \"svc_a\"");
    setup.database.execute(&format!("GRANT USAGE ON SCHEMA svc_a TO {}; {next}svc_a", quoted(&monitor.name)));
    setup.job("current --check").role(&monitor).run().is(0, "2 (head)", "");
}

/// One role, one schema for each tenant: the second tenant's run stopped at the first one's table.
#[test]
fn schemas_of_tenants_under_one_role_have_a_bookkeeping_each() {
    let setup = Setup::with(SCRIPTS);
    let role = setup.database.role("secret");
    let name = quoted(&role.name);
    for tenant in ["one", "two"] {
        setup.database.execute(&format!(
            "CREATE SCHEMA {tenant} AUTHORIZATION {name}; ALTER ROLE {name} SET search_path = {tenant}"
        ));
        setup.job("current").role(&role).run().is(0, "base\n  pending  1  a\n  pending  2  b", "");
        setup.job("upgrade head").role(&role).run().ok();
        assert_eq!(setup.database.tables(tenant), ["_sqlx_migrations", "a", "b"]);
    }
    setup.database.execute(&format!("ALTER ROLE {name} SET search_path = one"));
    setup.job("downgrade base --plan").role(&role).run().fails(2, "down");
    setup.job("current").role(&role).run().is(0, "2 (head)", "");
    setup.database.execute("DROP SCHEMA one, two CASCADE");
}

/// As the search path says: where the role may not create in its first schema, the next one holds the table.
#[test]
fn the_table_is_made_in_the_first_schema_where_the_role_may_create() {
    let setup = Setup::with(&[("1_a.up.sql", "SELECT 1;")]);
    let role = setup.database.role("secret");
    let name = quoted(&role.name);
    setup.database.execute(&format!(
        "CREATE SCHEMA shared; GRANT USAGE ON SCHEMA shared TO {name}; CREATE SCHEMA own AUTHORIZATION {name}; \
         ALTER ROLE {name} SET search_path = missing, shared, own"
    ));
    setup.job("upgrade head").role(&role).run().ok();
    assert_eq!(setup.database.tables("own"), ["_sqlx_migrations"]);
    setup.job("current").role(&role).run().is(0, "1 (head)", "");
    setup.database.execute("DROP SCHEMA own CASCADE");
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

/// Anybody who may create in any schema stopped every run with a second table.
#[test]
fn a_second_table_elsewhere_does_not_matter() {
    let setup = Setup::with(SCRIPTS);
    setup.job("upgrade head").run().ok();
    setup
        .database
        .execute("CREATE SCHEMA s; CREATE TABLE s._sqlx_migrations AS TABLE _sqlx_migrations WITH NO DATA");
    for words in ["upgrade head", "current --check", "history", "stamp head"] {
        setup.job(words).run().ok();
    }
}

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
fn a_role_whose_search_path_names_no_schema_is_told_so() {
    let setup = Setup::with(SCRIPTS);
    let role = setup.database.role("secret");
    setup.database.execute(&format!("ALTER ROLE {} SET search_path = ''", quoted(&role.name)));
    setup.job("upgrade head").role(&role).run().is(
        8,
        "",
        "error: no _sqlx_migrations was found on the search path of role \"DATABASE_role_1\" (\"\"), and none of its \
         schemas exists; if the history of this service is in another schema, make the role look there: \
         ALTER ROLE \"DATABASE_role_1\" IN DATABASE \"DATABASE\" SET search_path = THAT_SCHEMA; if the database \
         has no history yet, create one of them with: CREATE SCHEMA … AUTHORIZATION \"DATABASE_role_1\"",
    );
}
