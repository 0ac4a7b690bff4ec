//! The first minutes of a new user, timed: from a fresh clone with an empty target directory (crates already
//! downloaded) to a migrated database; then an image, and the image again after a change to `migrations/` alone.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, bail};

use super::report::{Bound, Figure};
use workspace::git::git;
use workspace::project::Project;
use workspace::{process, ui};

const IMAGE: &str = "run-migrations-bench";

/// A clone that takes its local PostgreSQL and its image with it when it goes.
struct Clone(PathBuf);

pub(super) fn measure(project: &Project) -> anyhow::Result<Vec<Figure>> {
    let directory = project.target().join(format!("xtask/bench-clone-{}", std::process::id()));
    let mut git = git(project.root());
    git.args(["clone", "--quiet", "--local"]).arg(project.root()).arg(&directory);
    process::output(&mut git).context("cannot clone the checkout")?;
    let clone = Clone(directory);
    let seconds = |words: &[&str]| clone.cargo(words).map(|(seconds, _)| seconds);
    ui::done("Timing", "cargo xtask run-migrations in a fresh clone");
    let fresh = seconds(&["xtask", "run-migrations"])?;
    let again = seconds(&["xtask", "run-migrations"])?;
    let mut figures = vec![
        Figure::new("fresh clone to migrated database", fresh, "s", Some(Bound::AtMost(150.0))),
        Figure::new("the same again", again, "s", None),
    ];
    let Ok((_, before)) = clone.cargo(&["xtask", "build-image"]) else {
        ui::warning("no image can be built here, so building one again is not timed");
        return Ok(figures);
    };
    for (way, sql) in [("up", "SELECT 1;\n"), ("down", "SELECT 1;\n")] {
        let path = clone.0.join(format!("migrations/99990101000000_bench.{way}.sql"));
        std::fs::write(&path, sql).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let (changed, after) = clone.cargo(&["xtask", "build-image"])?;
    let layer =
        |text: &str| text.lines().find(|line| line.trim_start().starts_with("binary ")).map(str::to_owned);
    if layer(&before).is_none() || layer(&before) != layer(&after) {
        bail!("the binary's layer changed with migrations/ alone:\n{before}\n{after}");
    }
    // cargo looks through its inputs twice: for xtask, and inside of it for the job.
    let check = seconds(&["build", "--quiet", "--package", "xtask"])?;
    let own = (changed - 2.0 * check).max(0.0);
    figures.push(Figure::new("build-image after a new migration", changed, "s", None));
    figures.push(Figure::new("of it beyond cargo's own checks", own, "s", Some(Bound::AtMost(1.0))));
    Ok(figures)
}

impl Clone {
    /// Runs cargo in the clone as a user would; its seconds and what it printed on stderr.
    fn cargo(&self, words: &[&str]) -> anyhow::Result<(f64, String)> {
        let start = Instant::now();
        let output = in_clone(&self.0)
            .args(words)
            .stdin(Stdio::null())
            .output()
            .context("cannot run cargo in the clone")?;
        let seconds = start.elapsed().as_secs_f64();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            bail!("cargo {} failed in the clone ({}): {said}", words.join(" "), output.status);
        }
        Ok((seconds, said))
    }
}

fn in_clone(directory: &Path) -> Command {
    let mut command = Command::new("cargo");
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("POSTGRES_") || text.starts_with("CARGO_") && text != "CARGO_HOME" {
            command.env_remove(&name);
        }
    }
    command.current_dir(directory).env("IMAGE", IMAGE).env("NO_COLOR", "1");
    command
}

impl Drop for Clone {
    fn drop(&mut self) {
        let _ = self.cargo(&["xtask", "database", "reset", "--yes"]);
        let _ = Command::new("docker").args(["image", "rm", IMAGE]).output();
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            ui::warning(format!("cannot remove {}: {error}", self.0.display()));
        }
    }
}
