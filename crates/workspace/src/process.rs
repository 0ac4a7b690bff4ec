//! Running other programs with errors that say which one, why it failed, and what it printed.

use std::process::{Command, Output, Stdio};

use anyhow::{Context, bail};

/// Runs a program to its end and returns what it printed on stdout; a failure carries its stderr.
pub fn output(command: &mut Command) -> anyhow::Result<String> {
    let Output { status, stdout, stderr } = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    if !status.success() {
        bail!("{} failed ({status}): {}", command.get_program().display(), said(&stdout, &stderr));
    }
    Ok(String::from_utf8_lossy(&stdout).into_owned())
}

fn said(stdout: &[u8], stderr: &[u8]) -> String {
    let text = if stderr.trim_ascii().is_empty() { stdout } else { stderr };
    String::from_utf8_lossy(text.trim_ascii()).into_owned()
}

/// The first directory of PATH that holds the program.
pub fn find(program: &str) -> Option<std::path::PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|directory| directory.join(program))
        .find(|path| path.is_file())
}

/// A word as a POSIX shell reads it back: for lines the user may paste.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// SIGINT and SIGTERM, caught so that what we started can be ended in good order.
#[derive(Debug)]
pub struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    pub fn listen() -> anyhow::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context("cannot catch SIGINT")?,
            terminate: signal(SignalKind::terminate()).context("cannot catch SIGTERM")?,
        })
    }

    pub async fn next(&mut self) -> rustix::process::Signal {
        tokio::select! {
            _ = self.interrupt.recv() => rustix::process::Signal::INT,
            _ = self.terminate.recv() => rustix::process::Signal::TERM,
        }
    }
}

/// Runs a program in the foreground and hands on the signals we get; the second one kills it. It gets a process
/// group of its own, so that Ctrl-C reaches it once: from us.
pub async fn foreground(command: &mut tokio::process::Command) -> anyhow::Result<u8> {
    use std::os::unix::process::ExitStatusExt;
    let mut signals = Signals::listen()?;
    let program = command.as_std().get_program().display().to_string();
    let mut child = command
        .stdin(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot run {program}"))?;
    let mut asked = false;
    loop {
        let signal = tokio::select! {
            status = child.wait() => {
                let status = status.with_context(|| format!("cannot wait for {program}"))?;
                let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
                return Ok(u8::try_from(code).unwrap_or(1));
            }
            signal = signals.next() => if asked { rustix::process::Signal::KILL } else { signal },
        };
        asked = true;
        // It has ended in the meantime if this fails.
        if let Some(pid) = child.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())) {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn words_survive_the_shell() {
        for (word, text) in
            [("a/b-1.c", "a/b-1.c"), ("", "''"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("$x", "'$x'")]
        {
            assert_eq!(super::quoted(word), text);
        }
    }
}
