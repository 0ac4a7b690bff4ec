//! Whatever the environment holds: every mistake in it is told at once, and no secret. A part of the binary's own tests,
//! for thousands of environments in a second.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use migration_core::WrongSettings;

use crate::cli::config::read::read;
use crate::cli::{Args, Environment};
use random::{Random, many_times};

#[expect(dead_code, reason = "shared with the tests of the whole job, which need more of it")]
#[path = "support/random.rs"]
mod random;

const SECRET: &str = "hunter2";

/// Each with values that will do and values that will not.
const VARIABLES: &[(&str, &[&str], &[&str])] = &[
    ("COMMAND", &["upgrade", "downgrade", "stamp", "current"], &["", "fly", "UPGRADE HEAD", "-1"]),
    ("REVISION", &["head", "base", "add_phone", "2026"], &["", "+0", "a\nb"]),
    (
        "POSTGRES_HOST",
        &["db", "::1", "/run"],
        &["", "postgres://a:hunter2@db/x", "two words", "a,b", "<host>"],
    ),
    ("POSTGRES_PORT", &["", "5432", "tcp://10.0.0.1:5432"], &["0", "65536", "https://a:hunter2@db", "x"]),
    ("POSTGRES_DB", &["website", "Ü b"], &["", " "]),
    ("POSTGRES_USER", &["owner"], &[""]),
    ("POSTGRES_PASSWORD", &["hunter2", " hunter2 ", "hunter2\n"], &["<password>"]),
    ("POSTGRES_SSLMODE", &["", "prefer", "DISABLE"], &["hunter", "on", "verify"]),
    ("POSTGRES_SSLROOTCERT", &[""], &["/nonexistent/hunter"]),
    ("POSTGRES_SSLCRL", &[""], &["/nonexistent/hunter"]),
    ("POSTGRES_REQUIRE_AUTH", &["", "scram-sha-256", "!password,!md5"], &["hunter", "md5,!none"]),
    ("POSTGRES_CHANNEL_BINDING", &["", "prefer"], &["always"]),
    ("DETAIL", &["", "show", "hide"], &["some"]),
    ("TRANSACTION", &["", "each", "Run"], &["all", "0"]),
    ("CONNECT_TIMEOUT", &["", "5s", "0", "1h 30m"], &["5", "soon", "-1s", "999999999999999999999s"]),
    ("RUN_LOCK_TIMEOUT", &["15m"], &["99d", "1us"]),
    ("LOCK_TIMEOUT", &["2s"], &["2 s s"]),
    ("LOCK_RETRIES", &["", "0", "7"], &["-1", "many", "4294967296"]),
    ("LOCK_RETRY_BUDGET", &["10m"], &["ever"]),
    ("STATEMENT_TIMEOUT", &["0"], &["1", "₅s"]),
    ("MAX_BLOCKING", &["1s500ms"], &["1,5s"]),
    ("ALLOW_RELATIVE", &["", "true"], &["yes", "1"]),
    ("LOG_FORMAT", &["", "json"], &["xml"]),
    ("OUTPUT", &["", "text"], &["yaml"]),
    ("RUST_LOG", &["", "debug", "a=warn,info"], &["a=loud", "a=b=c"]),
];

fn problem(environment: &Environment) -> Option<(BTreeSet<String>, String)> {
    let args = Args::parse([], environment).expect("no word is wrong");
    match read(&args, environment) {
        Ok(config) => {
            // What is printed of it for a bug report is not the password.
            assert!(!format!("{config:?}").contains(SECRET), "{config:?}");
            None
        }
        Err(wrong @ WrongSettings(_)) => {
            Some((wrong.0.iter().map(|mistake| mistake.name.clone()).collect(), wrong.to_string()))
        }
    }
}

#[test]
fn every_mistake_is_told_at_once_and_no_secret() {
    many_times(5_000, |random| {
        let mut wrong = BTreeSet::new();
        let mut variables = Vec::new();
        for (name, good, bad) in VARIABLES {
            let is_wrong = random.one_in(8);
            let value = if is_wrong { random.of(bad) } else { random.of(good) };
            wrong.extend(is_wrong.then(|| (*name).to_owned()));
            variables.push((*name, value));
        }
        // Without a command nobody knows what the revision is for.
        if wrong.contains("COMMAND") && !variables.contains(&("REVISION", "")) {
            wrong.remove("REVISION");
        }
        let told = problem(&variables.iter().copied().collect());
        let (names, text) = told.unwrap_or_default();
        assert_eq!(names, wrong, "{variables:?}\n{text}");
        assert!(!text.contains(SECRET), "{text}");
    });
}

fn bytes(random: &Random) -> OsString {
    let text = random.of(&[
        "head",
        "5s",
        "tcp://",
        "\u{202e}",
        "=",
        "hunter2",
        "../",
        "99999999999999999999",
        ":",
        "\n",
    ]);
    let mut bytes = [random.bytes(12), text.as_bytes().to_vec(), random.bytes(3)].concat();
    // No environment can hold one.
    bytes.retain(|byte| *byte != 0);
    OsString::from_vec(bytes)
}

#[test]
fn no_bytes_are_too_strange() {
    many_times(5_000, |random| {
        let variables = VARIABLES.iter().map(|(name, good, _)| {
            let value = if random.one_in(2) { OsString::from(random.of(good)) } else { bytes(random) };
            // A file that is read takes what it holds for a password, not its name.
            (OsString::from(*name), value)
        });
        if let Some((_, text)) = problem(&variables.collect()) {
            assert!(text.contains("wrong:\n"), "{text}");
        }
    });
}
