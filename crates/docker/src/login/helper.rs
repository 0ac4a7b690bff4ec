//! Credential helpers: programs `docker-credential-NAME` that keep secrets where the system keeps them.

use std::io::{Read, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};

use super::credentials::Credentials;
use image::name::Registry;
use workspace::secret::Secret;
use workspace::ui;

/// One helper, by the name config.json has for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Helper<'a>(pub &'a str);

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Stored<'a> {
    #[serde(rename = "ServerURL")]
    server: &'a str,
    username: &'a str,
    secret: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Found {
    username: String,
    secret: String,
}

/// Somebody may have to type a passphrase first; where nobody is, a helper must not keep a task for good.
const PATIENCE: Duration = Duration::from_secs(120);

/// After that it is said who is waited for. No spinner: it would run over the question for a passphrase.
const SILENCE: Duration = Duration::from_secs(5);

/// What every helper says of what it does not have.
const NOT_FOUND: &str = "credentials not found";

impl Helper<'_> {
    /// AWS's own helper asks ECR for a token whenever docker needs one, and stores none.
    pub(crate) fn is_awss_own(&self) -> bool {
        self.0 == "ecr-login"
    }

    pub(crate) fn store(&self, registry: &Registry, credentials: &Credentials) -> anyhow::Result<()> {
        let stored = Stored {
            server: registry.as_str(),
            username: &credentials.user,
            secret: credentials.password.expose(),
        };
        let json = serde_json::to_string(&stored).context("no JSON")?;
        self.ask("store", &json)?
            .map(drop)
            .map_err(|said| anyhow::anyhow!("{} did not store the credentials: {said}", self.program()))
    }

    pub(crate) fn find(&self, registry: &Registry) -> anyhow::Result<Option<Credentials>> {
        let said = match self.ask("get", registry.as_str())? {
            Ok(said) => said,
            Err(said) if said.contains(NOT_FOUND) => return Ok(None),
            Err(said) => bail!("{} did not hand out the credentials: {said}", self.program()),
        };
        // What it printed may be a secret in another shape; it is not quoted.
        let found: Found = serde_json::from_str(&said)
            .ok()
            .with_context(|| format!("what {} printed is not understood", self.program()))?;
        let complete = !found.username.is_empty() && !found.secret.is_empty();
        Ok(complete.then(|| Credentials { user: found.username, password: Secret::new(found.secret) }))
    }

    /// Whether there was something to take out.
    pub(crate) fn erase(&self, registry: &Registry) -> anyhow::Result<bool> {
        match self.ask("erase", registry.as_str())? {
            Ok(_) => Ok(true),
            Err(said) if said.contains(NOT_FOUND) => Ok(false),
            Err(said) => bail!("{} did not take out the credentials: {said}", self.program()),
        }
    }

    fn program(&self) -> String {
        format!("docker-credential-{}", self.0)
    }

    /// What it printed, or, where it failed, what it printed about that: also on stdout.
    fn ask(&self, word: &str, input: &str) -> anyhow::Result<Result<String, String>> {
        let program = self.program();
        ensure!(
            !self.0.contains(['/', '\0']),
            "config.json names the credential helper {:?}, which is not the name of a program",
            self.0
        );
        let (status, said) = answer(Command::new(&program).arg(word), input, PATIENCE)?;
        Ok(if status.success() {
            Ok(said)
        } else {
            let first = said.lines().next().unwrap_or_default();
            // No helper has a reason to repeat what it was given, nor to fail with what it was asked for, but this must
            // not depend on that.
            let is_secret = if word == "store" { repeats(first, input) } else { first.contains(['{', '"']) };
            let is_quiet = first.is_empty() || is_secret;
            Err(if is_quiet { status.to_string() } else { first.to_owned() })
        })
    }
}

/// How a program ended, and what it printed.
fn answer(command: &mut Command, input: &str, patience: Duration) -> anyhow::Result<(ExitStatus, String)> {
    let program = command.get_program().display().to_string();
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().with_context(
            || {
                format!(
                    "cannot run {program}, which docker's config.json names; install it, or take it out there"
                )
            },
        )?;
    let mut stdin = child.stdin.take().context("a helper without stdin")?;
    // One that reads nothing has its reasons, which its exit code tells.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let mut stdout = child.stdout.take().context("a helper without stdout")?;
    let (send, said) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = stdout.read_to_end(&mut bytes);
        // Nobody listens any more if it took too long.
        let _ = send.send(read.map(|_| bytes));
    });
    let said = said.recv_timeout(SILENCE.min(patience)).or_else(|_| {
        ui::note("Waiting", format!("for {program}"));
        said.recv_timeout(patience.saturating_sub(SILENCE))
    });
    let Ok(said) = said else {
        let _ = child.kill();
        let _ = child.wait();
        bail!("{program} did not answer within {} s; it may wait for a passphrase", patience.as_secs())
    };
    let said = said.with_context(|| format!("cannot read what {program} says"))?;
    let status = child.wait().with_context(|| format!("cannot wait for {program}"))?;
    Ok((status, String::from_utf8_lossy(said.trim_ascii()).into_owned()))
}

fn repeats(said: &str, input: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(input)
        .is_ok_and(|input| input["Secret"].as_str().is_some_and(|secret| said.contains(secret)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_helper_that_does_not_answer_is_given_up() {
        let shell = |script: &str, patience| {
            answer(Command::new("sh").args(["-c", script]), "host", Duration::from_secs(patience))
        };
        let (status, said) = shell("cat; echo ' and more'; exit 3", 60).unwrap();
        assert_eq!((status.code(), &*said), (Some(3), "host and more"));
        let error = shell("exec sleep 600", 0).unwrap_err().to_string();
        assert_eq!(error, "sh did not answer within 0 s; it may wait for a passphrase");
        let error = answer(&mut Command::new("docker-credential-nowhere"), "", PATIENCE).unwrap_err();
        assert!(
            error.to_string().starts_with("cannot run docker-credential-nowhere, which docker's"),
            "{error}"
        );
    }
}
