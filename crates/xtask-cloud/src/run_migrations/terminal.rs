//! What a person is shown and asked, be it of one Job or of a fleet.

use std::process::ExitCode;

use anyhow::Context;
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
