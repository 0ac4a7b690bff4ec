//! What is in the way of a connection is named with the address, the reason and what to check.

use std::net::TcpListener;

use sqlx::{AssertSqlSafe, ConnectOptions as _, Row as _, raw_sql};

use crate::support::{Database, Directory, Job, Pooler, Relay, Server, Setup, Then, quoted, until};

const SCRIPTS: &[(&str, &str)] = &[("1_a.up.sql", "CREATE TABLE a ();"), ("1_a.down.sql", "DROP TABLE a;")];

#[test]
fn an_unknown_database_is_refused_and_not_created() {
    let setup = Setup::with(SCRIPTS);
    let Server { host, port, .. } = Server::of_environment();
    setup.job("upgrade head").env("POSTGRES_DB", "nothing_is_called_so").run().is(
        8,
        "",
        &format!(
            "error: {host}:{port} refused the connection: database \"nothing_is_called_so\" does not exist (SQLSTATE 3D000); \
             check POSTGRES_DB; the job does not create databases"
        ),
    );
}

#[test]
fn a_host_that_does_not_resolve_is_unreachable() {
    let setup = Setup::with(SCRIPTS);
    let job = setup.job("upgrade head").env("POSTGRES_HOST", "no-such-host.invalid");
    let outcome = job.env("CONNECT_TIMEOUT", "300ms").run();
    outcome.fails(3, "error: no connection to the server within N ms: no-such-host.invalid:");
    assert!(outcome.stderr.trim_end().ends_with("; nothing was changed"), "{}", outcome.stderr);
    assert_eq!(outcome.stdout, "");
}

#[test]
fn a_closed_port_is_unreachable() {
    let setup = Setup::with(SCRIPTS);
    // Free a moment ago, and nothing else asks for it.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let job =
        setup.job("upgrade head").env("POSTGRES_HOST", "127.0.0.1").env("POSTGRES_PORT", &port.to_string());
    job.env("CONNECT_TIMEOUT", "200ms").run().is(
        3,
        "",
        &format!(
            "error: no connection to the server within N ms: 127.0.0.1:{port}: Connection refused (os error 111); \
             nothing was changed"
        ),
    );
}

#[test]
fn a_server_that_accepts_and_never_answers_is_given_up_in_time() {
    let setup = Setup::with(SCRIPTS);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let job =
        setup.job("upgrade head").env("POSTGRES_HOST", "127.0.0.1").env("POSTGRES_PORT", &port.to_string());
    job.env("CONNECT_TIMEOUT", "300ms").run().is(
        3,
        "",
        &format!(
            "error: no connection to the server within N ms: 127.0.0.1:{port}: the server did not answer; \
             nothing was changed"
        ),
    );
}

#[test]
fn a_server_that_comes_up_late_is_waited_for() {
    let setup = Setup::with(SCRIPTS);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let job = setup.job("upgrade head").env("POSTGRES_HOST", "127.0.0.1").without("RUST_LOG");
    let mut running = job.env("POSTGRES_PORT", &closed.to_string()).start();
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(!running.is_over(), "it waits");
    let _relay = Relay::at(&format!("127.0.0.1:{closed}"));
    let outcome = running.wait();
    assert!(outcome.ok().stderr.contains(" INFO waiting for the server at 127.0.0.1:"), "{}", outcome.stderr);
    assert_eq!(setup.database.versions(), [1]);
}

#[test]
fn the_directory_of_a_unix_socket_serves_as_host() {
    let setup = Setup::with(SCRIPTS);
    let job = setup.job("upgrade head").env("POSTGRES_HOST", &Server::of_environment().socket);
    job.run().is(0, "upgrade from base to 1: 1 migration\n  applied  1  a  N ms\ndone: 1 migration in N ms; the database is at 1 (head)", "");
}

#[test]
fn a_directory_without_a_socket_is_unreachable() {
    let directory = Directory::with(SCRIPTS);
    let job = Job::new("current").within(&directory).env("POSTGRES_HOST", "/nonexistent");
    let job = job.env("POSTGRES_DB", "app").env("POSTGRES_USER", "owner").env("POSTGRES_PASSWORD", "x");
    job.env("CONNECT_TIMEOUT", "50ms").run().is(
        3,
        "",
        "error: no connection to the server within N ms: /nonexistent/.s.PGSQL.5432: \
         No such file or directory (os error 2); nothing was changed",
    );
}

#[test]
fn a_database_may_be_called_anything() {
    let database = Database::called(" ü'\"$x-;Z");
    let directory = Directory::with(SCRIPTS);
    for (words, versions) in [("upgrade head", &[1][..]), ("downgrade base", &[]), ("upgrade head", &[1])] {
        Job::new(words).within(&directory).on(&database).run().ok();
        assert_eq!(database.versions(), versions);
    }
}

#[test]
fn a_connection_limit_that_is_reached_is_waited_out() {
    let setup = Setup::with(SCRIPTS);
    let role = setup.database.role("secret");
    setup.database.execute(&format!("ALTER ROLE \"{}\" CONNECTION LIMIT 0", role.name));
    let mut running = setup.job("current").role(&role).start();
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert!(!running.is_over());
    setup.database.execute(&format!("ALTER ROLE \"{}\" CONNECTION LIMIT -1", role.name));
    running.wait().is(0, "base\n  pending  1  a", "");
    until("no session is left", || setup.database.sessions() == 0);
}

/// Its lock and its settings would belong to whoever comes next.
#[test]
fn a_pooler_in_transaction_mode_is_refused_before_anything_is_locked() {
    let setup = Setup::with(SCRIPTS);
    let port = Pooler::start().port.to_string();
    let pooled = |words| setup.job(words).env("POSTGRES_HOST", "127.0.0.1").env("POSTGRES_PORT", &port);
    pooled("upgrade head").run().is(
        8,
        "",
        &format!(
            "error: 127.0.0.1:{port} is a connection pooler in transaction mode, where no lock can be kept; connect to the \
             server itself, or to a pool in session mode"
        ),
    );
    assert_eq!(setup.database.tables("public"), [""; 0]);
    assert!(setup.database.value::<bool>(
        "SELECT NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
    ));
    // Who only looks needs no lock, and sets nothing that another client would find.
    pooled("current").run().is(0, "base\n  pending  1  a", "");
    let options = setup.database.options().port(port.parse().unwrap());
    let mut next = setup.database.block_on(options.connect()).unwrap();
    for (setting, usual) in [("search_path", "\"$user\", public"), ("lock_timeout", "0")] {
        let shown = raw_sql(AssertSqlSafe(format!("SHOW {setting}"))).fetch_one(&mut next);
        let shown = setup.database.block_on(shown).unwrap();
        assert_eq!(shown.get::<String, _>(0), usual, "{setting}");
    }
}

/// Whether it was committed depends on when the server notices; that the job tells it right does not.
#[test]
fn after_a_cut_the_job_learns_what_became_of_the_migration() {
    let setup = Setup::with(&[
        ("1_a.up.sql", "CREATE TABLE a ();\nSELECT pg_sleep(1.5);"),
        ("2_b.up.sql", "CREATE TABLE b ();"),
    ]);
    let relay = Relay::at("127.0.0.1:0");
    let job = setup.job("upgrade head").env("POSTGRES_HOST", "127.0.0.1");
    let job = job.env("POSTGRES_PORT", &relay.port.to_string()).start();
    until("the job sleeps", || setup.database.is_sleeping());
    relay.cut();
    let outcome = job.wait();
    match setup.database.versions().as_slice() {
        [] => outcome.fails(3, "= state: it was rolled back; the database is at base, as before this run; run again to go on"),
        [1] => outcome.fails(3, "= state: it was committed all the same; the database is at 1: 1 step of this run committed, 1 not; run again to go on"),
        others => panic!("{others:?}"),
    };
    setup.job("upgrade head").run().ok();
    assert_eq!(setup.database.versions(), [1, 2]);
}

/// What was committed can't be learnt either where everybody else has taken the connections.
#[test]
fn a_server_that_filled_up_meanwhile_leaves_it_unknown() {
    let setup = Setup::with(&[("1_a.sql", "SELECT pg_sleep(600);")]);
    let role = setup.database.role("secret");
    setup.database.execute(&format!("GRANT CREATE ON SCHEMA public TO {}", quoted(&role.name)));
    let job = setup.job("upgrade head").role(&role).env("CONNECT_TIMEOUT", "4s").start();
    until("the job sleeps", || setup.database.is_sleeping());
    setup.database.execute(&format!("ALTER ROLE {} CONNECTION LIMIT 0", quoted(&role.name)));
    setup.database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND application_name LIKE 'run-migrations%'",
    );
    let outcome = job.wait();
    outcome.fails(3, "what became of it is not known (no connection to the server within 4 s: ");
    outcome.fails(3, "too many connections for role \"DATABASE_role_1\" (SQLSTATE 53300)");
}

/// There may be room again: the code says that it is worth another try. In a script's own statement it is that script's
/// failure.
#[test]
fn a_full_disk_is_worth_another_try() {
    let setup = Setup::with(&[("1_a.sql", "DO 'BEGIN RAISE disk_full; END'")]);
    setup.database.execute(
        "CREATE FUNCTION no_room() RETURNS event_trigger LANGUAGE plpgsql AS \
         'BEGIN RAISE disk_full USING message = ''could not extend file: No space left on device''; END'; \
         CREATE EVENT TRIGGER no_room ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION no_room()",
    );
    setup.job("stamp head").run().fails(3, "No space left on device (SQLSTATE 53100)");
    setup.database.execute("DROP EVENT TRIGGER no_room");
    setup.job("upgrade head").run().fails(5, "it was rolled back; the database is at base");
    setup.job("stamp head").run().ok();
}

/// As after a failover to a standby that had not received everything.
#[test]
fn commits_that_the_server_has_lost_are_named() {
    let setup = Setup::with(&[
        ("1_a.sql", "CREATE TABLE a ();"),
        ("2_b.sql", "CREATE TABLE b ();"),
        ("3_c.sql", "SELECT pg_sleep(600);"),
    ]);
    setup.job("upgrade 1").run().ok();
    let job = setup.job("upgrade head").env("OUTPUT", "json").start();
    until("the job sleeps", || setup.database.is_sleeping());
    setup.database.execute(
        "DELETE FROM _sqlx_migrations WHERE version = 2; \
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND application_name LIKE 'run-migrations%'",
    );
    let outcome = job.wait();
    outcome.fails(
        3,
        "= state: the server that answers now lacks what this run committed: 2 (b), as after a failover to a standby \
         that had not received it; the database is at 1; make sure that this is the server to go on with, then run again",
    );
    assert!(outcome.stdout.contains("\"current\": 1,"), "{}", outcome.stdout);
    assert!(!outcome.stdout.contains("\"done\""), "{}", outcome.stdout);
}

/// On the way, the question whether the server is a standby is answered with yes, until it takes over.
#[test]
fn a_standby_that_takes_over_is_waited_for() {
    let setup = Setup::with(&[("1_a.sql", "SELECT pg_sleep(600);")]);
    let standby = Relay::up_to("pg_is_in_recovery()", Then::Instead("true               "));
    standby.put_others(false);
    let job = setup.job("upgrade head").env("POSTGRES_HOST", "127.0.0.1");
    let mut job = job.env("POSTGRES_PORT", &standby.port.to_string()).start();
    until("the job sleeps", || setup.database.is_sleeping());
    standby.put_others(true);
    setup.database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND application_name LIKE 'run-migrations%'",
    );
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert!(!job.is_over());
    standby.put_others(false);
    job.wait()
        .fails(3, "= state: it was rolled back; the database is at base, as before this run; run again");
}

/// The five variables in one, as applications have it.
#[test]
fn a_url_names_the_database() {
    let setup = Setup::with(&[("1_a.up.sql", "CREATE TABLE a ();")]);
    let Server { host, port, user, password, .. } = Server::of_environment();
    let name = &setup.database.name;
    let url = format!("postgresql+psycopg2://{user}:{password}@{host}:{port}/{name}?sslmode=disable");
    let job = || Job::new("upgrade head").within(&setup.directory);
    let both = job().env("DATABASE_URL", &url).env("POSTGRES_DB", "app").run();
    both.fails(2, "DATABASE_URL: is set, and so is POSTGRES_DB; keep one");
    for text in [&both.stdout, &both.stderr] {
        assert!(!text.contains(&password), "{text}");
    }
    job().env("DATABASE_URL", &url).run().ok();
    job()
        .env("DATABASE_URL", "db/app")
        .run()
        .fails(2, "DATABASE_URL: expected postgresql://user:password@host");
}
