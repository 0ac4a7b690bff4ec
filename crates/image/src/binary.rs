//! The job's binary: compiled by the host where it can link statically for the platform, else by Docker.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::platform::Platform;
use crate::sealed::manifest::PROFILE;
use crate::sealed::{Sealed, Toolchain};
use workspace::project::Project;
use workspace::{cargo, process};

/// The package, and its binary.
pub const JOB: &str = "run-migrations";

/// Who compiles the binary that goes into the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compiler {
    /// This machine's cargo, for the target named.
    Host { target: String },
    /// The Dockerfile's stage `compile`, for the reason given.
    Docker { why: String },
}

impl Compiler {
    /// musl where it is installed, a static glibc where that links, else Docker.
    pub fn choose(project: &Project, platform: Platform) -> Self {
        let architecture = platform.rust();
        if !cfg!(target_os = "linux") || std::env::consts::ARCH != architecture {
            return Self::Docker { why: format!("this machine does not compile for {}", platform.name()) };
        }
        let toolchain = match Toolchain::find(project) {
            Ok(toolchain) => toolchain,
            Err(error) => return Self::Docker { why: format!("{error:#}") },
        };
        let musl = format!("{architecture}-unknown-linux-musl");
        // rustls' cryptography is C and assembly: the target alone does not build it.
        if process::find("musl-gcc").is_some()
            && sysroot(&toolchain).is_some_and(|sysroot| sysroot.join("lib/rustlib").join(&musl).is_dir())
        {
            return Self::Host { target: musl };
        }
        let target = format!("{architecture}-unknown-linux-gnu");
        match probe(project, &toolchain, &target) {
            Ok(()) => Self::Host { target },
            Err(error) => Self::Docker { why: format!("no static program links here: {error:#}") },
        }
    }
}

fn sysroot(toolchain: &Toolchain) -> Option<PathBuf> {
    let printed = process::output(toolchain.rustc().args(["--print", "sysroot"])).ok()?;
    Some(PathBuf::from(printed.trim()))
}

/// Links an empty program, once for each compiler. A failure is not remembered, so that installing what is missing helps.
fn probe(project: &Project, toolchain: &Toolchain, target: &str) -> anyhow::Result<()> {
    let directory = project.target().join("xtask");
    let stamp = directory.join("static-link");
    let compiler = process::output(toolchain.rustc().arg("-vV"))?;
    if std::fs::read_to_string(&stamp).is_ok_and(|known| known == compiler) {
        return Ok(());
    }
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let source = directory.join("empty.rs");
    std::fs::write(&source, "fn main() {}\n").context("cannot write the probe")?;
    let linked = process::output(
        toolchain
            .rustc()
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

/// Compiles for an image: the size profile, static, and nothing of this machine in it but its toolchain and its libc.
pub async fn compile(project: &Project, target: &str) -> anyhow::Result<Vec<u8>> {
    let sealed = Sealed::of(project)?;
    sealed.check()?;
    let mut command = sealed.cargo("build")?;
    command.args(["--package", JOB, "--bin", JOB, "--profile", PROFILE, "--target", target]);
    command.arg("--target-dir").arg(sealed.toolchain().target_directory());
    command.env("CARGO_ENCODED_RUSTFLAGS", sealed.toolchain().flags()?);
    let path = run(command, JOB).await?;
    std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// Compiles for this machine. Beside `xtask`, which is built already: what both are made of has the features of both.
pub async fn compile_native(project: &Project) -> anyhow::Result<PathBuf> {
    cargo_build(project, JOB, &["--package", JOB, "--package", "xtask", "--bin", JOB]).await
}

/// Compiles a binary or an example of the job for the campaign of faults, with the features of the tests' own run: what
/// that has compiled serves here.
pub async fn compile_beside_tests(project: &Project, kind: &str, name: &str) -> anyhow::Result<PathBuf> {
    cargo_build(project, name, &["--workspace", kind, name]).await
}

/// Builds with what the user has set, for use on this machine.
async fn cargo_build(project: &Project, name: &str, arguments: &[&str]) -> anyhow::Result<PathBuf> {
    let mut command = cargo::command(project);
    command.arg("build").args(arguments);
    run(command, name).await
}

/// Runs `cargo build` with its own progress on our stderr; returns the executable it names.
async fn run(command: Command, name: &str) -> anyhow::Result<PathBuf> {
    let mut child = tokio::process::Command::from(command)
        .arg("--message-format=json-render-diagnostics")
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
