//! The binary, the image made of it, and what planning costs: figures that need no server.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use super::report::{Bound, Figure};
use image::archive::Layers;
use image::platform::Platform;
use image::sealed::Toolchain;
use workspace::process;
use workspace::project::Project;

/// Sizes of the binary and of the image's two layers as a registry gets them.
pub(super) fn sizes(project: &Project, binary: &[u8]) -> anyhow::Result<Vec<Figure>> {
    let megabytes = |bytes: usize| bytes as f64 / 1e6;
    let layers = Layers::of(project, Platform::of_this_machine()?, binary.to_vec())?;
    let compressed = compress(&layers.program)? + compress(&layers.scripts)?;
    Ok(vec![
        Figure::new("binary", megabytes(binary.len()), "MB", None),
        Figure::new("image, compressed", megabytes(compressed), "MB", Some(Bound::AtMost(2.0))),
    ])
}

/// With gzip at its usual level, as the docker CLI and most builders push.
fn compress(bytes: &[u8]) -> anyhow::Result<usize> {
    let mut child = Command::new("gzip")
        .args(["-6", "--no-name", "--stdout"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run gzip")?;
    let mut stdin = child.stdin.take().context("gzip has no stdin")?;
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(bytes));
        child.wait_with_output().context("cannot wait for gzip")
    })?;
    if !output.status.success() {
        bail!("gzip failed ({})", output.status);
    }
    Ok(output.stdout.len())
}

/// `crates/core/benches/planning.rs`, with the profile and the flags of the image's binary, so that both share what they compile.
pub(super) fn planning(project: &Project, target: &str) -> anyhow::Result<Vec<Figure>> {
    let toolchain = Toolchain::find(project)?;
    let mut command = toolchain.cargo()?;
    command
        .args(["bench", "--quiet", "--package", "migration-core", "--bench", "planning", "--profile", "job"])
        .args(["--target", target, "--manifest-path"])
        .arg(project.root().join("Cargo.toml"))
        .arg("--target-dir")
        .arg(toolchain.target_directory())
        .env("CARGO_ENCODED_RUSTFLAGS", toolchain.flags()?);
    let printed = process::output(&mut command).context("cannot measure planning")?;
    let figures = printed.lines().filter_map(|line| {
        let (name, milliseconds) = line.split_once('\t')?;
        let bound = name.starts_with("planning").then_some(Bound::AtMost(50.0));
        Some(Figure::new(
            format!("10,000 migrations, CPU of {name}"),
            milliseconds.parse().ok()?,
            "ms",
            bound,
        ))
    });
    Ok(figures.collect())
}
