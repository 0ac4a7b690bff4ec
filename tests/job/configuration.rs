//! Every mistake in arguments and environment is reported in one go, and no secret with it.

use crate::support::{Directory, Job};

#[test]
fn nothing_set_at_all_names_everything_that_is_required() {
    // Another variable shows that somebody means to run it.
    Job::new("").env("LOG_FORMAT", "text").env("COMMAND", " ").run().is(
        2,
        "",
        "\
error: 5 settings are wrong:
  COMMAND: is missing; set it to one of upgrade, downgrade, current, history, stamp or resolve
  REVISION: is missing; set it to head, base, current, +N, -N, a version or a description
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
    job.env("REVISION", "").run().is(2, &missing.stdout, &missing.stderr);
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
    outcome.fails(2, "error: 16 settings are wrong:");
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

/// A word was swallowed as the revision, or the wrong one was blamed.
#[test]
fn what_is_wrong_with_a_command_line_is_blamed_itself() {
    for (words, parts) in [
        ("upgrade head more", ["unexpected argument 'more'", "tip: a command takes one revision"]),
        ("upgrade head --force", ["unexpected argument '--force'", "Usage: run-migrations upgrade"]),
        ("upgrade --dry-run head", ["unexpected argument '--dry-run'", "tip: use --plan"]),
        ("current -v", ["unexpected argument '-v'", "tip: use RUST_LOG=debug"]),
        ("upgrade --sql", ["a value is required for '--sql <FROM:TO>'", "tip: name the range"]),
        ("upgrade head --sql", ["a value is required for '--sql <FROM:TO>'", "such as --sql base:head"]),
        (
            "history --plan",
            ["unexpected argument '--plan'", "tip: --plan goes with upgrade, downgrade, stamp"],
        ),
        ("--check", ["unexpected argument '--check'", "tip: --check goes with current; COMMAND is missing"]),
        ("upgrad head", ["unknown command 'upgrad'", "tip: use upgrade"]),
        ("status", ["unknown command 'status'", "tip: use history"]),
        ("revision -m phone", ["unknown command 'revision'", "tip: use cargo xtask new-migration"]),
        ("fly", ["unknown command 'fly'", "tip: the commands are upgrade, downgrade, current,"]),
    ] {
        let outcome = Job::new(words).run();
        for part in parts {
            outcome.fails(2, part);
        }
        assert_eq!(outcome.stdout, "", "{words}");
    }
    let both = Job::new("upgrade --plan --sql base:head").run();
    both.fails(2, "--plan: does not go with --sql, which runs nothing");
}

#[test]
fn a_misspelt_setting_is_no_setting() {
    for (name, meant) in [
        ("LOCK_TIMEUOT", "LOCK_TIMEOUT"),
        ("POSTGRES_DATABASE", "POSTGRES_DB"),
        ("POSTGRES_URL", "DATABASE_URL"),
        ("MAX_BLOCKIGN", "MAX_BLOCKING"),
    ] {
        let outcome = Job::new("current").env(name, "1s").run();
        outcome.fails(2, &format!("\n  {name}: is not a setting; did you mean {meant}?"));
        // Where the right one is there, the other is somebody else's.
        let outcome = Job::new("current").env(name, "1s").env(meant, "1s").run();
        outcome.fails(2, " wrong:");
        assert!(!outcome.stderr.contains(name), "{}", outcome.stderr);
    }
    for (name, said) in [("POSTGRES_URL", "POSTGRES_HOST"), ("POSTGRES_PASS", "POSTGRES_PASSWORD_FILE")] {
        let outcome = Job::new("current").env(name, "x").env(said, "/x").run();
        assert!(!outcome.stderr.contains("not a setting"), "{}", outcome.stderr);
    }
    let commanded = Job::new("").env("COMMAND", "status").env("REVISION", "head").run();
    commanded.fails(2, "COMMAND: \"status\" is not one of upgrade, downgrade,");
    commanded.fails(2, "; use history\n");
}

/// A container that is started to see what it is prints how it is used, and what is missing.
#[test]
fn a_bare_run_prints_the_help_and_what_is_missing() {
    let outcome = Job::new("").run();
    outcome.fails(2, "Usage: run-migrations [COMMAND]\n");
    outcome.fails(2, "\nerror: 5 settings are wrong:\n");
    let in_a_cluster = Job::new("").env("KUBERNETES_SERVICE_HOST", "10.0.0.1").without("LOG_FORMAT").run();
    assert_eq!(in_a_cluster.code, Some(2));
    assert_eq!(in_a_cluster.stderr.lines().count(), 1, "{}", in_a_cluster.stderr);
}

#[test]
fn each_command_has_its_help() {
    for (words, parts) in [
        ("upgrade --help", ["Usage: run-migrations upgrade [OPTIONS] [REVISION]", "--allow-out-of-order"]),
        ("downgrade -h", ["roll back", "run-migrations downgrade -1 "]),
        ("current --help", ["--wait <DURATION>", "exit 9"]),
        ("history --help", ["[FROM:TO]", "run-migrations history current:head"]),
        ("stamp --help", ["without running anything", "--plan"]),
        ("resolve --help", ["--done", "--retry"]),
    ] {
        let outcome = Job::new(words).run();
        outcome.ok();
        for part in parts {
            assert!(outcome.stdout.contains(part), "{part}\n{}", outcome.stdout);
        }
        assert!(outcome.stdout.lines().all(|line| line.chars().count() <= 80), "{}", outcome.stdout);
    }
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
    let outcome = Job::new("").env("LOG_FORMAT", "xml").env("KUBERNETES_SERVICE_HOST", "10.0.0.1").run();
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
