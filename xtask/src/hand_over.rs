//! What talks to AWS or Kubernetes, and what only tests need, is compiled when it is first asked for: what the other
//! tasks need builds in half the time.

use std::os::unix::process::CommandExt;
use std::process::ExitCode;

use anyhow::Context;

use workspace::project::Project;
use workspace::{cargo, ui};

/// A program that runs some of the tasks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Program {
    Cloud,
    Dev,
}

impl Program {
    fn package(self) -> &'static str {
        match self {
            Self::Cloud => "xtask-cloud",
            Self::Dev => "xtask-dev",
        }
    }

    fn why_it_takes_long(self) -> &'static str {
        match self {
            Self::Cloud => "what talks to AWS and Kubernetes; the first such task takes some minutes longer",
            Self::Dev => "what lints, tests and measures; the first such task takes a little longer",
        }
    }
}

/// Runs the same command line with the other program, in the place of this process.
pub(crate) fn to(program: Program, project: &Project) -> anyhow::Result<ExitCode> {
    let package = program.package();
    // cargo puts the programs of one profile side by side.
    let is_built = std::env::current_exe()
        .is_ok_and(|this| this.parent().is_some_and(|all| all.join(package).is_file()));
    let mut command = cargo::command(project);
    // Paths that were typed are relative to where they were typed.
    command.current_dir(".").args(["run", "--package", package, "--manifest-path"]);
    command.arg(project.root().join("Cargo.toml"));
    if is_built {
        command.arg("--quiet");
    } else {
        ui::note("Compiling", program.why_it_takes_long());
    }
    let error = command.arg("--").args(std::env::args_os().skip(1)).exec();
    Err(error).context("cannot run cargo")
}
