//! A signal rolls back what is under way and says so; a run that was killed does not hold up the next.

use std::time::Duration;

use sqlx::{PgConnection, raw_sql};

use crate::support::{Relay, Running, Setup, Then, until};

/// A job that sleeps in its second migration.
fn asleep(first_line: &str, transaction: &str) -> (Setup, Running) {
    let setup = Setup::with(&[
        ("1_a.up.sql", "CREATE TABLE a ();"),
        ("2_b.up.sql", &format!("{first_line}CREATE TABLE b ();\nSELECT pg_sleep(600);")),
        ("3_c.up.sql", "CREATE TABLE c ();"),
    ]);
    let job = setup.job("upgrade head").env("TRANSACTION", transaction).start();
    until("the job sleeps", || setup.database.is_sleeping());
    (setup, job)
}

#[test]
fn a_signal_rolls_back_and_leaves_no_session() {
    for (name, code, words) in [("TERM", 143, "terminated by SIGTERM"), ("INT", 130, "interrupted by SIGINT")]
    {
        let (setup, job) = asleep("", "each");
        job.signal(name);
        job.wait().is(
            code,
            "upgrade from base to 3: 3 migrations\n  applied  1  a  N ms",
            &format!(
                " WARN {words}; rolling back
error: applying 2 (b), statement 2 of 2: {words}
 --> migrations/2_b.up.sql:2:1
  |
2 | SELECT pg_sleep(600);
  | ^ in the statement that starts here
  = sqlstate: 57014
  = state: it was rolled back; the database is at 1: 1 step of this run committed, 2 not"
            ),
        );
        assert_eq!(setup.database.tables("public"), ["_sqlx_migrations", "a"]);
        until("no session is left", || setup.database.sessions() == 0);
        setup.directory.write("2_b.up.sql", "CREATE TABLE b ();");
        setup.job("upgrade head").run().ok();
    }
}

#[test]
fn a_signal_undoes_the_whole_of_a_single_transaction() {
    let (setup, job) = asleep("", "run");
    job.signal("TERM");
    job.wait().fails(
        143,
        "all 3 steps of its transaction were rolled back; the database is at base, as before this run",
    );
    assert_eq!(setup.database.tables("public"), ["_sqlx_migrations"]);
}

#[test]
fn a_signal_in_a_script_without_a_transaction_says_that_it_stands_halfway() {
    let (setup, job) = asleep("-- no-transaction\n", "each");
    job.signal("TERM");
    let outcome = job.wait();
    outcome.fails(143, "= state: the script is partially applied: 1 of its 2 statements ");
    assert!(setup.database.has("b"));
    assert!(!setup.database.value::<bool>("SELECT success FROM _sqlx_migrations WHERE version = 2"));
    until("no session is left", || setup.database.sessions() == 0);
    // It goes on where it was.
    let again = setup.job("upgrade head").start();
    until("the job sleeps again", || setup.database.is_sleeping());
    again.signal("TERM");
    again.wait().fails(143, "the script is partially applied");
}

/// What was done before the kill is not done again; a statement that commits with its record is.
#[test]
fn after_a_kill_a_script_without_a_transaction_goes_on() {
    let script = "-- no-transaction\nCREATE TABLE b (c int);\nINSERT INTO b SELECT 1 FROM pg_sleep(600);";
    let setup = Setup::with(&[("2_b.up.sql", script)]);
    let job = setup.job("upgrade head").start();
    until("the job sleeps", || setup.database.is_sleeping());
    job.signal("KILL");
    job.wait();
    let again = setup.job("upgrade head").env("RUN_MIGRATIONS_VERSION", "second").start();
    until("the second job sleeps", || {
        setup.database.value(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name LIKE 'run-migrations second %' \
             AND datname = current_database() AND wait_event = 'PgSleep')",
        )
    });
    again.signal("TERM");
    again.wait().fails(143, "the script is partially applied: 1 of its 2 statements");
}

/// The statement does not let itself be cancelled; and of two signals in the same moment one may get lost.
#[test]
fn a_second_signal_does_not_wait_for_an_answer() {
    let stubborn = "DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(600); EXCEPTION WHEN query_canceled THEN NULL; END; \
                    END LOOP; END $$;";
    let setup = Setup::with(&[("1_a.sql", "CREATE TABLE a ();"), ("2_b.sql", stubborn)]);
    let job = setup.job("upgrade head").start();
    until("the job sleeps", || setup.database.is_sleeping());
    job.signal("INT");
    std::thread::sleep(Duration::from_millis(500));
    job.signal("INT");
    // The message that is under way ends in a commit.
    job.wait()
        .fails(3, "error: interrupted by SIGINT; the connection was closed without an answer to a commit");
    setup.database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND application_name LIKE 'run-migrations%'",
    );
}

/// It was said that the server rolls back what was not committed, with the code for that; what it had been told to commit
/// it may have committed.
#[test]
fn a_signal_that_is_not_answered_tells_what_may_have_been_committed() {
    const SCRIPTS: &[(&str, &str)] = &[("1_a.sql", "CREATE TABLE a ();"), ("2_b.sql", "CREATE TABLE b ();")];
    const ALONE: &[(&str, &str)] =
        &[("1_a.sql", "-- no-transaction\nCREATE TABLE a ();\nCREATE TABLE b ();")];
    const UNKNOWN: &str = "error: terminated by SIGTERM; the connection was closed without an answer to a commit, and what \
                           became of it is not known; run again to go on\n";
    let cases = [
        ("upgrade head", "each", SCRIPTS, "CREATE TABLE b", 3, UNKNOWN),
        ("upgrade head", "run", SCRIPTS, "CREATE TABLE b", 3, UNKNOWN),
        (
            "upgrade head",
            "run",
            SCRIPTS,
            "CREATE TABLE a",
            143,
            "error: terminated by SIGTERM; the connection was closed without an answer; nothing was being committed; the \
             database is at base, as before this run\n",
        ),
        ("upgrade head", "each", ALONE, "CREATE TABLE b", 3, UNKNOWN),
        ("stamp head", "each", SCRIPTS, "INSERT INTO", 3, UNKNOWN),
        (
            "stamp head",
            "each",
            SCRIPTS,
            "SELECT pg_advisory_unlock(",
            143,
            "; nothing was being committed; it was recorded that the database is at 2 (head)\n",
        ),
        (
            "upgrade head",
            "each",
            SCRIPTS,
            "guard record",
            143,
            "; nothing was being committed; nothing was changed\n",
        ),
    ];
    let runs = cases.map(|(words, transaction, scripts, end, code, said)| {
        let (setup, relay) = (Setup::with(scripts), Relay::up_to(end, Then::Silence));
        let job = setup.job(words).env("TRANSACTION", transaction);
        (job.env("POSTGRES_PORT", &relay.port.to_string()).start(), setup, relay, code, said)
    });
    for (job, setup, relay, code, said) in runs {
        until("the server has fallen silent", || relay.has_ended());
        job.signal("TERM");
        job.signal("TERM");
        job.wait().fails(code, said);
        drop(relay);
        setup.job("upgrade head").run().ok();
    }
}

/// The same without a second signal: the server is given up on while the job waits for its answer to a query of its own.
#[test]
fn a_silent_server_is_not_asked_again_after_a_signal() {
    let setup = Setup::with(&[("1_a.sql", "-- no-transaction\nCREATE TABLE a ();\nVACUUM a;")]);
    let relay = Relay::up_to("clock_timestamp() WHERE statement = 1", Then::Silence);
    let job = setup.job("upgrade head").env("POSTGRES_PORT", &relay.port.to_string());
    let job = job.env("CONNECT_TIMEOUT", "1s").env("LOCK_TIMEOUT", "100ms").start();
    until("the server has fallen silent", || relay.has_ended());
    job.signal("TERM");
    job.wait()
        .fails(3, "= state: what became of it is not known (terminated by SIGTERM); run again to go on\n");
    drop(relay);
    setup.job("upgrade head").run().fails(6, "statement 2 (VACUUM a) began and its end is not recorded");
}

/// The code sent for a person, and nobody told them what to do.
#[test]
fn a_signal_between_two_attempts_names_the_ways_out() {
    let script = "-- no-transaction\nSET x.y = '1';\nALTER TABLE a ADD b int;";
    let setup = Setup::with(&[("1_a.sql", "CREATE TABLE a ();"), ("2_b.sql", script)]);
    setup.job("upgrade 1").run().ok();
    setup.database.execute("BEGIN; LOCK TABLE a IN ACCESS SHARE MODE");
    let job = setup.job("upgrade head").env("LOCK_TIMEOUT", "1s").env("LOCK_RETRIES", "9").start();
    let waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'a'::regclass)";
    let waits = || setup.database.value(waiting);
    until("the job waits for the table", waits);
    until("the job gives up for now", || !waits());
    job.signal("TERM");
    let outcome = job.wait();
    outcome.fails(
        6,
        "error: terminated by SIGTERM; the script is partially applied: 1 of its 2 statements is in effect; ",
    );
    outcome
        .fails(6, "finish the script by hand and run `resolve 2 --done`, or undo what it did and run `resolve 2 --retry`\n");
}

#[test]
fn a_signal_ends_the_wait_for_the_run_lock() {
    let (setup, holder) = asleep("", "each");
    let mut waiting = setup.job("upgrade head").env("RUN_MIGRATIONS_VERSION", "second").start();
    until("the second job has connected", || {
        setup.database.value(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name LIKE 'run-migrations second %' \
             AND datname = current_database())",
        )
    });
    std::thread::sleep(Duration::from_millis(100));
    assert!(!waiting.is_over());
    waiting.signal("TERM");
    let outcome = waiting.wait();
    outcome.fails(143, "error: terminated by SIGTERM; it had waited ");
    outcome.fails(143, " for the run lock; nothing was changed\n");
    holder.signal("TERM");
    assert_eq!(holder.wait().code, Some(143));
}

#[test]
fn a_signal_ends_the_wait_for_the_server() {
    let setup = Setup::with(&[("1_a.up.sql", "SELECT 1;")]);
    let mut job =
        setup.job("upgrade head").env("POSTGRES_HOST", "127.0.0.1").env("POSTGRES_PORT", "1").start();
    std::thread::sleep(Duration::from_millis(300));
    assert!(!job.is_over());
    job.signal("TERM");
    job.wait().fails(143, "there was no connection yet; nothing was changed");
}

#[test]
fn a_signal_ends_the_wait_for_migrations() {
    let setup = Setup::with(&[("1_a.up.sql", "SELECT 1;")]);
    let mut job = setup.job("current --wait 10m").start();
    until("the job has connected", || setup.database.sessions() == 1);
    std::thread::sleep(Duration::from_millis(300));
    assert!(!job.is_over());
    job.signal("TERM");
    job.wait().fails(143, "it only waited; nothing was changed");
}

/// The server must notice by itself that the one it works for is gone.
#[test]
fn after_a_kill_the_next_run_succeeds() {
    let (setup, job) = asleep("", "each");
    job.signal("KILL");
    assert_eq!(job.wait().code, None);
    setup.directory.write("2_b.up.sql", "CREATE TABLE b ();");
    setup.job("upgrade head").env("RUN_LOCK_TIMEOUT", "60s").run().ok();
    assert_eq!(setup.database.versions(), [1, 2, 3]);
}

#[test]
fn a_server_that_ends_the_session_is_told_from_a_failed_migration() {
    let (setup, job) = asleep("", "each");
    setup.database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND application_name LIKE 'run-migrations%'",
    );
    let outcome = job.wait();
    outcome.fails(
        3,
        "it was rolled back; the database is at 1: 1 step of this run committed, 2 not; run again to go on",
    );
    assert_eq!(setup.database.versions(), [1]);
}

/// Longer than the server waits for a transaction that does nothing, which is a minute: it ends the session meanwhile.
#[test]
fn a_job_that_was_stopped_for_too_long_says_what_became_of_its_transaction() {
    let setup = Setup::with(&[
        ("1_a.sql", "CREATE TABLE a ();\nSELECT pg_sleep(1);"),
        ("2_b.sql", "CREATE TABLE b ();"),
    ]);
    let job = setup.job("upgrade head").env("TRANSACTION", "run").start();
    until("the job sleeps", || setup.database.is_sleeping());
    job.signal("STOP");
    until("the server has ended its session", || setup.database.sessions() == 0);
    job.signal("CONT");
    let outcome = job.wait();
    outcome.fails(3, "terminating connection due to idle-in-transaction timeout");
    outcome.fails(3, "it was rolled back; the database is at base, as before this run; run again to go on");
    assert_eq!(setup.database.tables("public"), ["_sqlx_migrations"]);
    setup.directory.write("1_a.sql", "CREATE TABLE a ();");
    setup.job("upgrade head").run().ok();
}

/// The session is found by its name, which a script may change.
#[test]
fn a_signal_cancels_a_script_that_gave_its_session_another_name() {
    let setup = Setup::with(&[("1_a.sql", "SET application_name = 'other';\nSELECT pg_sleep(600);")]);
    let job = setup.job("upgrade head").start();
    let sleeps = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND \
                  application_name = 'other' AND wait_event = 'PgSleep')";
    until("the job sleeps", || setup.database.value(sleeps));
    job.signal("TERM");
    job.wait().fails(143, "it was rolled back; the database is at base");
}

/// Takes a lock in a transaction of its own.
fn hold(setup: &Setup, sql: &'static str) -> PgConnection {
    let mut holder = setup.database.connection();
    setup.database.block_on(raw_sql(sql).execute(&mut holder)).unwrap();
    holder
}

/// Whether the job runs such a statement and waits for the transaction of somebody.
fn waits(setup: &Setup, statement: &str) -> bool {
    setup.database.value(&format!(
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '{statement}%' \
         AND wait_event = 'virtualxid')"
    ))
}

/// Five seconds after the build was cancelled the removal of what it had left was cancelled as well, and an invalid unique
/// index went on to refuse rows.
#[test]
fn a_signal_does_not_cancel_the_removal_of_an_invalid_index() {
    let setup = Setup::with(&[
        ("1_a.sql", "CREATE TABLE a (b int);"),
        ("2_i.sql", "-- no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY i ON a (b);"),
    ]);
    setup.job("upgrade 1").run().ok();
    let holder = hold(&setup, "BEGIN; LOCK TABLE a IN ROW EXCLUSIVE MODE");
    let job = setup.job("upgrade head").start();
    until("the build waits for the writer", || waits(&setup, "CREATE UNIQUE INDEX"));
    job.signal("TERM");
    std::thread::sleep(Duration::from_secs(7));
    assert!(waits(&setup, "DROP INDEX"));
    drop(holder);
    job.wait().fails(143, "= state: nothing of the script took effect; the database is at 1");
    assert!(!setup.database.has("i"));
    setup.job("upgrade head").run().ok();
}

/// The same where the build had failed by itself, and the signal came while its index was being dropped.
#[test]
fn a_signal_that_comes_later_does_not_cancel_the_removal_either() {
    let setup = Setup::with(&[
        ("1_a.sql", "CREATE TABLE a (b int);\nINSERT INTO a VALUES (1), (1);"),
        ("2_i.sql", "-- no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY i ON a (b);"),
    ]);
    setup.job("upgrade 1").run().ok();
    let holder = hold(&setup, "BEGIN; LOCK TABLE a IN ACCESS SHARE MODE");
    let job = setup.job("upgrade head").start();
    until("the index is being dropped", || waits(&setup, "DROP INDEX"));
    job.signal("TERM");
    std::thread::sleep(Duration::from_millis(500));
    drop(holder);
    job.wait().fails(5, "= state: nothing of the script took effect; the database is at 1");
    assert!(!setup.database.has("i"));
}
