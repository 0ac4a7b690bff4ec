//! Every mistake in arguments and environment is reported in one go, and no secret with it.

use crate::support::{Directory, Job};

#[test]
fn nothing_set_at_all_names_everything_that_is_required() {
    Job::new("").run().is(
        2,
        "",
        "\
error: 4 settings are wrong:
  COMMAND: is missing; set it to one of upgrade, downgrade, current, history, stamp or resolve
  POSTGRES_HOST: is missing; set it to the server's host name, or the directory of its Unix socket
  POSTGRES_DB: is missing; set it to the database's name
  POSTGRES_USER: is missing; set it to the role to connect as",
    );
}

#[test]
fn the_version_is_that_of_the_image() {
    Job::new("--version").run().is(0, "run-migrations dev", "");
    let image = [("VERSION", "v1.2.3"), ("COMMIT", "a5b1c2d"), ("CREATED", "yesterday")];
    let job = image
        .iter()
        .fold(Job::new("-V"), |job, (name, value)| job.env(&format!("RUN_MIGRATIONS_{name}"), value));
    job.run().is(0, "run-migrations v1.2.3 (commit a5b1c2d of yesterday)", "");
}

#[test]
fn empty_counts_as_missing() {
    let names = ["COMMAND", "POSTGRES_HOST", "POSTGRES_DB", "POSTGRES_USER", "POSTGRES_PASSWORD"];
    let job = names.iter().fold(Job::new(""), |job, name| job.env(name, ""));
    let missing = Job::new("").run();
    job.run().is(2, &missing.stdout, &missing.stderr);
}

#[test]
fn each_required_variable_is_missed_by_name() {
    let required = [
        ("COMMAND", "current"),
        ("REVISION", "head"),
        ("POSTGRES_HOST", "127.0.0.1"),
        ("POSTGRES_DB", "app"),
        ("POSTGRES_USER", "owner"),
    ];
    for (missing, _) in required {
        let all = required.iter().fold(Job::new(""), |job, (name, value)| job.env(name, value));
        let outcome = all.env("POSTGRES_PASSWORD", "secret").without(missing).run();
        outcome.fails(2, &format!("error: 1 setting is wrong:\n  {missing}: is missing; set it"));
        assert_eq!(outcome.stdout, "");
    }
}

#[test]
fn every_malformed_variable_is_told_at_once_without_a_secret() {
    let malformed = [
        ("COMMAND", "fly"),
        ("POSTGRES_HOST", "postgres://owner:hunter2@db/app"),
        ("POSTGRES_PORT", "tcp://owner:hunter2@db"),
        ("POSTGRES_DB", "app"),
        ("POSTGRES_USER", "owner"),
        ("POSTGRES_PASSWORD", "hunter2"),
        ("POSTGRES_PASSWORD_FILE", "/nonexistent"),
        ("POSTGRES_SSLMODE", "on"),
        ("POSTGRES_SSLROOTCERT", "/nonexistent"),
        ("TRANSACTION", "all"),
        ("CONNECT_TIMEOUT", "5"),
        ("RUN_LOCK_TIMEOUT", "soon"),
        ("LOCK_TIMEOUT", "-5s"),
        ("STATEMENT_TIMEOUT", "2years"),
        ("LOCK_RETRIES", "many"),
        ("LOCK_RETRY_BUDGET", "1us"),
        ("OUTPUT", "xml"),
        ("RUST_LOG", "a=b=c"),
    ];
    let job = malformed.iter().fold(Job::new(""), |job, (name, value)| job.env(name, value));
    let outcome = job.run();
    outcome.fails(2, "error: 15 settings are wrong:");
    assert!(!outcome.stderr.contains("hunter2"), "{}", outcome.stderr);
    for (name, _) in malformed
        .iter()
        .filter(|(name, _)| !["POSTGRES_DB", "POSTGRES_USER", "POSTGRES_PASSWORD_FILE"].contains(name))
    {
        assert!(outcome.stderr.contains(&format!("\n  {name}: ")), "{name}\n{}", outcome.stderr);
    }
}

#[test]
fn ports_that_are_none_are_refused() {
    for (port, shown) in [
        ("0", "\"0\""),
        ("65536", "\"65536\""),
        ("abc", "\"abc\""),
        ("-1", "\"-1\""),
        ("5432x", "\"5432x\""),
        ("tcp://10.0.0.1:0", "the URL"),
    ] {
        let job = Job::new("current").env("POSTGRES_HOST", "db").env("POSTGRES_DB", "app");
        let job = job.env("POSTGRES_USER", "owner").env("POSTGRES_PASSWORD", "secret");
        job.env("POSTGRES_PORT", port).run().is(
            2,
            "",
            &format!(
                "error: 1 setting is wrong:\n  POSTGRES_PORT: {shown} is not a port; expected a number from 1 to 65535"
            ),
        );
    }
}

#[test]
fn a_kubernetes_service_link_gives_the_port_and_a_warning() {
    // Nobody listens at port 1; that it is the one tried shows in the message.
    let directory = Directory::with(&[("1_a.up.sql", "SELECT 1;")]);
    let job = Job::new("current").within(&directory).env("POSTGRES_DB", "app");
    let job = job.env("POSTGRES_USER", "owner").env("POSTGRES_PASSWORD", "secret");
    let job = job.env("POSTGRES_HOST", "127.0.0.1").env("POSTGRES_PORT", "tcp://10.0.0.1:1");
    let outcome = job.env("CONNECT_TIMEOUT", "50ms").run();
    outcome.fails(3, "127.0.0.1:1: ");
    outcome.fails(3, " WARN POSTGRES_PORT is a Kubernetes service link; took its port");
}

#[test]
fn unknown_arguments_and_too_many_are_usage() {
    for (words, part) in [
        ("upgrade head more", "unexpected argument 'more'"),
        ("upgrade head --force", "unexpected argument '--force'"),
        ("upgrade --sql", "a value is required for '--sql <FROM:TO>'"),
    ] {
        let outcome = Job::new(words).run();
        outcome.fails(2, part);
        assert_eq!(outcome.stdout, "", "{words}");
    }
}

#[test]
fn flags_that_do_not_belong_to_a_command_are_refused_together() {
    Job::new("history --plan --check --done --allow-out-of-order --sql base:head").run().is(
        2,
        "",
        "\
error: 6 settings are wrong:
  --plan: goes with upgrade, downgrade, stamp, not with history
  --sql: goes with upgrade, downgrade, not with history
  --allow-out-of-order: goes with upgrade, not with history
  --check: goes with current, not with history
  --done: goes with resolve, not with history
  --plan: does not go with --sql, which runs nothing",
    );
}

#[test]
fn help_is_on_stdout_and_no_error() {
    let outcome = Job::new("--help").run();
    outcome.ok();
    assert_eq!(outcome.stderr, "");
    for part in ["Usage: run-migrations", "POSTGRES_PASSWORD_FILE", "9 --check: migrations are pending"] {
        assert!(outcome.stdout.contains(part), "{part}\n{}", outcome.stdout);
    }
}

#[test]
fn a_wrong_configuration_is_logged_in_the_format_asked_for() {
    let outcome = Job::new("").env("OUTPUT", "json").run();
    assert_eq!(outcome.code, Some(2));
    assert_eq!(outcome.json()["outcome"], "usage");
}

#[test]
fn a_log_format_that_is_none_is_told_in_the_default_one() {
    let outcome = Job::new("").env("LOG_FORMAT", "xml").run();
    assert_eq!(outcome.code, Some(2));
    assert!(
        outcome.stderr.contains("LOG_FORMAT: \\\"xml\\\" is not one of text, json, auto"),
        "{}",
        outcome.stderr
    );
    for line in outcome.stderr.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
    }
}
