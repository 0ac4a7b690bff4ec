//! One run per database at a time, whoever else runs; and no wait without an end.

use sqlx::migrate::{Migrate as _, MigrateError, Migrator};
use sqlx::{PgConnection, raw_sql};

use crate::support::{Database, Outcome, Running, Setup, until};

/// Each script leaves a trace each time it runs.
fn traced(versions: std::ops::RangeInclusive<u32>) -> Vec<(String, String)> {
    versions
        .map(|version| {
            let sql = format!(
                "CREATE TABLE t{version} (b int);\nINSERT INTO trace VALUES ({version});\nSELECT pg_sleep(0.02);\n"
            );
            (format!("{version}_t.up.sql"), sql)
        })
        .collect()
}

fn setup(scripts: &[(String, String)]) -> Setup {
    let scripts: Vec<_> = scripts.iter().map(|(name, sql)| (name.as_str(), sql.as_str())).collect();
    let setup = Setup::with(&scripts);
    setup.database.execute("CREATE TABLE trace (version int)");
    setup
}

fn at_once(setup: &Setup, count: usize) -> Vec<Outcome> {
    let running: Vec<_> = (0..count).map(|_| setup.job("upgrade head").start()).collect();
    running.into_iter().map(Running::wait).collect()
}

fn traces(database: &Database) -> Vec<i32> {
    database.column("SELECT version FROM trace ORDER BY version")
}

#[test]
fn of_two_and_eight_jobs_at_once_each_succeeds_and_each_migration_runs_once() {
    for count in [2, 8] {
        let setup = setup(&traced(1..=6));
        for outcome in at_once(&setup, count) {
            outcome.ok();
            assert!(outcome.stdout.ends_with("the database is at 6 (head)\n"), "{}", outcome.stdout);
        }
        assert_eq!(traces(&setup.database), [1, 2, 3, 4, 5, 6]);
        assert_eq!(setup.database.versions(), [1, 2, 3, 4, 5, 6]);
    }
}

#[test]
fn jobs_at_once_do_not_deadlock_with_a_concurrent_build() {
    let mut scripts = traced(1..=4);
    scripts.push(("5_i.up.sql".into(), "-- no-transaction\nCREATE INDEX CONCURRENTLY i ON t1 (b);\nDROP INDEX CONCURRENTLY i;\nCREATE INDEX CONCURRENTLY i ON t1 (b);".into()));
    scripts.extend(traced(6..=8));
    let setup = setup(&scripts);
    for outcome in at_once(&setup, 8) {
        outcome.ok();
    }
    assert_eq!(traces(&setup.database), [1, 2, 3, 4, 6, 7, 8]);
    assert_eq!(setup.database.versions(), [1, 2, 3, 4, 5, 6, 7, 8]);
}

/// Sends sqlx's Migrator off on another thread, as an application that starts would.
fn sqlx_beside(setup: &Setup) -> std::thread::JoinHandle<Result<(), MigrateError>> {
    let (options, path) = (setup.database.options(), setup.directory.migrations());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let migrator = Migrator::new(path).await?;
            let mut connection = sqlx::ConnectOptions::connect(&options).await?;
            migrator.run(&mut connection).await
        })
    })
}

#[test]
fn sqlx_s_migrator_beside_it_does_no_harm() {
    let setup = setup(&traced(1..=6));
    let jobs: Vec<_> = (0..2).map(|_| setup.job("upgrade head").start()).collect();
    let sqlx: Vec<_> = (0..2).map(|_| sqlx_beside(&setup)).collect();
    jobs.into_iter().for_each(|job| {
        job.wait().ok();
    });
    sqlx.into_iter().for_each(|sqlx| sqlx.join().unwrap().unwrap());
    assert_eq!(traces(&setup.database), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn sqlx_s_migrator_beside_a_concurrent_build_waits_or_refuses_and_kills_nobody() {
    let mut scripts = traced(1..=2);
    scripts.push((
        "3_i.up.sql".into(),
        "-- no-transaction\nCREATE INDEX CONCURRENTLY i ON t1 (slow(b));".into(),
    ));
    let setup = setup(&scripts);
    setup.database.execute(
        "CREATE FUNCTION slow(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS \
         $$ BEGIN PERFORM pg_sleep(0.5); RETURN 1; END $$; CREATE RULE r AS ON INSERT TO trace DO NOTHING",
    );
    setup.job("upgrade 2").run().ok();
    setup.database.execute("INSERT INTO t1 VALUES (1)");
    let job = setup.job("upgrade head").start();
    until("the build has begun", || {
        setup.database.value("SELECT EXISTS (SELECT FROM _sqlx_migrations WHERE version = 3)")
    });
    match sqlx_beside(&setup).join().unwrap() {
        Ok(()) | Err(MigrateError::Dirty(3)) => {}
        Err(error) => panic!("{error}"),
    }
    job.wait().ok();
    assert!(setup.database.value::<bool>("SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass"));
}

#[test]
fn a_run_lock_held_by_another_job_is_given_up_in_time_with_its_holder() {
    let setup = Setup::with(&[("1_a.up.sql", "SELECT pg_sleep(600);")]);
    let first = setup.job("upgrade head").start();
    until("the first job sleeps", || setup.database.is_sleeping());
    let outcome = setup.job("upgrade head").env("RUN_LOCK_TIMEOUT", "200ms").without("RUST_LOG").run();
    outcome.fails(4, "error: the run lock was not granted within N ms: it is held by pid N, role ");
    outcome.fails(4, ", application run-migrations dev ");
    outcome.fails(4, "; nothing was changed; run again later\n");
    outcome.fails(4, " INFO waiting for the run lock, which is held by pid N, role ");
    // Who only looks waits for nobody.
    setup.job("current").run().is(0, "base\n  pending  1  a", "");
    first.signal("TERM");
    first.wait();
}

#[test]
fn a_lock_of_sqlx_s_own_is_respected() {
    let setup = Setup::with(&[("1_a.up.sql", "CREATE TABLE a ();")]);
    let mut holder = setup.database.connection();
    setup.database.block_on(holder.lock()).unwrap();
    let outcome = setup.job("upgrade head").env("RUN_LOCK_TIMEOUT", "200ms").run();
    outcome.fails(4, "error: the run lock was not granted within N ms: it is held by pid N, role ");
    outcome.fails(4, ", application test, ");
    setup.database.block_on(holder.unlock()).unwrap();
    setup.job("upgrade head").run().ok();
}

fn run_on(database: &Database, connection: &mut PgConnection, sql: &'static str) {
    database.block_on(raw_sql(sql).execute(connection)).unwrap();
}

/// It was forgotten that the key was somebody else's, and the build was tried again without it.
#[test]
fn a_build_is_not_repeated_without_the_key_of_sqlx() {
    let setup = Setup::with(&[
        ("1_a.up.sql", "CREATE TABLE a (b int);\nINSERT INTO a VALUES (1);"),
        ("2_i.up.sql", "-- no-transaction\nCREATE INDEX CONCURRENTLY i ON a (slow(b));"),
    ]);
    setup.job("upgrade 1").run().ok();
    setup.database.execute(
        "CREATE FUNCTION slow(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS \
         $$ BEGIN PERFORM pg_sleep(3); RETURN 1; END $$",
    );
    let job = setup.job("upgrade head").env("MAX_BLOCKING", "200ms").env("LOCK_RETRIES", "1");
    let job = job.env("RUN_LOCK_TIMEOUT", "200ms").start();
    until("the job builds", || setup.database.is_sleeping());
    let mut holder = setup.database.connection();
    setup.database.block_on(holder.lock()).unwrap();
    // Returns when the job has given way.
    run_on(&setup.database, &mut holder, "BEGIN; LOCK TABLE a IN SHARE MODE; ROLLBACK");
    let outcome = job.wait();
    outcome.fails(4, "error: the run lock was not granted within N ms: it is held by pid N, role ");
    outcome.fails(4, "; nothing of the script took effect; ");
    assert!(!setup.database.has("i"));
    setup.database.block_on(holder.unlock()).unwrap();
    setup.job("upgrade head").run().ok();
}

#[test]
fn a_table_lock_that_is_not_granted_in_time_is_given_up() {
    let setup = Setup::with(&[
        ("1_a.up.sql", "CREATE TABLE a ();"),
        ("2_b.up.sql", "SELECT 1;\nALTER TABLE a ADD b int;"),
    ]);
    setup.job("upgrade 1").run().ok();
    let mut holder = setup.database.connection();
    run_on(&setup.database, &mut holder, "BEGIN; LOCK TABLE a IN ACCESS SHARE MODE");
    setup.job("upgrade head").env("LOCK_TIMEOUT", "100ms").run().is(
        4,
        "upgrade from 1 to 2: 1 migration",
        "\
error: applying 2 (b), statement 2 of 2: canceling statement due to lock timeout
 --> migrations/2_b.up.sql:2:1
  |
2 | ALTER TABLE a ADD b int;
  | ^ in the statement that starts here
  = sqlstate: 55P03
  = state: it was rolled back; the database is at 1, as before this run
  = next: another session holds the table for longer than LOCK_TIMEOUT (N ms); run again when it is done",
    );
    // A second attempt would begin after the budget.
    let job = setup.job("upgrade head").env("LOCK_TIMEOUT", "100ms").env("LOCK_RETRIES", "3");
    job.env("LOCK_RETRY_BUDGET", "1s").run().fails(4, "canceling statement due to lock timeout");
    run_on(&setup.database, &mut holder, "ROLLBACK");
    setup.job("upgrade head").run().ok();
}

#[test]
fn a_step_that_met_a_lock_is_repeated() {
    let setup =
        Setup::with(&[("1_a.up.sql", "CREATE TABLE a ();"), ("2_b.up.sql", "ALTER TABLE a ADD b int;")]);
    setup.job("upgrade 1").run().ok();
    let mut holder = setup.database.connection();
    run_on(&setup.database, &mut holder, "BEGIN; LOCK TABLE a IN ACCESS SHARE MODE");
    let job = setup.job("upgrade head").env("LOCK_TIMEOUT", "200ms").env("LOCK_RETRIES", "5").start();
    let waits = || {
        setup
            .database
            .value("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'a'::regclass)")
    };
    until("the job waits for the table", waits);
    until("the job gives up for now", || !waits());
    run_on(&setup.database, &mut holder, "ROLLBACK");
    let outcome = job.wait();
    assert!(
        outcome.ok().stderr.starts_with(
            " WARN applying 2 (b): canceling statement due to lock timeout; rolled back, trying again in "
        ),
        "{}",
        outcome.stderr
    );
    assert_eq!(setup.database.versions(), [1, 2]);
}

#[test]
fn the_victim_of_a_deadlock_may_try_again() {
    let setup = Setup::with(&[
        ("1_a.up.sql", "CREATE TABLE a ();\nCREATE TABLE b ();"),
        (
            "2_b.up.sql",
            "LOCK TABLE a;\n\
             DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'a'::regclass)\n\
             LOOP PERFORM pg_sleep(0.01); END LOOP; END $$;\n\
             LOCK TABLE b;",
        ),
    ]);
    setup.job("upgrade 1").run().ok();
    let mut other = setup.database.connection();
    run_on(&setup.database, &mut other, "SET deadlock_timeout = '100s'; BEGIN; LOCK TABLE b");
    let job = setup.job("upgrade head").env("LOCK_TIMEOUT", "0").start();
    until("the job holds the first table", || {
        setup.database.value(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE granted AND mode = 'AccessExclusiveLock' AND relation = 'a'::regclass)",
        )
    });
    // Returns when the job, which waits for this session's table, has been chosen as the victim.
    run_on(&setup.database, &mut other, "LOCK TABLE a; ROLLBACK");
    let outcome = job.wait();
    outcome.fails(4, "error: applying 2 (b), statement 3 of 3: deadlock detected\n");
    outcome.fails(4, "= sqlstate: 40P01\n");
    setup.job("upgrade head --plan").run().ok();
}

#[test]
fn a_script_that_lets_go_of_the_run_lock_is_rolled_back() {
    let setup = Setup::with(&[
        ("1_a.up.sql", "CREATE TABLE a ();\nSELECT pg_advisory_unlock_all();"),
        ("2_b.up.sql", "SELECT 1;"),
    ]);
    let outcome = setup.job("upgrade head").run();
    outcome.fails(5, "the run lock was lost");
    assert_eq!(setup.database.tables("public"), ["_sqlx_migrations"]);
    assert_eq!(setup.database.versions(), [0; 0]);
}

#[test]
fn a_script_without_a_transaction_that_lets_go_of_the_run_lock_stands_halfway() {
    let setup = Setup::with(&[(
        "1_a.up.sql",
        "-- no-transaction\nCREATE TABLE a ();\nSELECT pg_advisory_unlock_all();",
    )]);
    let outcome = setup.job("upgrade head").run();
    outcome.fails(6, "the run lock was lost");
    outcome.fails(6, "= state: the script is partially applied");
    outcome.fails(6, "`resolve 1 --done`");
    assert!(!setup.database.value::<bool>("SELECT success FROM _sqlx_migrations"));
}
