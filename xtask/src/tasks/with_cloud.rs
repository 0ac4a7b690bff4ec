//! What talks to AWS or Kubernetes is compiled when it is first asked for: what the other tasks need builds in half the time.

use std::path::PathBuf;

use crate::project::Project;

/// Where it is remembered that the build with the feature was made.
fn stamp(project: &Project) -> PathBuf {
    project.target().join("xtask/has-cloud")
}

/// This is that build.
#[cfg(feature = "cloud")]
pub(super) fn remember(project: &Project) {
    let stamp = stamp(project);
    if !stamp.exists() {
        // Without it the next such task only says once more that it may take a while.
        let _ = stamp.parent().map(std::fs::create_dir_all);
        let _ = std::fs::write(stamp, "");
    }
}

/// Runs the same command line with the build that has the feature, in the place of this process.
#[cfg(not(feature = "cloud"))]
pub(super) fn run_again(project: &Project) -> anyhow::Result<std::process::ExitCode> {
    use std::os::unix::process::CommandExt;

    use anyhow::Context;

    use crate::{cargo, ui};

    let is_first = !stamp(project).exists();
    let mut command = cargo::command(project);
    command.args(["run", "--package", "xtask", "--features", "cloud"]);
    if is_first {
        ui::note(
            "Compiling",
            "what talks to AWS and Kubernetes; the first such task takes some minutes longer",
        );
    } else {
        command.arg("--quiet");
    }
    let error = command.arg("--").args(std::env::args_os().skip(1)).exec();
    Err(error).context("cannot run cargo")
}
