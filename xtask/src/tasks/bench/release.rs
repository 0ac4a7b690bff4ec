//! A release, timed against an emulator of ECR: the first push, the same again, a promotion, one more migration; and
//! the engine's own push of the same image. In a clone, whose compiled binary is kept for the next time.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use super::report::{Bound, Figure, median};
use crate::project::Project;
use crate::tasks::test::emulator::Emulator;
use crate::{cargo, process, ui};

const IMAGE: &str = "run-migrations-bench-push";

/// A clone and the program that pushes from it; the clone is gone when dropped.
struct Bench {
    clone: PathBuf,
    target: PathBuf,
    xtask: PathBuf,
}

/// What one push came to.
struct Push {
    seconds: f64,
    result: Value,
}

pub(super) fn measure(project: &Project, repetitions: usize) -> anyhow::Result<Vec<Figure>> {
    let bench = Bench::prepare(project)?;
    ui::done("Timing", "releases to an emulator of ECR");
    bench.run(None, &["build-image"])?;
    let (mut first, mut again, mut promoted, mut ratios, mut small) =
        (vec![], vec![], vec![], vec![], vec![]);
    for _ in 0..repetitions {
        // A registry of its own each time: the daemon remembers what it has pushed where.
        let emulator = Emulator::start(project)?;
        let push = |words: &[&str]| bench.push(&emulator, words);
        let one = push(&["--create-repository"])?;
        let two = push(&[])?;
        ensure!(two.result["action"]["kind"] == "promoted", "an unchanged image was uploaded again");
        promoted.push(push(&["--tag", "v1.0.0"])?.seconds);
        let own = one.result["milliseconds"].as_f64().context("no time")? / 1000.0;
        first.push(one.seconds);
        again.push(two.seconds);
        bench.add_migration()?;
        let three = push(&["--tag", "v1.1.0"])?;
        small.push(three.result["action"]["uploaded"].as_f64().context("no size")? / 1000.0);
        bench.take_migration_back()?;
        ratios.push(own / bench.engines_own(project, &emulator)?);
    }
    let middle = |samples: &[f64]| median(samples).context("nothing was measured");
    let (first, again) = (middle(&first)?, middle(&again)?);
    Ok(vec![
        Figure::new("push-image, the first", first, "s", None),
        Figure::new(
            "push-image of an unchanged image / the first",
            again / first,
            "×",
            Some(Bound::AtMost(0.333)),
        ),
        Figure::new("promotion", middle(&promoted)?, "s", Some(Bound::AtMost(1.0))),
        Figure::new(
            "upload of a release that adds one migration",
            middle(&small)?,
            "kB",
            Some(Bound::AtMost(16.0)),
        ),
        Figure::new(
            "upload and proof / docker push of the same image",
            middle(&ratios)?,
            "×",
            Some(Bound::AtMost(1.1)),
        ),
    ])
}

impl Bench {
    fn prepare(project: &Project) -> anyhow::Result<Self> {
        let directory = project.target().join("xtask");
        let bench = Self {
            clone: directory.join("bench-push"),
            target: directory.join("bench-push-target"),
            xtask: with_ecr(project)?,
        };
        let _ = std::fs::remove_dir_all(&bench.clone);
        let mut git = Command::new("git");
        git.args(["clone", "--quiet", "--local"]).arg(project.root()).arg(&bench.clone);
        process::output(&mut git).context("cannot clone the checkout")?;
        Ok(bench)
    }

    fn run(&self, emulator: Option<&Emulator>, words: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(&self.xtask);
        command
            .args(words)
            .env("CARGO_MANIFEST_DIR", self.clone.join("xtask"))
            .env("CARGO_TARGET_DIR", &self.target)
            .env("IMAGE", IMAGE)
            .env("NO_COLOR", "1");
        if let Some(emulator) = emulator {
            command
                .env("ECR_REGISTRY", emulator.address())
                .env("AWS_ENDPOINT_URL", format!("http://{}", emulator.address()))
                .env("AWS_REGION", "eu-west-1")
                .env("AWS_ACCESS_KEY_ID", "test")
                .env("AWS_SECRET_ACCESS_KEY", "test")
                .env("DOCKER_CONFIG", self.clone.join("target/docker"));
        }
        process::output(&mut command)
    }

    fn push(&self, emulator: &Emulator, words: &[&str]) -> anyhow::Result<Push> {
        let start = Instant::now();
        let printed = self.run(Some(emulator), &[&["push-image", "--json"], words].concat())?;
        let seconds = start.elapsed().as_secs_f64();
        Ok(Push { seconds, result: serde_json::from_str(&printed).context("push-image printed no JSON")? })
    }

    fn git(&self, words: &[&str]) -> anyhow::Result<()> {
        let mut git = Command::new("git");
        git.arg("-C").arg(&self.clone).args(["-c", "user.name=bench", "-c", "user.email=bench@localhost"]);
        process::output(git.args(words)).map(drop)
    }

    fn add_migration(&self) -> anyhow::Result<()> {
        for way in ["up", "down"] {
            let path = self.clone.join(format!("migrations/99990101000000_bench.{way}.sql"));
            std::fs::write(&path, "SELECT 1;\n")
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--message", "Add a migration"])
    }

    fn take_migration_back(&self) -> anyhow::Result<()> {
        self.git(&["reset", "--quiet", "--hard", "HEAD~1"])?;
        self.run(None, &["build-image"]).map(drop)
    }

    /// Seconds of `docker push` of the same image to a registry that knows nothing of it.
    fn engines_own(&self, project: &Project, used: &Emulator) -> anyhow::Result<f64> {
        let emulator = Emulator::start(project)?;
        ensure!(emulator.address() != used.address(), "the same registry twice");
        self.run(Some(&emulator), &["ecr-login"])?;
        let name = format!("{}/{IMAGE}", emulator.address());
        emulator.create_repository(IMAGE)?;
        let tag = |words: &[&str]| process::output(Command::new("docker").args(words)).map(drop);
        tag(&["tag", &format!("{IMAGE}:latest"), &format!("{name}:latest")])?;
        let start = Instant::now();
        let pushed = process::output(
            Command::new("docker")
                .args(["push", "--quiet", &format!("{name}:latest")])
                .env("DOCKER_CONFIG", self.clone.join("target/docker")),
        );
        let seconds = start.elapsed().as_secs_f64();
        tag(&["image", "rm", &format!("{name}:latest")])?;
        pushed.map(|_| seconds)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["image", "rm", IMAGE]).output();
        let _ = std::fs::remove_dir_all(&self.clone);
    }
}

/// The build of this program that has the feature.
fn with_ecr(project: &Project) -> anyhow::Result<PathBuf> {
    let output = cargo::command(project)
        .args([
            "build",
            "--package",
            "xtask",
            "--features",
            "cloud",
            "--message-format=json-render-diagnostics",
        ])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("xtask does not compile with the feature `cloud`; cargo says why above");
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut executables = text.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    });
    executables.next_back().context("cargo did not name the executable it built")
}
