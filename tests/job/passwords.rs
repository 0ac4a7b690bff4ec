//! A password may hold any character, from the environment and from a file, and is never shown.

use std::fs;

use crate::support::{Directory, Job, Setup};

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

/// SASLprep forbids control characters and whatever Unicode 3.2 did not have. libpq then sends the
/// password as it is, which sqlx does not: there is no way in, but a clear word, and no part of the
/// password in it.
#[test]
fn a_password_that_saslprep_forbids_is_refused_and_not_shown() {
    let setup = Setup::with(SCRIPTS);
    for (password, code, words) in [
        ("tab\tinside", 2, "POSTGRES_PASSWORD: holds a line break or another control character"),
        ("line\nbreak", 2, "POSTGRES_PASSWORD: holds a line break or another control character"),
        ("trailing newline\n", 2, "POSTGRES_PASSWORD: holds a line break or another control character"),
        ("key 🗝", 8, "the password holds a character that SASLprep (RFC 4013) prohibits"),
    ] {
        let role = setup.database.role(password);
        let outcome = setup.job("current").role(&role).run();
        outcome.fails(code, words);
        assert!(
            !outcome.stderr.contains("trailing newline") && !outcome.stderr.contains('🗝'),
            "{}",
            outcome.stderr
        );
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
        ("nul", "nul holds a line break or another control character; no password may"),
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

#[test]
fn a_wrong_password_is_refused_and_not_shown() {
    let setup = Setup::with(SCRIPTS);
    let role = setup.database.role("right");
    let outcome = setup.job("current").role(&role).env("POSTGRES_PASSWORD", "hunter2").run();
    outcome.fails(8, "refused the connection: password authentication failed for user \"DATABASE_role_1\" (SQLSTATE 28P01); check POSTGRES_USER and POSTGRES_PASSWORD\n");
    assert!(!outcome.stderr.contains("hunter2"), "{}", outcome.stderr);
    let outcome = setup.job("current").role(&role).env("POSTGRES_PASSWORD", "right ").run();
    outcome.fails(8, "; the password begins or ends with white space, perhaps a newline too many");
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
