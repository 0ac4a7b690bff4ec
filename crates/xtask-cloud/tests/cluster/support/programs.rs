//! kubectl and psql, as a person would use them.

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// What `cargo xtask test --kubernetes` says.
pub(crate) fn setting(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set; run this with `cargo xtask test --kubernetes`"))
}

/// The one the suite has for its administrator.
pub(crate) fn kubectl(namespace: &str) -> Command {
    let mut command = Command::new("kubectl");
    command.args(["--namespace", namespace]);
    command
}

/// With these words, and this on stdin. What it printed.
#[track_caller]
pub(crate) fn output(command: &mut Command, stdin: &str) -> String {
    outcome(command, stdin).unwrap_or_else(|said| panic!("{}: {said}", line(command)))
}

/// The same, or what it said to have failed.
pub(crate) fn outcome(command: &mut Command, stdin: &str) -> Result<String, String> {
    let Output { status, stdout, stderr } = finish(command, stdin);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if status.success() { Ok(text(&stdout)) } else { Err(text(&stderr)) }
}

fn finish(command: &mut Command, stdin: &str) -> Output {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", line(command)));
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// Without its environment, which holds the password.
fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// As the role that makes databases, from this machine.
pub(crate) fn psql(database: &str) -> Command {
    let mut command = Command::new(format!("{}/psql", setting("TEST_POSTGRES_BIN")));
    command
        .args(["-X", "-At", "-q", "-v", "ON_ERROR_STOP=1", "-d", database])
        .env("PGHOST", setting("TEST_POSTGRES_HOST"))
        .env("PGPORT", setting("TEST_POSTGRES_PORT"))
        .env("PGUSER", setting("TEST_POSTGRES_USER"))
        .env("PGPASSWORD", setting("TEST_POSTGRES_PASSWORD"));
    command
}

/// What a query comes to.
#[track_caller]
pub(crate) fn query(database: &str, sql: &str) -> String {
    output(psql(database).args(["-c", sql]), "")
}

/// A session that holds something until it is dropped.
#[derive(Debug)]
pub(crate) struct Held(std::process::Child);

impl Held {
    /// By this statement, which prints something when it has it.
    pub(crate) fn by(database: &str, sql: &str) -> Self {
        use std::io::{BufRead, BufReader};
        let mut child = psql(database).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        writeln!(child.stdin.as_mut().unwrap(), "{sql};\n\\echo held").unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(said.into_iter().any(|line| line == "held"), "psql ended: {sql}");
        Self(child)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // The server notices at once, for the session is idle.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
