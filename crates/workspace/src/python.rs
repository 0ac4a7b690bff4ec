//! Python tools in virtual environments of the project's own, under `target/python`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;

use crate::process;
use crate::project::Project;
use crate::ui;

/// A virtual environment that holds exactly the named requirements. Made once, remade when they change.
pub fn environment(project: &Project, name: &str, requirements: &[&str]) -> anyhow::Result<PathBuf> {
    let directory = project.target().join("python").join(name);
    let (stamp, wanted) = (directory.join("requirements.txt"), requirements.join("\n") + "\n");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(directory);
    }
    let waiting = ui::waiting("Installing", requirements.join(" "));
    let python = process::find("python3")
        .context("python3 is not on PATH; install it (Debian, Ubuntu: python3-venv)")?;
    process::output(Command::new(python).args(["-m", "venv", "--clear"]).arg(&directory))
        .context("cannot make a virtual environment (Debian, Ubuntu: install python3-venv)")?;
    process::output(
        Command::new(directory.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(requirements),
    )
    .with_context(|| format!("cannot install {} from PyPI", requirements.join(" ")))?;
    std::fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    drop(waiting);
    Ok(directory)
}
