//! What is checked, with what, and what there is of it in this tree. Decided before anything runs.

use super::finding::Finding;
use super::tree::ProjectFiles;
use super::{commands, leaks, memory, order, requirements, tables};
use workspace::process;

/// Whether files may be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Check,
    Fix,
}

#[derive(Debug)]
pub(super) struct Check {
    pub(super) name: &'static str,
    /// What is looked at, in words that fit behind "no".
    pub(super) what: String,
    /// Whether `--fix` repairs some of it.
    pub(super) fixable: bool,
    pub(super) work: Work,
}

#[derive(Debug)]
pub(super) enum Work {
    Run(Linter, Vec<String>),
    Look(fn(&ProjectFiles) -> Vec<Finding>),
    /// Manifests, and kustomizations that are rendered first.
    Validate {
        manifests: Vec<String>,
        kustomizations: Vec<String>,
    },
    /// There is no such file.
    Nothing,
    /// What is too long to install for every lint, and the command that installs it.
    NotInstalled(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Linter {
    Cargo,
    /// One of `xtask/tools/requirements.txt`.
    Tool(&'static str),
}

impl Check {
    pub(super) fn needs_tools(&self) -> bool {
        matches!(self.work, Work::Run(Linter::Tool(_), _) | Work::Validate { .. })
    }
}

pub(super) fn all(tree: &ProjectFiles, mode: Mode) -> Vec<Check> {
    let fix = mode == Mode::Fix;
    let cargo = |name, what: &str, arguments: &[&str]| Check {
        name,
        what: what.to_owned(),
        fixable: true,
        work: Work::Run(Linter::Cargo, owned(arguments)),
    };
    let look = |name, what: &str, look| Check {
        name,
        what: what.to_owned(),
        fixable: false,
        work: Work::Look(look),
    };
    let workflows = tree.matching(is_workflow);
    vec![
        cargo("rustfmt", "Rust code", if fix { &["fmt", "--all"] } else { &["fmt", "--all", "--check"] }),
        cargo("clippy", "Rust code, Cargo.lock up to date", &clippy(&["--all-targets"], mode)),
        cargo(
            "clippy (outside)",
            "the tests that need Docker or a cluster",
            &clippy(&["--test", "docker", "--test", "ecr_docker", "--test", "cluster"], mode),
        ),
        tool("squawk", &[], "SQL scripts", tree.matching(|path| is_script(path) && !is_down(path)), false),
        tool("squawk (down)", DOWN, "SQL scripts that go back", tree.matching(is_down), false),
        dependencies(),
        // It finds shellcheck beside itself; there is no Python in workflows.
        tool("actionlint", &["-pyflakes="], "workflows and the shell in them", workflows.clone(), false),
        tool(
            "zizmor",
            &[ZIZMOR, if fix { &["--fix"] } else { &[] }].concat(),
            "workflows, actions and Dependabot's settings",
            [workflows, tree.matching(|path| is_action(path) || path == ".github/dependabot.yml")].concat(),
            true,
        ),
        tool("hadolint", &[], "Dockerfiles", tree.matching(is_dockerfile), false),
        validate(
            tree.matching(|path| is_yaml(path) && is_manifest(path, &tree.text(path))),
            tree.matching(|path| path.ends_with("/kustomization.yaml")),
        ),
        tool(
            "shellcheck",
            &["--external-sources"],
            "shell scripts",
            tree.matching(|path| is_shell(path, || tree.text(path))),
            false,
        ),
        tool(
            "taplo",
            if fix { &["fmt"] } else { &["fmt", "--check", "--diff"] },
            "TOML files",
            tree.matching(|path| path.ends_with(".toml")),
            true,
        ),
        look("commands", "`cargo xtask …` in documentation and scripts can be typed", commands::look),
        look("tables", "the documentation lists the job's own settings, codes and commands", tables::look),
        look("memory", "the pod's memory suits the biggest script", memory::look),
        look("order", "new migrations come after those of the base branch", order::look),
        look("requirements", "pinned Python tools are those that are asked for", requirements::look),
        look("leaks", "no file names this machine or a mirror of a registry", leaks::look),
    ]
}

/// The inverse of adding is dropping. On the command line squawk forgets the rules that `.squawk.toml` excludes.
const DOWN: &[&str] = &[
    "--exclude=ban-drop-column,ban-drop-constraint,ban-drop-domain,ban-drop-function,ban-drop-not-null,\
     ban-drop-schema,ban-drop-sequence,ban-drop-table,ban-drop-type,ban-drop-view,renaming-column,renaming-table,\
     require-lock-timeout,require-statement-timeout",
];

const ZIZMOR: &[&str] = &["--offline", "--no-progress", "--persona=auditor"];

/// Advisories are left to CI: their database comes from GitHub.
fn dependencies() -> Check {
    let arguments = ["deny", "--workspace", "--all-features", "check", "bans", "licenses", "sources"];
    let work = if process::find("cargo-deny").is_some() {
        Work::Run(Linter::Cargo, owned(&arguments))
    } else {
        Work::NotInstalled("cargo install --locked cargo-deny")
    };
    Check {
        name: "cargo-deny",
        what: "licences and sources of dependencies".to_owned(),
        fixable: false,
        work,
    }
}

/// The tests that need Docker are no part of `--all-targets`. All runs select the same packages, and two the same
/// features, so that little is compiled twice.
fn clippy<'a>(targets: &[&'a str], mode: Mode) -> Vec<&'a str> {
    let repair: &[&str] = match mode {
        Mode::Fix => &["--fix", "--allow-dirty", "--allow-staged"],
        Mode::Check => &[],
    };
    [&["clippy", "--workspace", "--locked"], targets, repair, &["--", "-D", "warnings"]].concat()
}

fn tool(name: &'static str, options: &[&str], what: &str, files: Vec<String>, fixable: bool) -> Check {
    if files.is_empty() {
        return Check { name, what: what.to_owned(), fixable, work: Work::Nothing };
    }
    let what = format!("{what} ({})", files.len());
    let arguments = [owned(options), files].concat();
    let program = name.split(' ').next().unwrap_or(name);
    Check { name, what, fixable, work: Work::Run(Linter::Tool(program), arguments) }
}

fn validate(manifests: Vec<String>, kustomizations: Vec<String>) -> Check {
    let what = "Kubernetes manifests".to_owned();
    let (what, work) = match (manifests.len(), kustomizations.len()) {
        (0, 0) => (what, Work::Nothing),
        (files, rendered) => {
            (format!("{what} ({files}), rendered ({rendered})"), Work::Validate { manifests, kustomizations })
        }
    };
    Check { name: "kubernetes-validate", what, fixable: false, work }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn is_script(path: &str) -> bool {
    path.starts_with("migrations/") && path.ends_with(".sql")
}

fn is_down(path: &str) -> bool {
    is_script(path) && path.ends_with(".down.sql")
}

fn is_workflow(path: &str) -> bool {
    (path.starts_with(".github/workflows/") || path.contains("/.github/workflows/")) && is_yaml(path)
}

/// Those of the tests, too, which stand in for others'.
fn is_action(path: &str) -> bool {
    ["action.yml", "action.yaml"].contains(&path.rsplit('/').next().unwrap_or(path))
}

fn is_dockerfile(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name == "Dockerfile" || name.starts_with("Dockerfile.") || name.ends_with(".dockerfile")
}

fn is_yaml(path: &str) -> bool {
    path.ends_with(".yaml") || path.ends_with(".yml")
}

/// What a cluster would take. A kustomization is read by kubectl alone, and has no schema; what lies beside the one of
/// an overlay is a patch, no whole object.
fn is_manifest(path: &str, text: &str) -> bool {
    let has = |key: &str| text.lines().any(|line| line.starts_with(key));
    !path.contains("kustomization.") && !path.contains("/overlays/") && has("apiVersion:") && has("kind:")
}

fn is_shell(path: &str, text: impl Fn() -> String) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    if let Some((_, extension)) = name.rsplit_once('.') {
        return ["sh", "bash"].contains(&extension);
    }
    let text = text();
    let first = text.lines().next().unwrap_or_default();
    first.starts_with("#!") && ["sh", "bash"].iter().any(|shell| first.ends_with(shell))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_apart() {
        for (path, text, expected) in [
            ("migrations/1_a.up.sql", "", "script"),
            ("tests/fixtures/a.sql", "", ""),
            (".github/workflows/ci.yaml", "", "workflow"),
            ("examples/a/.github/workflows/ci.yml", "", "workflow"),
            ("crates/xtask-cloud/tests/workflows/actions/attest/action.yml", "", "action"),
            ("Dockerfile", "", "dockerfile"),
            ("tests/Dockerfile.test", "", "dockerfile"),
            ("kubernetes/job.yaml", "apiVersion: batch/v1\nkind: Job\n", "manifest"),
            ("kubernetes/overlays/a/job.yaml", "apiVersion: batch/v1\nkind: Job\n", ""),
            ("kubernetes/kustomization.yaml", "apiVersion: v1beta1\nkind: Kustomization\n", ""),
            ("xtask/release.yaml", "# image: a\n", ""),
            (".ci/run", "#!/usr/bin/env bash\n", "shell"),
            ("scripts/a.sh", "", "shell"),
            ("tool", "#!/usr/bin/env python3\n", ""),
            ("LICENSE", "MIT\n", ""),
        ] {
            let kinds = [
                (is_script(path), "script"),
                (is_workflow(path), "workflow"),
                (is_action(path), "action"),
                (is_dockerfile(path), "dockerfile"),
                (is_yaml(path) && is_manifest(path, text), "manifest"),
                (is_shell(path, || text.to_owned()), "shell"),
            ];
            let found: Vec<_> = kinds.iter().filter(|(is, _)| *is).map(|(_, kind)| *kind).collect();
            assert_eq!(found.join(" "), expected, "{path}");
        }
    }
}
