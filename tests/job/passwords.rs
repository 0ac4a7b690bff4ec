//! A password may hold any character, from the environment and from a file, and is never shown.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::{Directory, Job, Relay, Setup, quoted, until};

const SCRIPTS: &[(&str, &str)] = &[("1_a.up.sql", "SELECT 1;")];

#[test]
fn a_password_of_any_characters_logs_in() {
    let setup = Setup::with(SCRIPTS);
    for password in [
        "plain",
        "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
        "two  spaces inside",
        " spaces around ",
        "'single' \"double\" ''twice''",
        "$HOME `id` $(id) %41 &amp;",
        "pässwörd ☃ パスワード",
        "\u{aa}\u{2168}\u{a0}x",
        "postgres://u:p@h:1/d?x=y#z",
        "password=x host=y",
    ] {
        let role = setup.database.role(password);
        setup.job("current").role(&role).run().is(0, "base\n  pending  1  a", "");

        // One trailing newline of a file is the editor's, not the password's.
        let path = setup.directory.path().join("password");
        fs::write(&path, format!("{password}\n")).unwrap();
        let job = setup.job("current").role(&role).without("POSTGRES_PASSWORD");
        job.env("POSTGRES_PASSWORD_FILE", path.to_str().unwrap()).run().is(0, "base\n  pending  1  a", "");
    }
}

/// SASLprep forbids control characters and whatever Unicode 3.2 did not have, and the job refused such a password. libpq
/// sends it as it is.
#[test]
fn a_password_that_saslprep_forbids_logs_in() {
    let setup = Setup::with(SCRIPTS);
    for password in ["tab\tinside", "line\nbreak", "trailing newline\n", "key 🗝", "\u{ad}", "\u{7f}"] {
        let role = setup.database.role(password);
        setup.job("current").role(&role).run().is(0, "base\n  pending  1  a", "");
        setup.job("current").role(&role).env("POSTGRES_PASSWORD", "x").run().fails(8, "(SQLSTATE 28P01)");
    }
}

#[test]
fn a_password_file_without_a_newline_is_taken_as_it_is() {
    let setup = Setup::with(SCRIPTS);
    let role = setup.database.role("as it is ");
    fs::write(setup.directory.path().join("password"), "as it is ").unwrap();
    let job = setup.job("current").role(&role).without("POSTGRES_PASSWORD");
    // A relative path is one from the working directory.
    job.env("POSTGRES_PASSWORD_FILE", "password").run().ok();
}

#[test]
fn a_password_file_that_can_not_be_used_is_named() {
    let directory = Directory::with(SCRIPTS);
    fs::write(directory.path().join("empty"), "\n").unwrap();
    fs::write(directory.path().join("binary"), b"a\xff").unwrap();
    fs::write(directory.path().join("nul"), b"a\0b").unwrap();
    for (file, problem) in [
        ("missing", "missing can't be read: No such file or directory (os error 2)"),
        ("migrations", "migrations can't be read: Is a directory (os error 21)"),
        ("empty", "empty is empty"),
        ("binary", "binary is not UTF-8"),
        ("nul", "nul holds a zero byte; no password may"),
    ] {
        let job = Job::new("current").within(&directory).env("POSTGRES_HOST", "db");
        let job = job.env("POSTGRES_DB", "app").env("POSTGRES_USER", "owner");
        job.env("POSTGRES_PASSWORD_FILE", file).run().is(
            2,
            "",
            &format!("error: 1 setting is wrong:\n  POSTGRES_PASSWORD_FILE: {problem}"),
        );
    }
}

/// The job waited for somebody to write into it, deaf to limits and signals.
#[test]
fn a_pipe_is_no_password_file() {
    let directory = Directory::with(SCRIPTS);
    let path = directory.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    for name in ["POSTGRES_PASSWORD_FILE", "POSTGRES_SSLROOTCERT"] {
        let job = Job::new("current").within(&directory).env("POSTGRES_HOST", "db").env("POSTGRES_DB", "app");
        let outcome = job.env("POSTGRES_USER", "owner").env(name, "pipe").run();
        outcome.fails(2, &format!("  {name}: pipe is a pipe or socket; it has to be a file"));
    }
}

#[test]
fn a_wrong_password_is_refused_and_not_shown() {
    let setup = Setup::with(SCRIPTS);
    let role = setup.database.role("right");
    let outcome = setup.job("current").role(&role).env("POSTGRES_PASSWORD", "hunter2").run();
    outcome.fails(8, "refused the connection: password authentication failed for user \"DATABASE_role_1\" (SQLSTATE 28P01); check POSTGRES_USER and POSTGRES_PASSWORD\n");
    assert!(!outcome.stderr.contains("hunter2"), "{}", outcome.stderr);
    let outcome = setup.job("current").role(&role).env("POSTGRES_PASSWORD", "right ").run();
    outcome.fails(8, "; the password begins or ends with white space, perhaps an extra newline");
    let debug = setup.job("current").role(&role).env("RUST_LOG", "trace").run();
    assert!(!debug.ok().stderr.contains("right"), "{}", debug.stderr);
}

#[test]
fn an_unknown_role_is_refused_like_a_wrong_password() {
    let setup = Setup::with(SCRIPTS);
    setup
        .job("current")
        .env("POSTGRES_USER", "nobody_is_called_so")
        .run()
        .fails(8, "check POSTGRES_USER and POSTGRES_PASSWORD");
}

/// A program that says which password it is this time, and writes down that it was asked.
const TOKEN: &str = "sh -c 'echo asked >> asked; cat token'";

fn asked(setup: &Setup) -> usize {
    fs::read_to_string(setup.directory.path().join("asked")).unwrap_or_default().lines().count()
}

/// A token that was good for a quarter of an hour ended a run that had to connect again after that.
#[test]
fn a_password_that_changes_meanwhile_is_asked_for_anew() {
    for (variable, value) in [("POSTGRES_PASSWORD_COMMAND", TOKEN), ("POSTGRES_PASSWORD_FILE", "token")] {
        let setup = Setup::with(&[("1_a.sql", "SELECT pg_sleep(600);")]);
        let role = setup.database.role("first");
        let write = |password: &str| fs::write(setup.directory.path().join("token"), password).unwrap();
        write("first\n");
        setup.database.execute(&format!("GRANT CREATE ON SCHEMA public TO {}", quoted(&role.name)));
        let job =
            setup.job("upgrade head").role(&role).without("POSTGRES_PASSWORD").env(variable, value).start();
        until("the job sleeps", || setup.database.is_sleeping());
        setup.database.execute(&format!("ALTER ROLE {} PASSWORD 'second'", quoted(&role.name)));
        write("second\n");
        setup.database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND application_name LIKE 'run-migrations%'",
        );
        job.wait()
            .fails(3, "= state: it was rolled back; the database is at base, as before this run; run again");
        assert!(asked(&setup) >= 3 || variable == "POSTGRES_PASSWORD_FILE", "{}", asked(&setup));
        write("first\n");
        let job = setup.job("current").role(&role).without("POSTGRES_PASSWORD").env(variable, value);
        job.run().fails(8, &format!("check POSTGRES_USER and {variable}\n"));
    }
}

#[test]
fn a_program_that_says_no_password_is_told_with_its_words() {
    let setup = Setup::with(SCRIPTS);
    let role = setup.database.role("right");
    let run = |command: &str| {
        let job = setup.job("current").role(&role).without("POSTGRES_PASSWORD").env("CONNECT_TIMEOUT", "1s");
        job.env("POSTGRES_PASSWORD_COMMAND", command).env("RUST_LOG", "trace").run()
    };
    assert!(!run("printf right").ok().stderr.contains("right"));
    run("printf 'right\\n'").ok();
    for (command, code, problem) in [
        ("sh -c 'echo no credentials >&2; exit 1'", 3, "sh failed (exit status: 1); it says: no credentials"),
        ("sh -c 'printf \"\\033[31mred\" >&2; exit 1'", 3, "; it says: \\u{1b}[31mred"),
        ("/nonexistent/token", 2, "/nonexistent/token can't be started: No such file or directory"),
        ("/", 2, "/ can't be started: Permission denied"),
        ("printf '\\377'", 2, "what printf printed is not UTF-8\n"),
        ("true", 3, "what true printed is empty"),
        ("sleep 600", 3, "sleep did not end within "),
        ("'", 2, "holds a quote that does not end\n"),
    ] {
        let start = Instant::now();
        let outcome = run(command);
        let first = if code == 2 {
            "error: 1 setting is wrong:\n  POSTGRES_PASSWORD_COMMAND: "
        } else {
            "error: no connection to the server within 1 s: "
        };
        outcome.fails(code, first);
        outcome.fails(code, problem);
        assert!(start.elapsed() < Duration::from_secs(20), "{command}");
    }
    let two = setup.job("current").env("POSTGRES_PASSWORD_COMMAND", "true").run();
    two.fails(2, "POSTGRES_PASSWORD: is set, and so is POSTGRES_PASSWORD_COMMAND; keep one");
}

/// One failure of a service that gives out tokens, which may take its time after a pod has started, ended the Job for good.
#[test]
fn a_program_that_fails_is_asked_again() {
    let setup = Setup::with(SCRIPTS);
    let role = setup.database.role("right");
    let command = "sh -c 'echo asked >> asked; test $(wc -l < asked) -ge 4 || { echo not yet >&2; exit 1; }; printf right'";
    let job = setup.job("current").role(&role).without("POSTGRES_PASSWORD").env("RUST_LOG", "info");
    let outcome = job.env("POSTGRES_PASSWORD_COMMAND", command).run();
    assert!(
        outcome
            .ok()
            .stderr
            .contains("POSTGRES_PASSWORD_COMMAND: sh failed (exit status: 1); it says: not yet\n")
    );
    assert_eq!(asked(&setup), 4);
}

/// So did a file that was looked for while somebody wrote it again.
#[test]
fn a_file_that_is_being_written_is_read_again() {
    for break_it in [|path: &Path| fs::remove_file(path).unwrap(), |path: &Path| fs::write(path, "").unwrap()]
    {
        let setup = Setup::with(SCRIPTS);
        let role = setup.database.role("right");
        let path = setup.directory.path().join("token");
        fs::write(&path, "right").unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let job = setup.job("current").role(&role).without("POSTGRES_PASSWORD");
        let job = job.env("POSTGRES_PASSWORD_FILE", "token").env("POSTGRES_PORT", &port.to_string());
        let job = job.env("POSTGRES_HOST", "127.0.0.1").start();
        // It has read the settings, and waits for the server.
        std::thread::sleep(Duration::from_millis(500));
        break_it(&path);
        let relay = Relay::at(&format!("127.0.0.1:{port}"));
        until("the job has connected", || !relay.said().is_empty());
        std::thread::sleep(Duration::from_millis(500));
        fs::write(&path, "right").unwrap();
        job.wait().ok();
    }
}

/// It has no say where the server does not ask, and a refused server's question does not start it.
#[test]
fn a_program_is_asked_only_where_its_password_is_sent() {
    let setup = Setup::with(SCRIPTS);
    let job = setup.job("current").without("POSTGRES_PASSWORD").env("POSTGRES_PASSWORD_COMMAND", TOKEN);
    job.env("POSTGRES_REQUIRE_AUTH", "none").run().fails(8, "which POSTGRES_REQUIRE_AUTH does not allow");
    assert_eq!(asked(&setup), 0);
}
