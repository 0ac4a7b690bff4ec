//! Reading takes SELECT and no more; what is missing for anything else is named as a GRANT.

use crate::support::{Outcome, Role, Setup, quoted};

const SCRIPTS: &[(&str, &str)] =
    &[("1_a.up.sql", "CREATE TABLE a ();"), ("2_b.up.sql", "CREATE TABLE b ();")];

/// Version 1 is applied; the role may do what the database lets anybody do.
fn half_way_up() -> (Setup, Role) {
    let setup = Setup::with(SCRIPTS);
    setup.job("upgrade 1").run().ok();
    let role = setup.database.role("secret");
    (setup, role)
}

/// Does what the message says.
fn follow(setup: &Setup, outcome: &Outcome) {
    let (_, grant) = outcome.stderr.trim_end().split_once("grant it with: ").expect("a GRANT to paste");
    setup.database.execute(&grant.replace("\"DATABASE", &format!("\"{}", setup.database.name)));
}

#[test]
fn select_is_enough_to_read() {
    let (setup, role) = half_way_up();
    setup.database.execute(&format!("GRANT SELECT ON _sqlx_migrations TO {}", quoted(&role.name)));
    setup.job("current").role(&role).run().is(0, "1\n  pending  2  b", "");
    setup.job("current --check").role(&role).run().fails(9, "1 migration is pending");
    setup.job("history").role(&role).run().is(
        0,
        "pending      2  b (head)\napplied      1  a (current)  TIME, N ms",
        "",
    );
    let plan = setup.job("upgrade head --plan").role(&role).run();
    assert!(
        plan.ok().stderr.contains("would be refused: role \"DATABASE_role_1\" may not write to "),
        "{}",
        plan.stderr
    );
    let outcome = setup.job("upgrade head").role(&role).run();
    outcome.is(
        8,
        "",
        "error: role \"DATABASE_role_1\" may not write to \"public\".\"_sqlx_migrations\"; grant it with: \
         GRANT INSERT, UPDATE, DELETE ON \"public\".\"_sqlx_migrations\" TO \"DATABASE_role_1\"",
    );
    follow(&setup, &outcome);
    // Now it is the script that may not: PostgreSQL 15 keeps the schema public closed.
    setup.database.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    setup.job("upgrade head").role(&role).run().fails(5, "permission denied for schema public");
    setup.database.execute(&format!("GRANT CREATE ON SCHEMA public TO {}", quoted(&role.name)));
    setup.job("upgrade head").role(&role).run().ok();
    setup.database.execute("DROP TABLE b");
}

/// The role that waits for the schema need not trust the one that makes it.
#[test]
fn select_is_enough_to_read_whoever_owns_the_table() {
    let (setup, role) = half_way_up();
    let owner = setup.database.role("secret");
    setup.database.execute(&format!("ALTER TABLE _sqlx_migrations OWNER TO {}", quoted(&owner.name)));
    // Told to drop the table or to make it its own, the role took it from the service it belongs to.
    setup.job("current").role(&role).run().is(
        8,
        "",
        "error: role \"DATABASE_role_1\" may not read \"public\".\"_sqlx_migrations\": it lacks SELECT, which the table's owner, \
         role \"DATABASE_role_2\", can grant if the role is meant to read it",
    );
    setup.database.execute(&format!("GRANT SELECT ON _sqlx_migrations TO {}", quoted(&role.name)));
    setup.job("current").role(&role).run().is(0, "1\n  pending  2  b", "");
    setup.job("current --check").role(&role).run().fails(9, "1 migration is pending");
    setup.job("history").role(&role).run().ok();
    let refusal = "can't be used: it belongs to role ";
    setup.job("upgrade head").role(&role).run().fails(8, refusal);
    // A plan that nobody could carry out was shown without a word.
    for words in ["upgrade head --plan", "upgrade 1 --plan", "stamp head --plan"] {
        let outcome = setup.job(words).role(&role).run();
        assert!(
            outcome
                .ok()
                .stderr
                .contains("WARN a run as role \"DATABASE_role_1\" would be refused: \"public\""),
            "{words}: {}",
            outcome.stderr
        );
        assert!(outcome.stderr.contains(refusal), "{words}: {}", outcome.stderr);
        let warnings =
            setup.job(words).role(&role).env("OUTPUT", "json").run().ok().json()["warnings"].to_string();
        assert!(warnings.contains(refusal), "{words}: {warnings}");
    }
    assert_eq!(setup.job("current").role(&role).run().stderr, "");
}

/// One right was named, and after it was given the next three.
#[test]
fn whatever_is_missing_to_write_is_named_at_once() {
    let (setup, role) = half_way_up();
    let name = quoted(&role.name);
    setup.database.execute(&format!("GRANT CREATE ON SCHEMA public TO {name}"));
    for words in ["upgrade head", "stamp head", "downgrade base", "resolve --done"] {
        setup.job(words).role(&role).run().fails(
            8,
            "may not read and write to \"public\".\"_sqlx_migrations\"; grant it with: \
             GRANT SELECT, INSERT, UPDATE, DELETE ON \"public\".\"_sqlx_migrations\" TO \"DATABASE_role_1\"",
        );
    }
    setup.database.execute(&format!("GRANT INSERT, SELECT ON _sqlx_migrations TO {name}"));
    let outcome = setup.job("upgrade head").role(&role).run();
    outcome.fails(
        8,
        "may not write to \"public\".\"_sqlx_migrations\"; grant it with: GRANT UPDATE, DELETE ON ",
    );
    follow(&setup, &outcome);
    setup.job("upgrade head").role(&role).run().ok();
    setup.database.execute("DROP TABLE b");
}

#[test]
fn nothing_to_do_takes_no_right_to_write() {
    let (setup, role) = half_way_up();
    setup.database.execute(&format!("GRANT SELECT ON _sqlx_migrations TO {}", quoted(&role.name)));
    setup.job("upgrade 1").role(&role).run().is(0, "nothing to do: the database is at 1", "");
}

#[test]
fn a_role_without_select_is_told_what_to_grant() {
    let (setup, role) = half_way_up();
    let outcome = setup.job("current").role(&role).run();
    outcome.fails(8, "may not read \"public\".\"_sqlx_migrations\"; grant it with: GRANT SELECT ON \"public\".\"_sqlx_migrations\" TO ");
    follow(&setup, &outcome);
    setup.job("current").role(&role).run().is(0, "1\n  pending  2  b", "");
}

#[test]
fn a_role_without_usage_of_the_schema_does_not_take_the_database_for_empty() {
    let (setup, role) = half_way_up();
    setup.database.execute(&format!(
        "CREATE SCHEMA \"S p\"; ALTER TABLE _sqlx_migrations SET SCHEMA \"S p\"; \
         GRANT SELECT ON \"S p\"._sqlx_migrations TO {name}; ALTER ROLE {name} SET search_path = public, \"S p\"",
        name = quoted(&role.name)
    ));
    for words in ["current", "history", "upgrade head"] {
        let outcome = setup.job(words).role(&role).run();
        outcome.fails(8, "may not use schema \"S p\", which is on its search path and holds _sqlx_migrations; grant it with: GRANT USAGE ON SCHEMA ");
    }
    follow(&setup, &setup.job("current").role(&role).run());
    setup.job("current").role(&role).run().is(
        0,
        "1\n  pending  2  b",
        " WARN the bookkeeping was found in schema \"S p\", but what a script creates without naming a schema goes to \"public\", the \
         first schema on the search path (public, \"S p\")",
    );
}

#[test]
fn rows_hidden_by_row_level_security_are_not_taken_for_missing() {
    let (setup, role) = half_way_up();
    setup.database.execute(&format!(
        "ALTER TABLE _sqlx_migrations ENABLE ROW LEVEL SECURITY; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON _sqlx_migrations TO {}",
        quoted(&role.name)
    ));
    for words in ["current", "history", "upgrade head"] {
        setup
            .job(words)
            .role(&role)
            .run()
            .fails(8, "error: row-level security hides rows of \"public\".\"_sqlx_migrations\" from role ");
    }
}

#[test]
fn a_role_that_may_not_create_the_bookkeeping_is_told_what_to_grant() {
    let setup = Setup::with(SCRIPTS);
    setup.database.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    let role = setup.database.role("secret");
    setup.job("current").role(&role).run().ok();
    let outcome = setup.job("upgrade head").role(&role).run();
    outcome.is(
        8,
        "",
        "error: no _sqlx_migrations was found on the search path of role \"DATABASE_role_1\" (\"$user\", public), and the role may \
         not create it in schema \"public\"; if the history of this service is in another schema, make the role look there: \
         ALTER ROLE \"DATABASE_role_1\" IN DATABASE \"DATABASE\" SET search_path = THAT_SCHEMA; if the database has no history \
         yet, grant it with: GRANT CREATE ON SCHEMA \"public\" TO \"DATABASE_role_1\"",
    );
    follow(&setup, &outcome);
    setup.job("upgrade head").role(&role).run().ok();
    setup.database.execute("DROP TABLE a, b, _sqlx_migrations");
}

/// The GRANT that was advised gave a database that was at its head a second history, and every table a second time.
#[test]
fn a_role_that_looks_in_the_wrong_schema_is_not_told_to_begin_a_second_history() {
    let setup = Setup::with(SCRIPTS);
    setup.database.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    let role = setup.database.role("secret");
    let name = quoted(&role.name);
    setup.database.execute(&format!(
        "CREATE SCHEMA svc AUTHORIZATION {name}; ALTER ROLE {name} IN DATABASE {} SET search_path = svc",
        quoted(&setup.database.name)
    ));
    setup.job("upgrade head").role(&role).run().ok();
    setup
        .database
        .execute(&format!("ALTER ROLE {name} IN DATABASE {} RESET ALL", quoted(&setup.database.name)));
    for words in ["upgrade head", "stamp head", "resolve --done"] {
        let outcome = setup.job(words).role(&role).run();
        outcome.fails(8, "; there is one in schema \"svc\", not on that path; if the history of this service is in another schema");
        assert!(!outcome.stderr.contains("GRANT"), "{words}: {}", outcome.stderr);
    }
    let outcome = setup.job("upgrade head").role(&role).run();
    let (_, advice) = outcome.stderr.trim_end().split_once("look there: ").expect("an ALTER ROLE to paste");
    setup.database.execute(
        &advice.replace("\"DATABASE", &format!("\"{}", setup.database.name)).replace("THAT_SCHEMA", "svc"),
    );
    setup.job("upgrade head").role(&role).run().is(0, "nothing to do: the database is at 2 (head)", "");
    setup.database.execute("DROP SCHEMA svc CASCADE");
}

#[test]
fn a_role_that_may_not_connect_is_told_what_to_grant() {
    let setup = Setup::with(SCRIPTS);
    let role = setup.database.role("secret");
    setup
        .database
        .execute(&format!("REVOKE CONNECT ON DATABASE {} FROM PUBLIC", quoted(&setup.database.name)));
    let outcome = setup.job("current").role(&role).run();
    outcome.fails(8, "permission denied for database \"DATABASE\" (SQLSTATE 42501)");
    follow(&setup, &outcome);
    setup.job("current").role(&role).run().ok();
    setup.database.execute(&format!(
        "REVOKE CONNECT ON DATABASE {} FROM {}",
        quoted(&setup.database.name),
        quoted(&role.name)
    ));
}

#[test]
fn a_role_whose_transactions_are_read_only_is_told_so() {
    let (setup, role) = half_way_up();
    let name = quoted(&role.name);
    setup.database.execute(&format!(
        "GRANT ALL ON _sqlx_migrations TO {name}; ALTER ROLE {name} SET default_transaction_read_only = on"
    ));
    setup.job("upgrade head").role(&role).run().is(
        8,
        "",
        "error: transactions of role \"DATABASE_role_1\" are read-only here (default_transaction_read_only)",
    );
    setup.job("current").role(&role).run().ok();
}
