//! What talks to AWS or Kubernetes is compiled when it is first asked for: what the other tasks need builds in half the time.

use std::os::unix::process::CommandExt;
use std::process::ExitCode;

use anyhow::Context;

use crate::project::Project;
use crate::{cargo, ui};

/// Runs the same command line with the build that has the feature, in the place of this process.
pub(super) fn run_again(project: &Project) -> anyhow::Result<ExitCode> {
    let stamp = project.target().join("xtask/has-cloud");
    let is_first = !stamp.exists();
    let mut command = cargo::command(project);
    command.args(["run", "--package", "xtask", "--features", "cloud"]);
    if is_first {
        ui::note(
            "Compiling",
            "what talks to AWS and Kubernetes; the first such task takes a minute or two longer",
        );
        std::fs::create_dir_all(project.target().join("xtask")).context("cannot make target/xtask")?;
        std::fs::write(&stamp, "").with_context(|| format!("cannot write {}", stamp.display()))?;
    } else {
        command.arg("--quiet");
    }
    let error = command.arg("--").args(std::env::args_os().skip(1)).exec();
    Err(error).context("cannot run cargo")
}
