//! The GitHub CLI: it alone talks to GitHub, with a token that we never see.

use std::process::Command;

use anyhow::{Context, bail};

use crate::process;

/// Runs `gh`; what it printed on stdout.
pub(crate) fn gh(arguments: &[&str]) -> anyhow::Result<String> {
    if process::find("gh").is_none() {
        bail!(
            "the GitHub CLI is not on PATH; install gh (Debian, Ubuntu: apt-get install gh) and sign in with `gh auth login`"
        );
    }
    process::output(Command::new("gh").args(arguments).env("GH_PROMPT_DISABLED", "1"))
        .with_context(|| format!("GitHub was asked with `gh {}`", arguments.join(" ")))
}

/// What the API answers to a GET; None where there is no such thing.
pub(crate) fn get(path: &str) -> anyhow::Result<Option<serde_json::Value>> {
    match gh(&["api", path]) {
        Ok(text) => {
            Ok(Some(serde_json::from_str(&text).with_context(|| format!("{path} is answered with no JSON"))?))
        }
        Err(error) if format!("{error:#}").contains("HTTP 404") => Ok(None),
        Err(error) => Err(error),
    }
}
