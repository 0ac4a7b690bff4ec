//! A run tells who is in its way, and gives way where others wait for it too long.

use std::time::{Duration, Instant};

use sqlx::raw_sql;

use crate::support::{Relay, Setup, Then, quoted, until};

const SCRIPTS: &[(&str, &str)] =
    &[("1_a.up.sql", "CREATE TABLE a ();"), ("2_b.up.sql", "ALTER TABLE a ADD b int;")];

#[test]
fn who_is_in_the_way_is_named_without_the_values_of_the_query() {
    let setup = Setup::with(SCRIPTS);
    setup.job("upgrade 1").run().ok();
    let mut holder = setup.database.connection();
    let held = raw_sql("BEGIN; LOCK TABLE a IN ACCESS SHARE MODE; SELECT 'hunter2'").execute(&mut holder);
    setup.database.block_on(held).unwrap();
    let outcome = setup.job("upgrade head").env("LOCK_TIMEOUT", "6s").without("RUST_LOG").run();
    let blocker = "pid N, role postgres, application test, idle in transaction for ";
    let role: String = setup.database.value("SELECT current_user::text");
    let blocker = blocker.replace("postgres", &role);
    outcome.fails(4, &format!(" INFO applying 2 (b): 1 s; waiting for {blocker}"));
    outcome.fails(4, &format!("= next: it waited for {blocker}"));
    outcome.fails(4, "(BEGIN; LOCK TABLE a IN ACCESS SHARE MODE; SELECT ?); run again when that is over\n");
    assert!(!outcome.stderr.contains("hunter2"), "{}", outcome.stderr);
}

/// One that was prepared and forgotten has no process, and blocks until somebody ends it.
#[test]
fn a_prepared_transaction_in_the_way_is_named() {
    let setup = Setup::with(SCRIPTS);
    setup.job("upgrade 1").run().ok();
    let name = setup.database.value::<String>("SELECT quote_literal(current_database())");
    setup.database.execute(&format!("BEGIN; INSERT INTO a DEFAULT VALUES; PREPARE TRANSACTION {name}"));
    let outcome = setup.job("upgrade head").env("LOCK_TIMEOUT", "1500ms").without("RUST_LOG").run();
    setup.database.execute(&format!("ROLLBACK PREPARED {name}"));
    outcome.fails(
        4,
        "= next: it waited for a prepared transaction (see pg_prepared_xacts); run again when that is over",
    );
}

/// An attempt that lasted for less than a second was not watched, and the run ended without a name.
#[test]
fn who_is_in_the_way_for_less_than_a_second_is_named_as_well() {
    let setup = Setup::with(SCRIPTS);
    setup.job("upgrade 1").run().ok();
    setup.database.execute("BEGIN; LOCK TABLE a IN ACCESS SHARE MODE");
    let job = setup.job("upgrade head").env("LOCK_TIMEOUT", "800ms").env("LOCK_RETRIES", "1");
    job.run().fails(4, "= next: it waited for pid N, role ");
}

#[test]
fn a_step_that_keeps_others_waiting_gives_way_on_request() {
    let setup = Setup::with(&[SCRIPTS[0], ("2_b.up.sql", "ALTER TABLE a ADD b int;\nSELECT pg_sleep(600);")]);
    setup.job("upgrade 1").run().ok();
    let job = setup.job("upgrade head").env("MAX_BLOCKING", "500ms").start();
    until("the job holds its lock", || setup.database.is_sleeping());
    // Returns when the job has let go of the table.
    setup.database.execute("SELECT * FROM a");
    let outcome = job.wait();
    outcome.fails(4, " WARN 1 session has waited for ");
    outcome.fails(4, " for a lock of this run, longer than MAX_BLOCKING; cancelling\n");
    outcome.fails(4, "= state: it was rolled back; the database is at 1, as before this run\n");
    outcome.fails(
        4,
        "= next: others waited for its locks longer than MAX_BLOCKING (N ms); run again when the site is calm, or split \
         the migration\n",
    );
    assert_eq!(setup.database.versions(), [1]);
}

/// It hit the next migration, which nobody waited for.
#[test]
fn a_cancel_that_comes_too_late_hits_nothing() {
    for transaction in ["each", "run"] {
        let setup = Setup::with(&[
            SCRIPTS[0],
            ("2_b.up.sql", "ALTER TABLE a ADD b int;\nSELECT pg_sleep(1);"),
            ("3_c.up.sql", "SELECT pg_sleep(3);"),
        ]);
        setup.job("upgrade 1").run().ok();
        let relay = Relay::up_to("pg_cancel_backend", Then::Late(Duration::from_secs(2)));
        let job = setup.job("upgrade head").env("MAX_BLOCKING", "200ms").env("TRANSACTION", transaction);
        let job = job.env("POSTGRES_PORT", &relay.port.to_string()).start();
        until("the job holds its lock", || setup.database.is_sleeping());
        let mut reader = setup.database.connection();
        let reads = raw_sql("SET lock_timeout = '900ms'; SELECT * FROM a").execute(&mut reader);
        // It waits for as long as the step has to give way, and no longer.
        let _ = setup.database.block_on(reads);
        let outcome = job.wait();
        assert!(relay.has_ended(), "{}", outcome.stderr);
        outcome.ok();
        assert_eq!(setup.database.versions(), [1, 2, 3]);
    }
}

#[test]
fn a_long_step_that_nobody_waits_for_takes_its_time() {
    let setup = Setup::with(&[("1_a.up.sql", "CREATE TABLE a ();\nSELECT pg_sleep(1.5);")]);
    setup.job("upgrade head").env("MAX_BLOCKING", "100ms").run().ok();
}

/// Another's query and what it does are not for everyone to see; who it is, is.
#[test]
fn who_may_see_little_is_told_what_there_is_to_see() {
    let setup = Setup::with(SCRIPTS);
    let role = setup.database.role("secret");
    setup.database.execute(&format!("GRANT CREATE ON SCHEMA public TO {}", quoted(&role.name)));
    setup.job("upgrade 1").role(&role).run().ok();
    let mut holder = setup.database.connection();
    let held = raw_sql("BEGIN; LOCK TABLE a IN ACCESS SHARE MODE; SELECT 'hunter2'").execute(&mut holder);
    setup.database.block_on(held).unwrap();
    let outcome = setup.job("upgrade head").role(&role).env("LOCK_TIMEOUT", "4s").without("RUST_LOG").run();
    let superuser: String = setup.database.value("SELECT current_user::text");
    let blocker = format!("waiting for pid N, role {superuser}, application test");
    outcome.fails(4, &format!(" INFO applying 2 (b): 1 s; {blocker}\n"));
    outcome.fails(4, "; run again when that is over\n");
    assert!(!outcome.stderr.contains("LOCK TABLE"), "{}", outcome.stderr);
}

/// Nobody looked at those who waited, and a bystander waited nine times as long as promised.
#[test]
fn without_a_second_connection_nothing_is_promised_that_needs_one() {
    let setup = Setup::with(&[("1_a.sql", "CREATE TABLE a ();"), ("2_b.sql", "SELECT pg_sleep(60);")]);
    let role = setup.database.role("secret");
    setup.database.execute(&format!(
        "ALTER ROLE {role} CONNECTION LIMIT 1; GRANT CREATE, CONNECT ON DATABASE {database} TO {role}; \
         ALTER SCHEMA public OWNER TO {role}; ALTER DATABASE {database} OWNER TO {role}",
        role = quoted(&role.name),
        database = quoted(&setup.database.name),
    ));
    let job = || setup.job("upgrade head").role(&role);
    let outcome = job().env("MAX_BLOCKING", "500ms").run();
    outcome.fails(
        3,
        "opening the second connection, without which MAX_BLOCKING can't be kept: too many connections",
    );
    outcome.fails(3, "; nothing was changed; make room for two connections, or set MAX_BLOCKING=0");
    assert_eq!(setup.database.tables("public"), [""; 0]);
    // A cancel request takes no connection of the role.
    let job = job().start();
    until("the job sleeps", || setup.database.is_sleeping());
    let start = Instant::now();
    job.signal("TERM");
    job.wait().fails(143, "");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}
