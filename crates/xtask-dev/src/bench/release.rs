//! A release, timed against an emulator of ECR: the first push, the same again, a promotion, one more migration; and
//! the engine's own push of the same image. In a clone, whose compiled binary is kept for the next time.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use super::report::{Bound, Figure, median};
use crate::test::emulator::Emulator;
use workspace::git::git;
use workspace::project::Project;
use workspace::{cargo, process, ui};

const IMAGE: &str = "run-migrations-bench-push";

/// A clone and the program that pushes from it; the clone is gone when dropped.
pub(super) struct Releases {
    project: Project,
    clone: PathBuf,
    target: PathBuf,
    xtask: PathBuf,
}

struct Push {
    seconds: f64,
    result: Value,
}

#[derive(Default)]
struct Samples {
    first: Vec<f64>,
    again: Vec<f64>,
    promotion: Vec<f64>,
    small: Vec<f64>,
    own: Vec<f64>,
    engine: Vec<f64>,
}

impl Releases {
    /// Fails where there is no Docker or no emulator.
    pub(super) fn prepare(project: &Project) -> anyhow::Result<Self> {
        process::output(Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]))
            .context("there is no Docker to push with")?;
        drop(Emulator::start(project)?);
        let directory = project.target().join("xtask");
        let releases = Self {
            project: project.clone(),
            clone: directory.join("bench-push"),
            target: directory.join("bench-push-target"),
            xtask: build_xtask_cloud(project)?,
        };
        let _ = std::fs::remove_dir_all(&releases.clone);
        let mut git = git(project.root());
        git.args(["clone", "--quiet", "--local"]).arg(project.root()).arg(&releases.clone);
        process::output(&mut git).context("cannot clone the checkout")?;
        Ok(releases)
    }

    pub(super) fn measure(self, repetitions: usize) -> anyhow::Result<Vec<Figure>> {
        ui::done("Timing", "releases to an emulator of ECR");
        self.run(None, &["build-image"])?;
        let mut samples = Samples::default();
        for repetition in 0..repetitions {
            // Whoever is first finds the machine colder.
            if repetition % 2 == 0 {
                self.releases(&mut samples)?;
                samples.engine.push(self.engines_own()?);
            } else {
                samples.engine.push(self.engines_own()?);
                self.releases(&mut samples)?;
            }
        }
        figures(&samples)
    }

    /// A first push, the same again, a promotion, and a release that adds a migration, to a registry of their own: the
    /// daemon remembers what it has pushed where.
    fn releases(&self, samples: &mut Samples) -> anyhow::Result<()> {
        let emulator = Emulator::start(&self.project)?;
        let push = |words: &[&str]| self.push(&emulator, words);
        let first = push(&["--create-repository"])?;
        ensure!(first.result["action"]["layersPushed"] == 2, "a first push found layers in the registry");
        samples.first.push(first.seconds);
        samples.own.push(first.result["milliseconds"].as_f64().context("no time")? / 1000.0);
        let again = push(&[])?;
        ensure!(again.result["action"]["kind"] == "promoted", "an unchanged image was uploaded again");
        samples.again.push(again.seconds);
        samples.promotion.push(push(&["--tag", "v1.0.0"])?.seconds);
        self.add_migration()?;
        let small = push(&["--tag", "v1.1.0"])?;
        samples.small.push(small.result["action"]["uploaded"].as_f64().context("no size")? / 1000.0);
        self.take_migration_back()
    }

    fn run(&self, emulator: Option<&Emulator>, words: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(&self.xtask);
        command
            .args(words)
            .current_dir(&self.clone)
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
        let mut git = git(&self.clone);
        git.args(["-c", "user.name=bench", "-c", "user.email=bench@localhost"]);
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
    fn engines_own(&self) -> anyhow::Result<f64> {
        let emulator = Emulator::start(&self.project)?;
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

impl Drop for Releases {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["image", "rm", IMAGE]).output();
        let _ = std::fs::remove_dir_all(&self.clone);
    }
}

fn figures(samples: &Samples) -> anyhow::Result<Vec<Figure>> {
    let middle = |samples: &[f64]| median(samples).context("nothing was measured");
    let (first, again) = (middle(&samples.first)?, middle(&samples.again)?);
    let (own, engine) = (middle(&samples.own)?, middle(&samples.engine)?);
    let bounded = |name: &str, value, unit, bound| Figure::new(name, value, unit, Some(Bound::AtMost(bound)));
    Ok(vec![
        Figure::new("push-image, the first, its image built before", first, "s", None),
        bounded("push-image of an unchanged image / the first", again / first, "×", 0.333),
        bounded("promotion", middle(&samples.promotion)?, "s", 1.0),
        bounded("upload of a release that adds one migration", middle(&samples.small)?, "kB", 16.0),
        Figure::new("docker push of the same image", engine, "s", None),
        bounded("upload and proof / docker push", own / engine, "×", 1.1),
    ])
}

/// The program that has the tasks of ECR.
fn build_xtask_cloud(project: &Project) -> anyhow::Result<PathBuf> {
    let output = cargo::command(project)
        .args(["build", "--package", "xtask-cloud", "--message-format=json-render-diagnostics"])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("xtask-cloud does not compile; cargo says why above");
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut executables = text.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    });
    executables.next_back().context("cargo did not name the executable it built")
}
