//! POSTGRES_PASSWORD_COMMAND: a program whose output is the password, such as one that makes a token
//! which is good for a few minutes.

use std::fmt;
use std::io::{Error, ErrorKind};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use foreign_text::shortened;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::unix::pipe::Receiver;

use crate::postgres::RowValues;
use crate::postgres::secret::password::{LONGEST, Lack, Password, written};
use migration_core::wording;

/// How much of what the program complains about is shown.
const SHOWN: usize = 400;

/// A program and its arguments. No shell reads it: a small image has none.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PasswordCommand {
    program: String,
    arguments: Vec<String>,
    complaints: RowValues,
}

impl PasswordCommand {
    /// Splits a line at white space, as a shell does: quotes keep it together, and a backslash takes what
    /// follows as it is, but between single quotes. Nothing else is special.
    pub(crate) fn parse(line: &str) -> Result<Self, String> {
        let mut words = words(line)?.into_iter();
        let program = words.next().filter(|program| !program.is_empty());
        let program = program.ok_or_else(|| "names no program".to_owned())?;
        Ok(Self { program, arguments: words.collect(), complaints: RowValues::Show })
    }

    /// Whether what the program complains about is shown: it may hold more than it should.
    #[must_use]
    pub(crate) fn with_complaints(self, complaints: RowValues) -> Self {
        Self { complaints, ..self }
    }

    /// Runs the program and takes what it prints. What it has started ends with it, should time run out or
    /// nobody wait any longer.
    pub(super) async fn run(&self, limit: Duration) -> Result<Password, Lack> {
        let printed = async { self.start()?.output().await.map_err(Lack::ForNow) };
        let (status, stdout, stderr) = if limit.is_zero() {
            printed.await?
        } else {
            let late = |_| {
                Lack::ForNow(format!(
                    "{self} did not end within {}, all that CONNECT_TIMEOUT left it",
                    wording::duration(limit)
                ))
            };
            tokio::time::timeout(limit, printed).await.map_err(late)??
        };
        let complaint = match self.complaints {
            RowValues::Show => complaint(&stderr, &stdout),
            RowValues::Hide if stderr.trim_ascii().is_empty() => String::new(),
            RowValues::Hide => "; what it says is hidden; set DETAIL=show to see it".to_owned(),
        };
        if !status.success() {
            return Err(Lack::ForNow(format!("{self} failed ({status}){complaint}")));
        }
        written(stdout, &format!("what {self} printed")).map_err(|lack| match lack {
            Lack::Wrong(problem) => Lack::Wrong(format!("{problem}{complaint}")),
            Lack::ForNow(problem) => Lack::ForNow(format!("{problem}{complaint}")),
        })
    }

    fn start(&self) -> Result<Running, Lack> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().map_err(|error| {
            let problem = format!("{self} can't be started: {error}");
            if may_pass(&error) { Lack::ForNow(problem) } else { Lack::Wrong(problem) }
        })?;
        Ok(Running { child, is_over: false })
    }
}

/// The program alone: an argument may be secret.
impl fmt::Display for PasswordCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.program)
    }
}

impl fmt::Debug for PasswordCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} …", self.program)
    }
}

/// The program while it runs; killed with its group when it is dropped before its end.
struct Running {
    child: Child,
    is_over: bool,
}

impl Running {
    async fn output(mut self) -> Result<(ExitStatus, Vec<u8>, Vec<u8>), String> {
        let failed = |error: std::io::Error| format!("its output can't be read: {error}");
        let pipe = |fd: std::os::fd::OwnedFd| Receiver::from_owned_fd(fd);
        let stdout =
            self.child.stdout.take().map(|stdout| pipe(stdout.into())).transpose().map_err(failed)?;
        let stderr =
            self.child.stderr.take().map(|stderr| pipe(stderr.into())).transpose().map_err(failed)?;
        let (stdout, stderr) = tokio::try_join!(all_of(stdout), all_of(stderr)).map_err(failed)?;
        // Who has closed both is about to end.
        loop {
            if let Some(status) = self.child.try_wait().map_err(failed)? {
                self.is_over = true;
                return Ok((status, stdout, stderr));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may have ended in this very moment.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

/// All that comes, of which no more is kept than a password may have.
async fn all_of(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let Some(mut pipe) = pipe else { return Ok(Vec::new()) };
    let mut kept = Vec::new();
    let mut some = [0; 4096];
    loop {
        match pipe.read(&mut some).await? {
            0 => return Ok(kept),
            length if kept.len() <= LONGEST => kept.extend_from_slice(&some[..length]),
            _ => {}
        }
    }
}

/// Whether a program could not be started for want of room; else it is not there, or is no program.
fn may_pass(error: &Error) -> bool {
    use ErrorKind::{ExecutableFileBusy, Interrupted, OutOfMemory, WouldBlock};
    matches!(error.kind(), ExecutableFileBusy | Interrupted | OutOfMemory | WouldBlock)
}

/// What it wrote to stderr, without the lines that hold what it printed, and without what a shell with `set -x` shows of its
/// commands: a password may be in these, quoted, and never be printed.
fn complaint(stderr: &[u8], stdout: &[u8]) -> String {
    let (stderr, stdout) = (String::from_utf8_lossy(stderr), String::from_utf8_lossy(stdout));
    let secrets: Vec<_> = stdout.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let is_secret = |line: &str| line.starts_with('+') || secrets.iter().any(|secret| line.contains(*secret));
    let shown = |line| if is_secret(line) { "***" } else { line };
    let lines: Vec<_> = stderr.trim().lines().map(shown).collect();
    match lines.join("\n").as_str() {
        "" => String::new(),
        text => format!("; it says: {}", shortened(text, SHOWN)),
    }
}

/// What only a shell would understand, at the start of a text.
fn for_a_shell(text: &str, quote: Option<char>) -> Option<&'static str> {
    const ALWAYS: [&str; 2] = ["$(", "`"];
    const UNQUOTED: [&str; 6] = ["&&", "|", ";", ">", "<", "& "];
    let starts = |operator: &&&str| text.starts_with(**operator);
    match quote {
        Some('\'') => None,
        Some(_) => ALWAYS.iter().find(starts).copied(),
        None => ALWAYS.iter().chain(&UNQUOTED).find(starts).map(|operator| operator.trim_end()),
    }
}

fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = line.chars();
    loop {
        if let Some(operator) = for_a_shell(characters.as_str(), quote) {
            return Err(format!(
                "has `{operator}` outside of single quotes, and no shell runs it; use sh -c '…'"
            ));
        }
        let Some(character) = characters.next() else { break };
        match (character, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            ('\\', None | Some('"')) => {
                let taken = characters.next().ok_or_else(|| "ends in a backslash".to_owned())?;
                word.get_or_insert_default().push(taken);
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("holds a quote that does not end".to_owned());
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_as_a_shell_splits_them() {
        for (line, expected) in [
            ("token", &["token"][..]),
            ("  /bin/token  --for db\t", &["/bin/token", "--for", "db"]),
            ("a 'b c' \"d e\"f", &["a", "b c", "d ef"]),
            ("a '' \"\"", &["a", "", ""]),
            (
                "sh -c 'a | b > c; $(d)' \"a|b;c\" \\| x=1&y=2",
                &["sh", "-c", "a | b > c; $(d)", "a|b;c", "|", "x=1&y=2"],
            ),
            (r#"a\ b "c\"d" 'e\f' $HOME *"#, &["a b", "c\"d", "e\\f", "$HOME", "*"]),
        ] {
            assert_eq!(words(line).unwrap(), expected, "{line}");
        }
        for (line, problem) in [
            ("'a", "holds a quote that does not end"),
            ("a\\", "ends in a backslash"),
            ("'' a", "names no program"),
            ("aws token | head", "has `|` outside of single quotes, and no shell runs it; use sh -c '…'"),
            ("cat a>b", "has `>` outside of single quotes, and no shell runs it; use sh -c '…'"),
            ("cd a && b", "has `&&` outside of single quotes, and no shell runs it; use sh -c '…'"),
            ("a; b", "has `;` outside of single quotes, and no shell runs it; use sh -c '…'"),
            ("a \"$(b)\"", "has `$(` outside of single quotes, and no shell runs it; use sh -c '…'"),
            ("a `b`", "has ``` outside of single quotes, and no shell runs it; use sh -c '…'"),
        ] {
            assert_eq!(PasswordCommand::parse(line).unwrap_err(), problem, "{line}");
        }
    }

    #[tokio::test]
    async fn the_output_of_a_program_is_the_password() {
        let long = format!("sh -c 'head -c {} /dev/zero | tr \"\\0\" x'", LONGEST + 1);
        for (line, expected) in [
            ("printf '%s\\n' 'pass word '", Ok("pass word ")),
            ("echo", Err("what echo printed is empty")),
            ("sh -c 'echo no token >&2; exit 3'", Err("sh failed (exit status: 3); it says: no token")),
            (
                "sh -c 'printf \"\\033[2J\" >&2; exit 1'",
                Err("sh failed (exit status: 1); it says: \\u{1b}[2J"),
            ),
            (
                "/nonexistent/token",
                Err("/nonexistent/token can't be started: No such file or directory (os error 2)"),
            ),
            (&long, Err("what sh printed is longer than any password")),
        ] {
            let password = PasswordCommand::parse(line).unwrap().run(Duration::from_secs(60)).await;
            let password = password.as_ref().map(Password::reveal).map_err(|lack| lack.clone().problem());
            assert_eq!(password, expected.map_err(str::to_owned), "{line}");
        }
    }

    /// What no later attempt can change is told at once.
    #[tokio::test]
    async fn what_may_pass_is_told_from_what_is_wrong() {
        let directory = std::env::temp_dir();
        for (line, passes) in [
            ("false", true),
            ("true", true),
            ("sleep 600", true),
            ("/nonexistent/token", false),
            (directory.to_str().unwrap(), false),
            ("/etc/hostname", false),
            ("printf '\\377'", false),
        ] {
            let lack =
                PasswordCommand::parse(line).unwrap().run(Duration::from_millis(500)).await.unwrap_err();
            assert_eq!(matches!(lack, Lack::ForNow(_)), passes, "{line}: {lack:?}");
        }
    }

    #[test]
    fn a_complaint_is_short_and_escaped_once() {
        for (said, shown) in [
            ("", ""),
            (" \n", ""),
            ("it's \"no\" \\ é\n", "; it says: it's \"no\" \\ é"),
            ("a\nb\u{1b}[2J", "; it says: a\\nb\\u{1b}[2J"),
            (&"x".repeat(SHOWN + 1), &format!("; it says: {}…", "x".repeat(SHOWN))),
        ] {
            assert_eq!(complaint(said.as_bytes(), b""), shown);
            // At the edge it is foreign text again.
            assert_eq!(foreign_text::one_line(shown), shown);
        }
    }

    /// It was shown as it came, with the password that a shell had been told to say.
    #[tokio::test]
    async fn a_complaint_does_not_hold_the_password() {
        let line = "sh -c 'set -x; echo hunter2; echo why >&2; exit 1'";
        let command = PasswordCommand::parse(line).unwrap();
        let said = async |command: PasswordCommand| {
            command.run(Duration::from_secs(60)).await.unwrap_err().problem()
        };
        let shown = said(command.clone()).await;
        assert!(shown.contains("why") && shown.contains("***") && !shown.contains("hunter2"), "{shown}");
        for line in ["sh -c 'set -x; token=hunter2; exit 1'", r#"sh -c "set -x; echo it\\'s; exit 1""#] {
            let shown = said(PasswordCommand::parse(line).unwrap()).await;
            let told = shown.split_once("; it says: ").unwrap().1;
            assert!(told.split("\\n").all(|line| line == "***"), "{shown}");
        }
        let hidden = said(command.with_complaints(RowValues::Hide)).await;
        assert_eq!(hidden, "sh failed (exit status: 1); what it says is hidden; set DETAIL=show to see it");
    }

    /// Its children, too: they would hold the pipe open, and live on.
    #[tokio::test]
    async fn a_program_that_does_not_end_is_killed_with_its_children() {
        let mark = format!("{}.25", 600 + std::process::id());
        let command = PasswordCommand::parse(&format!("sh -c 'sleep {mark} & sleep {mark}'")).unwrap();
        let error = command.run(Duration::from_millis(200)).await.unwrap_err();
        assert_eq!(
            error,
            Lack::ForNow("sh did not end within 200 ms, all that CONNECT_TIMEOUT left it".to_owned())
        );
        let lives = || {
            let processes = std::fs::read_dir("/proc").unwrap().flatten();
            let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
            lines.filter(|line| String::from_utf8_lossy(line).contains(&mark)).count() > 0
        };
        for _ in 0..500 {
            if !lives() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("its children live");
    }
}
