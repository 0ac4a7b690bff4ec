//! From a tag to the start of the job: release.yml, run with act, while ECR holds the image. Neither GitHub's runners nor
//! a cluster's scheduler are in it, nor what compiling xtask takes there.

use anyhow::Context;

use super::report::{Bound, Figure, median};
use crate::test::emulator::Emulator;
use crate::test::server::TestServer;
use workspace::project::Project;
use workspace::{cargo, process, ui};

pub(super) fn measure(project: &Project, server: &TestServer, releases: usize) -> anyhow::Result<Figure> {
    let emulator = Emulator::start(project)?;
    let _waiting = ui::waiting("Timing", "release.yml, from a tag to the start of the job");
    let same = ["--workspace", "--locked"];
    // The job that the cluster runs.
    process::output(cargo::command(project).arg("build").args(same))?;
    // As `cargo xtask` compiles, on a runner too.
    let mut bench = cargo::command(project);
    bench
        .args(["bench", "--quiet", "--profile", "dev", "--bench", "tag_to_start"])
        .args(same)
        .args(["--", &releases.to_string()])
        .envs(server.environment())
        .envs(emulator.environment());
    let printed = process::output(&mut bench).context("release.yml can't be timed")?;
    let seconds: Vec<f64> = printed.lines().filter_map(|line| line.parse().ok()).collect();
    let name = "tag to start of the job (act; image in ECR, xtask compiled)";
    Ok(Figure::new(name, median(&seconds).context("nothing was measured")?, "s", Some(Bound::AtMost(60.0))))
}
