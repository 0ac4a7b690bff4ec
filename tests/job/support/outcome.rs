//! What a run printed and how it ended, with what differs from run to run made the same.

use std::process::ExitStatus;

use serde_json::Value;

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// As it came, without anything replaced.
    pub(crate) raw_stdout: String,
}

impl Outcome {
    pub(super) fn new(status: ExitStatus, stdout: String, stderr: String, database: &str) -> Self {
        let code = status.code();
        let normal = |text: &str| normalised(text, database);
        Self {
            code,
            stdout: normal(&without_bookkeeping(&stdout)),
            stderr: normal(&stderr),
            raw_stdout: stdout,
        }
    }

    /// Asserts all three.
    #[track_caller]
    pub(crate) fn is(&self, code: i32, stdout: &str, stderr: &str) -> &Self {
        let told = |code: Option<i32>, stdout: &str, stderr: &str| {
            let code = code.map_or_else(|| "none: a signal".to_owned(), |code| code.to_string());
            format!("exit code {code}\n--- stdout ---\n{stdout}\n--- stderr ---\n{stderr}\n")
        };
        let is = told(self.code, self.stdout.trim_end(), self.stderr.trim_end());
        let expected = told(Some(code), stdout.trim_end(), stderr.trim_end());
        assert!(is == expected, "it was:\n{is}\nexpected:\n{expected}");
        self
    }

    /// Asserts success, whatever was printed.
    #[track_caller]
    pub(crate) fn ok(&self) -> &Self {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Asserts the exit code and that stderr holds this.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, part: &str) -> &Self {
        assert!(
            self.code == Some(code) && self.stderr.contains(part),
            "exit code {:?}, expected {code}\n{}\n{}\nexpected in stderr: {part}",
            self.code,
            self.stdout,
            self.stderr
        );
        self
    }

    /// The one JSON document stdout must be.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        match serde_json::from_str(&self.raw_stdout) {
            Ok(value) => value,
            Err(error) => panic!("stdout is no JSON document: {error}\n{}\n{}", self.raw_stdout, self.stderr),
        }
    }
}

/// The line that names the bookkeeping table is in every report.
fn without_bookkeeping(stdout: &str) -> String {
    stdout.split_inclusive('\n').filter(|line| !line.starts_with("bookkeeping: ")).collect()
}

/// Milliseconds become `N ms`, times `TIME`, process numbers `pid N`, the database `DATABASE`.
fn normalised(text: &str, database: &str) -> String {
    let text = if database.is_empty() { text.to_owned() } else { text.replace(database, "DATABASE") };
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    let mut after_pid = false;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        after_pid |= out.ends_with("pid ");
        if is_time(rest) {
            out.push_str("TIME");
            rest = &rest[TIME.len()..];
            continue;
        }
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, after) = rest.split_at(end);
        let is_word = out.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let is_duration = !is_word && after.starts_with(" ms");
        if is_duration && out.ends_with("  ") {
            // Right-aligned: how much white space precedes it varies with it.
            out.truncate(out.trim_end_matches(' ').len() + 2);
        }
        let varies = is_duration || (!is_word && std::mem::take(&mut after_pid));
        out.push_str(if varies { "N" } else { digits });
        rest = after;
    }
    out.push_str(rest);
    out
}

const TIME: &str = "0000-00-00T00:00:00Z";

fn is_time(text: &str) -> bool {
    let shape = |(byte, form): (u8, u8)| if form == b'0' { byte.is_ascii_digit() } else { byte == form };
    text.len() >= TIME.len() && text.bytes().zip(TIME.bytes()).all(shape)
}

#[test]
fn what_varies_is_made_the_same() {
    for (text, expected) in [
        ("applied  12  a  0 ms", "applied  12  a  N ms"),
        ("applied  12  a      13 ms", "applied  12  a  N ms"),
        ("v1 ms_2 ms", "v1 ms_2 ms"),
        ("at 2026-11-05T09:00:00Z, 12 ms", "at TIME, N ms"),
        ("held by pid 123, role x", "held by pid N, role x"),
        ("test_1_2 is there", "DATABASE is there"),
    ] {
        assert_eq!(normalised(text, "test_1_2"), expected);
    }
}
