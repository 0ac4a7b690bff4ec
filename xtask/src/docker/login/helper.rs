//! Credential helpers: programs `docker-credential-NAME` that keep secrets where the system keeps them.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};

use super::credentials::Credentials;
use crate::image::name::Registry;
use crate::secret::Secret;

/// One helper, by the name config.json has for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Helper<'a>(pub(crate) &'a str);

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
            "config.json names the credential helper {:?}, which is no name of a program",
            self.0
        );
        let mut child = Command::new(&program)
            .arg(word)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| {
                format!(
                    "cannot run {program}, which docker's config.json names; install it, or take it out there"
                )
            })?;
        let mut stdin = child.stdin.take().context("a helper without stdin")?;
        // One that reads nothing has its reasons, which its exit code tells.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().with_context(|| format!("cannot wait for {program}"))?;
        let said = String::from_utf8_lossy(output.stdout.trim_ascii()).into_owned();
        Ok(if output.status.success() {
            Ok(said)
        } else {
            let first = said.lines().next().unwrap_or_default();
            // No helper has a reason to repeat what it was given, nor to fail with what it was asked for, but this must
            // not depend on that.
            let is_secret = if word == "store" { repeats(first, input) } else { first.contains(['{', '"']) };
            let is_quiet = first.is_empty() || is_secret;
            Err(if is_quiet { output.status.to_string() } else { first.to_owned() })
        })
    }
}

fn repeats(said: &str, input: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(input)
        .is_ok_and(|input| input["Secret"].as_str().is_some_and(|secret| said.contains(secret)))
}
