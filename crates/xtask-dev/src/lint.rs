//! `cargo xtask lint`: formats and lints everything the project holds; all of it, even where something fails.

mod checks;
mod commands;
mod finding;
mod leaks;
mod manifests;
mod page;
mod requirements;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use xtask::cli::lint::Arguments;

use anstyle::{AnsiColor, Style};
use anyhow::{Context, bail};
use foreign_text::{one_line, styled};
use sha2::{Digest, Sha256};

use checks::{Check, Mode, Program, Work};
use finding::Finding;
use workspace::github::{self, Annotation};
use workspace::project::Project;
use workspace::{cargo, process, python, ui};

pub(crate) fn run(arguments: &Arguments, project: &Project) -> anyhow::Result<()> {
    let mode = if arguments.fix { Mode::Fix } else { Mode::Check };
    let tree = Tree::read(project)?;
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

/// The files of the project: what git tracks, and what it would track after `git add`.
#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
    paths: Vec<String>,
}

impl Tree {
    fn read(project: &Project) -> anyhow::Result<Self> {
        let mut git = Command::new("git");
        git.current_dir(project.root()).args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]);
        let listed = process::output(&mut git).context("cannot list the project's files")?;
        let root = project.root().to_owned();
        let mut paths: Vec<_> =
            listed.split('\0').filter(|path| root.join(path).is_file()).map(str::to_owned).collect();
        paths.sort();
        paths.dedup();
        Ok(Self { root, paths })
    }

    /// The files whose path answers to the description.
    pub(super) fn matching(&self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        self.paths.iter().filter(|path| wanted(path)).cloned().collect()
    }

    /// The text of a file; nothing where it holds none.
    pub(super) fn text(&self, path: &str) -> String {
        std::fs::read_to_string(self.root.join(path)).unwrap_or_default()
    }
}

enum CheckResult {
    Passed,
    Nothing,
    NotInstalled(&'static str),
    Failed { output: String, findings: Vec<Finding> },
}

/// The virtual environment with the linters, named after its contents so that a change makes a new one.
fn tools(project: &Project) -> anyhow::Result<PathBuf> {
    let path = project.root().join("xtask/tools/requirements.txt");
    let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let digest: String = Sha256::digest(&text).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let requirements = ["--require-hashes", "--requirement", &path.to_string_lossy()].map(str::to_owned);
    python::environment(project, &format!("lint-{digest}"), &requirements.each_ref().map(String::as_str))
}

fn perform(
    check: &Check,
    project: &Project,
    tree: &Tree,
    tools: Option<&anyhow::Result<PathBuf>>,
) -> CheckResult {
    match &check.work {
        Work::Nothing => CheckResult::Nothing,
        Work::NotInstalled(how) => CheckResult::NotInstalled(how),
        Work::Look(look) => match look(tree) {
            findings if findings.is_empty() => CheckResult::Passed,
            findings => {
                let lines: Vec<_> = findings.iter().map(ToString::to_string).collect();
                CheckResult::Failed { output: lines.join("\n"), findings }
            }
        },
        Work::Validate { manifests, kustomizations } => {
            let environment = match tools {
                Some(Ok(environment)) => environment,
                Some(Err(error)) => return failure(format!("{error:#}")),
                None => return failure("kubernetes-validate is not installed".to_owned()),
            };
            let _waiting = ui::quietly_waiting(check.name);
            let rendered = match manifests::render(kustomizations, project) {
                Ok(rendered) => rendered,
                Err(error) => return failure(format!("{error:#}")),
            };
            let said = manifests::VERSIONS.iter().filter_map(|version| {
                let mut command = Command::new(environment.join("bin/kubernetes-validate"));
                command.args(["--strict", "--quiet", "--kubernetes-version", version]);
                command.args(manifests).args(&rendered).current_dir(project.root());
                execute(&mut command).map_or_else(|error| Some(format!("{error:#}")), Result::err)
            });
            match said.collect::<Vec<_>>() {
                said if said.is_empty() => CheckResult::Passed,
                said => failure(said.join("\n")),
            }
        }
        Work::Run(program, arguments) => {
            let mut command = match (program, tools) {
                (Program::Cargo, _) => cargo::command(project),
                (Program::Tool(name), Some(Ok(environment))) => tool(&environment.join("bin"), name),
                (Program::Tool(_), Some(Err(error))) => return failure(format!("{error:#}")),
                (Program::Tool(name), None) => return failure(format!("{name} is not installed")),
            };
            let _waiting = ui::quietly_waiting(check.name);
            match execute(command.args(arguments).current_dir(project.root())) {
                Ok(Ok(())) => CheckResult::Passed,
                Ok(Err(output)) => {
                    let findings = finding::parse(&without_colours(&output), project.root());
                    CheckResult::Failed { output, findings }
                }
                Err(error) => failure(format!("{error:#}")),
            }
        }
    }
}

/// Tools find each other: actionlint asks shellcheck.
fn tool(directory: &Path, name: &str) -> Command {
    let mut command = Command::new(directory.join(name));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::iter::once(directory.to_owned()).chain(std::env::split_paths(&path));
    // A directory with a colon in its name can't be in PATH; the tool then runs without its neighbours.
    if let Ok(path) = std::env::join_paths(directories) {
        command.env("PATH", path);
    }
    command
}

fn failure(output: String) -> CheckResult {
    CheckResult::Failed { output, findings: Vec::new() }
}

/// Runs a tool to its end; what it printed counts only where it failed.
fn execute(command: &mut Command) -> anyhow::Result<Result<(), String>> {
    // Squawk prints annotations of its own where it sees GitHub; they are ours to print.
    command.env_remove("GITHUB_ACTIONS");
    command.stdin(Stdio::null()).env("CARGO_TERM_COLOR", if ui::colours() { "always" } else { "never" });
    if !ui::colours() {
        command.env("NO_COLOR", "1");
    }
    let output =
        command.output().with_context(|| format!("cannot run {}", command.get_program().display()))?;
    if output.status.success() {
        return Ok(Ok(()));
    }
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let text = said.iter().map(|text| text.trim_end()).filter(|text| !text.is_empty());
    Ok(Err(text.collect::<Vec<_>>().join("\n")))
}

/// Squawk heeds neither NO_COLOR nor that nobody looks.
fn without_colours(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
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
