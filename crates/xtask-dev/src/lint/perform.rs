//! One check, done: looked at here, or run by a tool.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;

use super::checks::{Check, Linter, Work};
use super::finding::{self, Finding};
use super::manifests;
use super::tree::ProjectFiles;
use workspace::project::Project;
use workspace::{cargo, ui};

/// What a finding of squawk's does not say itself.
const SILENCE: &str = "\n\nIf a rule does not apply, write this on the line above the statement:\n  -- squawk-ignore RULE -- why";

pub(super) enum CheckResult {
    Passed,
    Nothing,
    NotInstalled(&'static str),
    Failed { output: String, findings: Vec<Finding> },
}

pub(super) fn perform(
    check: &Check,
    project: &Project,
    tree: &ProjectFiles,
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
                (Linter::Cargo, _) => cargo::command(project),
                (Linter::Tool(name), Some(Ok(environment))) => tool(&environment.join("bin"), name),
                (Linter::Tool(_), Some(Err(error))) => return failure(format!("{error:#}")),
                (Linter::Tool(name), None) => return failure(format!("{name} is not installed")),
            };
            let _waiting = ui::quietly_waiting(check.name);
            match execute(command.args(arguments).current_dir(project.root())) {
                Ok(Ok(())) => CheckResult::Passed,
                Ok(Err(mut output)) => {
                    if *program == Linter::Tool("squawk") {
                        output.push_str(SILENCE);
                    }
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
pub(super) fn without_colours(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}
