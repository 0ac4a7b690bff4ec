//! What a person is shown and asked, be it of one Job or of a fleet.

use std::io::{BufRead, IsTerminal};
use std::process::ExitCode;

use anyhow::{Context, bail};
use rustix::process::Signal;

use cluster::manifest::Manifest;
use workspace::ui;

/// As a shell would report it.
pub(super) fn exit_code(signal: Signal) -> ExitCode {
    ExitCode::from(u8::try_from(128 + signal.as_raw()).unwrap_or(1))
}

pub(super) fn show(manifest: &Manifest) -> anyhow::Result<()> {
    ui::exact(serde_yaml::to_string(&manifest.job).context("the Job can't be written")?.trim_end());
    Ok(())
}

/// What is reverted may be data: a person says yes, here or in the command.
pub(super) fn confirm(what: &str) -> anyhow::Result<()> {
    if !std::io::stdin().is_terminal() {
        bail!("nobody is there to ask whether to {what}; say --yes");
    }
    ui::note("Really", format!("{what}? yes or no"));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context("cannot read the answer")?;
    if answer.trim() != "yes" {
        bail!("nothing was done; it takes a yes to {what}");
    }
    Ok(())
}
