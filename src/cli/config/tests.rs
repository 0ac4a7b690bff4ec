use std::fs;

use crate::cli::config::read::read;
use crate::cli::{Action, Args, Config, Environment};
use crate::engine::Task;
use crate::postgres::{
    Address, ChannelBinding, PasswordSource, RequireAuth, RootSource, Roots, Server, Ssl, Tls, Trust,
};
use migration_core::{Revision, WrongSettings};

const GOOD: [(&str, &str); 5] = [
    ("POSTGRES_HOST", "db"),
    ("POSTGRES_DB", "app"),
    ("POSTGRES_USER", "owner"),
    ("POSTGRES_PASSWORD", "secret"),
    ("MIGRATIONS_DIR", "migrations"),
];

fn environment(more: &[(&'static str, &'static str)]) -> Environment {
    GOOD.iter().chain(more).copied().collect()
}

fn config(args: &[&str], more: &[(&'static str, &'static str)]) -> Result<Config, Vec<String>> {
    let environment = environment(more);
    let args = Args::parse(args.iter().map(ToString::to_string), &environment).unwrap();
    read(&args, &environment).map_err(|WrongSettings(mistakes)| {
        mistakes.into_iter().map(|mistake| format!("{}: {}", mistake.name, mistake.problem)).collect()
    })
}

fn server(more: &[(&'static str, &'static str)]) -> Server {
    match config(&["upgrade", "head"], more).unwrap().action {
        Action::Online(server, _) => *server,
        Action::Script { .. } => panic!("no server"),
    }
}

/// The Secret's example is no password, in whatever way it reaches the job.
#[test]
fn the_example_of_the_secret_is_refused() {
    let example = include_str!("../../../k8s/secret.example.yaml");
    let value = |key: &str| {
        let line = example.lines().find_map(|line| line.trim().strip_prefix(key)).unwrap();
        line.trim_start_matches(':').trim().to_owned()
    };
    let environment: Environment = GOOD
        .into_iter()
        .chain([
            ("POSTGRES_USER", value("username").as_str()),
            ("POSTGRES_PASSWORD", value("password").as_str()),
        ])
        .collect();
    let args = Args::parse(["upgrade", "head"].map(str::to_owned), &environment).unwrap();
    match read(&args, &environment) {
        Err(WrongSettings(mistakes)) => {
            let names: Vec<_> = mistakes.iter().map(|mistake| mistake.name.as_str()).collect();
            assert_eq!(names, ["POSTGRES_USER", "POSTGRES_PASSWORD"]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn everything_missing_is_reported_at_once() {
    let mistakes = match read(&Args::default(), &Environment::default()) {
        Err(WrongSettings(mistakes)) => mistakes,
        other => panic!("{other:?}"),
    };
    let names: Vec<_> = mistakes.iter().map(|mistake| mistake.name.as_str()).collect();
    assert_eq!(names, ["COMMAND", "REVISION", "POSTGRES_HOST", "POSTGRES_DB", "POSTGRES_USER"]);
}

#[test]
fn wrong_values_say_what_is_right() {
    for (name, value, expected) in [
        ("POSTGRES_PORT", "0", "\"0\" is not a port; expected a number from 1 to 65535"),
        ("POSTGRES_PORT", "65536", "\"65536\" is not a port; expected a number from 1 to 65535"),
        ("POSTGRES_PORT", "abc", "\"abc\" is not a port; expected a number from 1 to 65535"),
        ("POSTGRES_PORT", "tcp://10.0.0.1", "the URL is not a port; expected a number from 1 to 65535"),
        (
            "POSTGRES_SSLMODE",
            "on",
            "\"on\" is not one of disable, allow, prefer, require, verify-ca, verify-full",
        ),
        (
            "POSTGRES_SSLROOTCERT",
            "/nonexistent",
            "/nonexistent can't be read: No such file or directory (os error 2)",
        ),
        (
            "POSTGRES_USER",
            "<role>",
            "is still the placeholder of an example; set it to the role to connect as",
        ),
        (
            "POSTGRES_PASSWORD",
            "<password>",
            "is still the placeholder of an example; set it to the role's password",
        ),
        ("TRANSACTION", "all", "\"all\" is not one of each, run"),
        ("LOCK_TIMEOUT", "5", "\"5\" is not a duration; expected for example 500ms, 5s, 10m, 1h30m, or 0"),
        (
            "LOCK_TIMEOUT",
            "-5s",
            "\"-5s\" is not a duration; expected for example 500ms, 5s, 10m, 1h30m, or 0",
        ),
        ("STATEMENT_TIMEOUT", "2years", "\"2years\" is too long; 24 days is the longest"),
        ("CONNECT_TIMEOUT", "5us", "\"5us\" is too short; 1ms is the shortest, 0 means none"),
        ("LOCK_RETRIES", "many", "\"many\" is not a number from 0 to 4294967295"),
        ("OUTPUT", "xml", "\"xml\" is not one of text, json"),
        ("LOG_FORMAT", "xml", "\"xml\" is not one of text, json, auto"),
        ("ALLOW_RELATIVE", "perhaps", "\"perhaps\" is not one of true, false"),
        (
            "RUST_LOG",
            "a=b=c",
            "\"a=b=c\" is not a log level; expected error, warn, info, debug or trace, also as target=level",
        ),
    ] {
        let mistakes = config(&["upgrade", "head"], &[(name, value)]).unwrap_err();
        assert_eq!(mistakes, [format!("{name}: {expected}")]);
    }
}

#[test]
fn commands_and_revisions() {
    for (args, more, expected) in [
        (
            &[][..],
            &[("COMMAND", "fly"), ("REVISION", "head")][..],
            "COMMAND: \"fly\" is not one of upgrade, downgrade, current, history, stamp or resolve",
        ),
        (
            &[],
            &[("COMMAND", "current")],
            "REVISION: is missing; set it to head, base, current, +N, -N, a version or a description",
        ),
        (
            &["upgrade", "--plan"],
            &[],
            "REVISION: is missing; set it to head, base, current, +N, -N, a version or a description",
        ),
        (&["upgrade", "+0"], &[], "REVISION: \"+0\": +0 is not a number of steps; the smallest is 1"),
        (
            &["current", "--wait", "soon"],
            &[],
            "--wait: \"soon\" is not a duration; expected for example 500ms, 5s, 10m, 1h30m, or 0",
        ),
        (
            &["resolve"],
            &[],
            "resolve: needs either --done (all of the script is in effect) or --retry (none of it is); none was given",
        ),
        (&["upgrade", "--sql", "head"], &[], "--sql: expected FROM:TO, such as base:head"),
        (
            &["upgrade", "--sql", "-1:head"],
            &[],
            "--sql: -1 depends on the database; name a version, head or base",
        ),
        (
            &["downgrade", "-1"],
            &[("KUBERNETES_SERVICE_HOST", "10.0.0.1")],
            "REVISION: \"-1\" is relative, and in a cluster a pod may run twice: name a version, or set ALLOW_RELATIVE=true",
        ),
    ] {
        assert_eq!(config(args, more).unwrap_err(), [expected], "{args:?} {more:?}");
    }
    for (args, more) in [
        (&["current"][..], &[][..]),
        (&["history"], &[]),
        (&["history", "base:head"], &[]),
        (&["history", "-1:head"], &[]),
        (&["downgrade", "-1", "--plan"], &[]),
        (&["downgrade", "--plan", "-1"], &[]),
        (&["history", "+1"], &[("KUBERNETES_SERVICE_HOST", "10.0.0.1")]),
        (&["downgrade", "-1"], &[]),
        (&["downgrade", "-1"], &[("KUBERNETES_SERVICE_HOST", "10.0.0.1"), ("ALLOW_RELATIVE", "true")]),
        (&["upgrade", "head-1"], &[("KUBERNETES_SERVICE_HOST", "10.0.0.1")]),
        (&[], &[("COMMAND", "upgrade"), ("REVISION", "head\n")]),
        (&["upgrade"], &[("COMMAND", "current"), ("REVISION", "head")]),
        (&["resolve", "--done"], &[]),
    ] {
        let result = config(args, more);
        assert!(result.is_ok(), "{args:?} {more:?}: {result:?}");
    }
}

#[test]
fn an_argument_wins_over_the_environment() {
    let config = config(&["upgrade", "base"], &[("COMMAND", "downgrade"), ("REVISION", "head")]).unwrap();
    assert!(matches!(config.action, Action::Online(_, Task::Upgrade(Revision::Base, ..))));
}

#[test]
fn hosts_and_ports() {
    for (host, port, expected) in [
        ("db.example.com", "", Address::Tcp("db.example.com".into(), 5432)),
        ("db\n", "5433", Address::Tcp("db".into(), 5433)),
        ("::1", "1", Address::Tcp("::1".into(), 1)),
        ("[::1]", "65535", Address::Tcp("::1".into(), 65535)),
        ("/var/run/postgresql", "5432", Address::Unix("/var/run/postgresql".into(), 5432)),
        ("db", "tcp://10.0.0.1:6432", Address::Tcp("db".into(), 6432)),
    ] {
        let environment = [("POSTGRES_HOST", host), ("POSTGRES_PORT", port)];
        assert_eq!(server(&environment).address, expected);
    }
    for host in ["postgres://u:hunter2@h/d", "a b", "db:5432", "a,b", "user@db"] {
        let mistakes = config(&["upgrade", "head"], &[("POSTGRES_HOST", host)]).unwrap_err();
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        assert!(mistakes[0].starts_with("POSTGRES_HOST: is "), "{mistakes:?}");
        assert!(!mistakes[0].contains("hunter2"));
    }
}

const ROOTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/job/support/another_authority.pem");

/// A file of roots without a mode was accepted and meant nothing.
#[test]
fn ssl_as_in_libpq() {
    let file = || Roots { from: RootSource::File(ROOTS.into()), revoked: None };
    let system = Roots { from: RootSource::System, revoked: None };
    let tls = |trust| Tls { trust, identity: None };
    for (mode, roots, expected) in [
        ("", "", Ssl::Prefer(tls(Trust::Anybody))),
        ("", ROOTS, Ssl::Require(tls(Trust::Host(file())))),
        ("", "system", Ssl::Require(tls(Trust::Host(system.clone())))),
        ("Disable", "", Ssl::Disable),
        ("allow", "", Ssl::Allow(tls(Trust::Anybody))),
        ("prefer", ROOTS, Ssl::Prefer(tls(Trust::Authority(file())))),
        ("require", "", Ssl::Require(tls(Trust::Anybody))),
        ("require", ROOTS, Ssl::Require(tls(Trust::Authority(file())))),
        ("verify-ca", ROOTS, Ssl::Require(tls(Trust::Authority(file())))),
        ("verify-full", ROOTS, Ssl::Require(tls(Trust::Host(file())))),
        ("verify-full", "system", Ssl::Require(tls(Trust::Host(system)))),
    ] {
        assert_eq!(
            server(&[("POSTGRES_SSLMODE", mode), ("POSTGRES_SSLROOTCERT", roots)]).ssl,
            expected,
            "{mode}"
        );
    }
}

#[test]
fn encryption_that_proves_less_than_it_says_is_a_mistake() {
    const NOT_PEM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    for (more, expected) in [
        (
            &[("POSTGRES_SSLMODE", "verify-full")][..],
            &[
                "POSTGRES_SSLROOTCERT: is missing, and verify-full needs it; set it to a file of certificates, or to `system`",
            ][..],
        ),
        (
            &[("POSTGRES_SSLROOTCERT", "system"), ("POSTGRES_SSLMODE", "require")],
            &[
                "POSTGRES_SSLROOTCERT: is `system`, which proves nothing with POSTGRES_SSLMODE=require; set that to verify-full",
            ],
        ),
        (
            &[("POSTGRES_SSLROOTCERT", NOT_PEM)],
            &[concat!(
                "POSTGRES_SSLROOTCERT: ",
                env!("CARGO_MANIFEST_DIR"),
                "/Cargo.toml holds no certificate in PEM"
            )],
        ),
        (
            &[("POSTGRES_SSLCRL", NOT_PEM)],
            &[
                concat!(
                    "POSTGRES_SSLCRL: ",
                    env!("CARGO_MANIFEST_DIR"),
                    "/Cargo.toml holds no certificate revocation list in PEM"
                ),
                "POSTGRES_SSLCRL: is set without POSTGRES_SSLROOTCERT, so no certificate would be checked",
            ],
        ),
        (
            &[("POSTGRES_SSLCERT", ROOTS)],
            &["POSTGRES_SSLKEY: is missing, and POSTGRES_SSLCERT is set; they are needed together"],
        ),
        (
            &[("POSTGRES_CHANNEL_BINDING", "require"), ("POSTGRES_SSLMODE", "disable")],
            &[
                "POSTGRES_CHANNEL_BINDING: is \"require\", which needs encryption, but POSTGRES_SSLMODE is \"disable\"; change one of them",
            ],
        ),
        (
            &[("POSTGRES_CHANNEL_BINDING", "on"), ("POSTGRES_REQUIRE_AUTH", "md5,md5")],
            &[
                "POSTGRES_REQUIRE_AUTH: names md5 twice",
                "POSTGRES_CHANNEL_BINDING: \"on\" is not one of disable, prefer, require",
            ],
        ),
    ] {
        assert_eq!(config(&["upgrade", "head"], more).unwrap_err(), expected, "{more:?}");
    }
}

#[test]
fn what_a_login_needs_is_read() {
    let server =
        server(&[("POSTGRES_REQUIRE_AUTH", "scram-sha-256"), ("POSTGRES_CHANNEL_BINDING", "require")]);
    assert_eq!(server.require_auth, Some(RequireAuth::parse("scram-sha-256").unwrap()));
    assert_eq!(server.channel_binding, ChannelBinding::Require);
}

/// One was demanded also where a certificate, peer or trust lets the role in.
#[test]
fn a_password_may_be_missing() {
    let read_without = |missing: &[&str]| {
        let environment: Environment = GOOD.into_iter().filter(|(name, _)| !missing.contains(name)).collect();
        let args = Args::parse(["upgrade", "head"].map(str::to_owned), &environment).unwrap();
        match read(&args, &environment) {
            Ok(Config { action: Action::Online(server, _), .. }) => Ok(server.password),
            Err(WrongSettings(mistakes)) => Err(mistakes.len()),
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(read_without(&["POSTGRES_PASSWORD"]), Ok(PasswordSource::Absent)));
    assert!(matches!(read_without(&["POSTGRES_PASSWORD", "POSTGRES_USER"]), Err(1)));
    assert!(matches!(read_without(&[]), Ok(PasswordSource::Given(_))));
}

#[test]
fn passwords_from_files() {
    let directory = std::env::temp_dir().join(format!("run-migrations-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    for (content, expected) in [
        ("plain\n", Ok("plain")),
        ("two\n\n", Ok("two\n")),
        ("dos\r\n", Ok("dos")),
        (" sp aces ' \" ü \\ $x ", Ok(" sp aces ' \" ü \\ $x ")),
        ("", Err("is empty")),
        ("\n", Err("is empty")),
        ("a\0b", Err("holds a zero byte; no password may")),
    ] {
        let path = directory.join("password");
        fs::write(&path, content).unwrap();
        let environment: Environment = GOOD
            .iter()
            .copied()
            .filter(|(name, _)| *name != "POSTGRES_PASSWORD")
            .chain([("POSTGRES_PASSWORD_FILE", path.to_str().unwrap())])
            .collect();
        let args = Args::parse(["upgrade", "head"].map(str::to_owned), &environment).unwrap();
        match (read(&args, &environment), expected) {
            (Ok(Config { action: Action::Online(server, _), .. }), Ok(expected)) => {
                let PasswordSource::File(path) = &server.password else { panic!("{server:?}") };
                assert_eq!(
                    crate::postgres::secret::password::read_password_file(path).unwrap().reveal(),
                    expected
                );
            }
            (Err(error), Err(expected)) => {
                let error = error.to_string();
                assert!(error.contains(expected), "{error}");
            }
            (outcome, expected) => panic!("{content:?}: {outcome:?}, not {expected:?}"),
        }
    }
    fs::remove_dir_all(&directory).unwrap();
    let both = config(&["upgrade", "head"], &[("POSTGRES_PASSWORD_FILE", "/x")]).unwrap_err();
    assert_eq!(both, ["POSTGRES_PASSWORD: is set, and so is POSTGRES_PASSWORD_FILE; keep one"]);
    let three = [("POSTGRES_PASSWORD_FILE", "/x"), ("POSTGRES_PASSWORD_COMMAND", "x")];
    assert_eq!(
        config(&["upgrade", "head"], &three).unwrap_err(),
        [
            "POSTGRES_PASSWORD: is set, and so are POSTGRES_PASSWORD_FILE and POSTGRES_PASSWORD_COMMAND; keep one"
        ]
    );
}

#[test]
fn the_password_is_never_shown() {
    let config = config(&["upgrade", "head"], &[("POSTGRES_PASSWORD", "hunter2")]).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}
