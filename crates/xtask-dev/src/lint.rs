//! `cargo xtask lint`: formats and lints everything the project holds; all of it, even where something fails.

mod checks;
mod commands;
mod finding;
mod leaks;
mod manifests;
mod memory;
mod order;
mod page;
mod perform;
mod requirements;
mod tables;
mod tree;

use std::path::PathBuf;
use std::time::{Duration, Instant};
use xtask::cli::lint::Arguments;

use anstyle::{AnsiColor, Style};
use anyhow::{Context, bail};
use foreign_text::{one_line, styled};
use sha2::{Digest, Sha256};

use checks::{Check, Mode};
use finding::Finding;
use perform::{CheckResult, perform};
use tree::ProjectFiles;
use workspace::github::{self, Annotation};
use workspace::project::Project;
use workspace::python;

pub(crate) fn run(arguments: &Arguments, project: &Project) -> anyhow::Result<()> {
    let mode = if arguments.fix { Mode::Fix } else { Mode::Check };
    let tree = ProjectFiles::read(project)?;
    let checks = checks::all(&tree, mode);
    let tools = checks.iter().any(Check::needs_tools).then(|| tools(project));
    let mut results = Vec::new();
    for check in &checks {
        let start = Instant::now();
        let outcome = perform(check, project, &tree, tools.as_ref());
        report(check, &outcome, start.elapsed());
        results.push((check, outcome, start.elapsed()));
    }
    github::summarize(&page::page(&results))?;
    let is_failed =
        |(_, outcome, _): &&(&Check, CheckResult, Duration)| matches!(outcome, CheckResult::Failed { .. });
    let failed: Vec<&Check> = results.iter().filter(is_failed).map(|(check, ..)| *check).collect();
    if failed.is_empty() {
        return Ok(());
    }
    let names = |checks: &[&Check]| checks.iter().map(|check| check.name).collect::<Vec<_>>().join(", ");
    let repairable: Vec<_> = failed.iter().copied().filter(|check| check.fixable).collect();
    let advice = match (mode, repairable.is_empty()) {
        (Mode::Check, false) => {
            format!("; `cargo xtask lint --fix` repairs what it can of {}", names(&repairable))
        }
        _ => "; what is left above is to be repaired by hand".to_owned(),
    };
    bail!("{} of {} checks failed: {}{advice}", failed.len(), checks.len(), names(&failed))
}

/// The virtual environment with the linters, named after its contents so that a change makes a new one.
fn tools(project: &Project) -> anyhow::Result<PathBuf> {
    let path = project.root().join("xtask/tools/requirements.txt");
    let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let digest: String = Sha256::digest(&text).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let requirements = ["--require-hashes", "--requirement", &path.to_string_lossy()].map(str::to_owned);
    python::environment(project, &format!("lint-{digest}"), &requirements.each_ref().map(String::as_str))
}

fn report(check: &Check, outcome: &CheckResult, took: Duration) {
    let (mark, colour) = match outcome {
        CheckResult::Passed => ("✓", AnsiColor::Green),
        CheckResult::Nothing | CheckResult::NotInstalled(_) => ("–", AnsiColor::Yellow),
        CheckResult::Failed { .. } => ("✗", AnsiColor::Red),
    };
    let style = Style::new().fg_color(Some(colour.into())).bold();
    let what = match outcome {
        CheckResult::Nothing => format!("nothing to check: no {}", check.what),
        CheckResult::NotInstalled(how) => format!("left out: not installed ({how})"),
        _ => check.what.clone(),
    };
    let seconds = format!("{:.1} s", took.as_secs_f64());
    anstream::eprintln!("{style}{mark}{style:#} {:<19} {seconds:>8}  {}", check.name, one_line(&what));
    if let CheckResult::Failed { output, findings } = outcome {
        for line in output.lines() {
            anstream::eprintln!("    {}", styled(line));
        }
        for Finding { path, line, message } in findings {
            github::annotate(&Annotation { path, line: *line, title: check.name, message });
        }
    }
}
