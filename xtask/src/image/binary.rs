//! The job's binary: compiled by the host where it can link statically for the platform, else by Docker.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::project::Project;
use crate::settings::Platform;
use crate::{cargo, process};

/// The package, and its binary.
pub(crate) const JOB: &str = "run-migrations";

/// Who compiles the binary that goes into the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Compiler {
    /// This machine's cargo, for the target named.
    Host { target: String },
    /// The Dockerfile's stage `compile`, for the reason given.
    Docker { why: String },
}

impl Compiler {
    /// musl where it is installed, a static glibc where that links, else Docker.
    pub(crate) fn choose(project: &Project, platform: Platform) -> Self {
        let architecture = platform.rust();
        if !cfg!(target_os = "linux") || std::env::consts::ARCH != architecture {
            return Self::Docker { why: format!("this machine does not compile for {}", platform.name()) };
        }
        let musl = format!("{architecture}-unknown-linux-musl");
        // rustls' cryptography is C and assembly: the target alone does not build it.
        let compiler = process::find("musl-gcc").is_some()
            || std::env::var_os(format!("CC_{}", musl.replace('-', "_"))).is_some();
        if compiler
            && sysroot(project).is_some_and(|sysroot| sysroot.join("lib/rustlib").join(&musl).is_dir())
        {
            return Self::Host { target: musl };
        }
        let target = format!("{architecture}-unknown-linux-gnu");
        match probe(project, &target) {
            Ok(()) => Self::Host { target },
            Err(error) => Self::Docker { why: format!("no static program links here: {error:#}") },
        }
    }
}

fn rustc(project: &Project) -> Command {
    let mut command = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    command.current_dir(project.root());
    command
}

fn sysroot(project: &Project) -> Option<PathBuf> {
    process::output(rustc(project).args(["--print", "sysroot"])).ok().map(|path| PathBuf::from(path.trim()))
}

/// Links an empty program, once for each compiler. A failure is not remembered, so that installing what is missing helps.
fn probe(project: &Project, target: &str) -> anyhow::Result<()> {
    let directory = project.target().join("xtask");
    let stamp = directory.join("static-link");
    let compiler = process::output(rustc(project).arg("-vV"))?;
    if std::fs::read_to_string(&stamp).is_ok_and(|known| known == compiler) {
        return Ok(());
    }
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let source = directory.join("empty.rs");
    std::fs::write(&source, "fn main() {}\n").context("cannot write the probe")?;
    let linked = process::output(
        rustc(project)
            .args(["--target", target, "-Ctarget-feature=+crt-static", "-o"])
            .arg(directory.join("empty"))
            .arg(&source),
    );
    linked.map_err(|error| {
        let text = format!("{error:#}");
        let line = text.lines().find(|line| line.contains("cannot find")).unwrap_or("rustc failed").trim();
        anyhow::anyhow!(
            "{} (Debian, Ubuntu: install gcc and libc6-dev)",
            line.rsplit("= note: ").next().unwrap_or(line)
        )
    })?;
    std::fs::write(&stamp, compiler).context("cannot remember the probe")
}

/// Compiles for an image: the size profile, static, and no path of this machine in it.
pub(crate) async fn compile(project: &Project, target: &str) -> anyhow::Result<Vec<u8>> {
    let path = cargo_build(
        project,
        JOB,
        &["--package", JOB, "--bin", JOB, "--profile", "job", "--target", target],
        &[("CARGO_ENCODED_RUSTFLAGS", flags(project))],
    )
    .await?;
    std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// What rustc is told on top of the profile, as CARGO_ENCODED_RUSTFLAGS takes it.
pub(crate) fn flags(project: &Project) -> String {
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned(), remap(project.root(), ".")];
    flags.extend(cargo_home().map(|home| remap(&home, "/cargo")));
    flags
        .extend(std::env::var_os("CARGO_TARGET_DIR").map(|directory| remap(Path::new(&directory), "target")));
    flags.join("\u{1f}")
}

/// Compiles for this machine, as `cargo test` does, so that both share what they build.
pub(crate) async fn compile_native(project: &Project) -> anyhow::Result<PathBuf> {
    cargo_build(project, JOB, &["--package", JOB, "--bin", JOB], &[]).await
}

/// Compiles a binary or an example of the job for the campaign of faults, with the features of the tests' own run: what
/// that has compiled serves here.
pub(crate) async fn compile_beside_tests(
    project: &Project,
    kind: &str,
    name: &str,
) -> anyhow::Result<PathBuf> {
    cargo_build(project, name, &["--workspace", "--features", "xtask/cloud", kind, name], &[]).await
}

/// Runs cargo with its own progress on our stderr; returns the executable it names.
async fn cargo_build(
    project: &Project,
    name: &str,
    arguments: &[&str],
    environment: &[(&str, String)],
) -> anyhow::Result<PathBuf> {
    let mut child = tokio::process::Command::from(cargo::command(project))
        .args(["build", "--message-format=json-render-diagnostics"])
        .args(arguments)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("cannot run cargo")?;
    let mut executable = None;
    if let Some(stdout) = child.stdout.take() {
        let mut lines = BufReader::new(stdout).lines();
        while let Some(line) = lines.next_line().await.context("cannot read what cargo says")? {
            executable = executable_of(&line, name).or(executable);
        }
    }
    if !child.wait().await.context("cannot wait for cargo")?.success() {
        bail!("the job does not compile; cargo says why above");
    }
    executable.context("cargo did not name the executable it built")
}

/// The executable a line of cargo's JSON messages tells of.
fn executable_of(line: &str, name: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    let ours = message["reason"] == "compiler-artifact" && message["target"]["name"] == name;
    message["executable"].as_str().filter(|_| ours).map(PathBuf::from)
}

fn cargo_home() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("CARGO_HOME").or_else(|| set("HOME").map(|home| home.join(".cargo")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_found_in_cargos_messages() {
        for (line, path) in [
            (
                r#"{"reason":"compiler-artifact","target":{"name":"run-migrations"},"executable":"/t/run-migrations"}"#,
                Some("/t/run-migrations"),
            ),
            (r#"{"reason":"compiler-artifact","target":{"name":"run-migrations"},"executable":null}"#, None),
            (r#"{"reason":"compiler-artifact","target":{"name":"serde"},"executable":"/t/x"}"#, None),
            (r#"{"reason":"build-finished","success":true}"#, None),
            ("not json", None),
        ] {
            assert_eq!(executable_of(line, JOB), path.map(PathBuf::from), "{line}");
        }
    }
}
