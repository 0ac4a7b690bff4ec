//! `cargo xtask run-migrations --on kubernetes`: a Job from exactly this image, followed to its end.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use foreign_text::one_line;

use super::fleet;
use super::reviewed;
use super::terminal::{exit_code, show};
use cluster::cluster::{Cluster, Start, Validity};
use cluster::follow::{self, FollowEnd, Log};
use cluster::manifest::{self, Manifest, Wanted};
use cluster::outcome::Outcome;
use cluster::reference::Reference;
use cluster::table::table;
use migration_core::Command;
use settings::Settings;
use verdict::{Record, RunEnd, Verdict};
use workspace::kubectl;
use workspace::process::Signals;
use workspace::project::Project;
use workspace::{github, ui};
use xtask::tasks::run_migrations::{Arguments, DryRun, job_arguments};

pub(crate) async fn run(arguments: &Arguments, project: &Project) -> anyhow::Result<ExitCode> {
    let mut mistakes = arguments.misplaced();
    let words = job_arguments::complete(arguments.job.clone());
    let settings = Settings::gather_kubernetes(&arguments.kubernetes, project, &mut mistakes)?;
    let image = mistakes.found("--image", image(arguments.image.typed()));
    let asked = mistakes.found("COMMAND", job_arguments::asked(&words));
    let databases = arguments.fleet.fleet.as_ref().map(|file| mistakes.found("--fleet", fleet::read(file)));
    let (settings, (image, asked)) = mistakes.or(settings.zip(image.zip(asked)))?;
    if github::is_running() {
        reviewed::image(&image, project).await?;
        reviewed::manifests(&settings.manifests, project)?;
    }
    let wanted = Wanted {
        image: &image,
        command: asked.command.name(),
        revision: asked.revision.as_deref(),
        words: &words,
    };
    let template = manifest::only_job(&rendered(&project.root().join(&settings.manifests))?)
        .with_context(|| format!("{} can't be run", settings.manifests.display()))?;
    let namespace =
        settings.namespace.as_deref().or_else(|| manifest::namespace(&template)).map(str::to_owned);
    if let Some(databases) = databases.flatten() {
        return fleet::run(arguments, &databases, &template, settings, wanted, namespace).await;
    }
    if arguments.dry_run == Some(DryRun::Client) {
        let namespace = match namespace {
            Some(namespace) => namespace,
            None => Cluster::namespace_of(settings.context.as_deref()).await?,
        };
        show(&manifest::prepare(template, &namespace, wanted)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let cluster = Cluster::connect(settings.context.as_deref(), namespace.as_deref()).await?;
    let manifest = manifest::prepare(template, &cluster.namespace, wanted)?;
    if arguments.dry_run == Some(DryRun::Server) {
        if let Validity::Refused(why) = cluster.validate(&manifest).await? {
            return Err(why);
        }
        ui::note("Would run", format!("{} on {}; the API server accepts it", manifest.name, cluster.name));
        show(&manifest)?;
        return Ok(ExitCode::SUCCESS);
    }
    if asked.command == Command::Downgrade && !arguments.yes {
        ui::confirm(&format!(
            "run {} in namespace {} of {}",
            words.join(" "),
            cluster.namespace,
            cluster.name
        ))?;
    }
    let keep = |record: &Record| keep(arguments.verdict.as_deref(), record);
    keep(&Record::of(RunEnd::NotStarted))?;
    let mut signals = Signals::listen()?;
    let starting = ui::waiting("Starting", &manifest.name);
    let started = tokio::select! {
        started = cluster.start(&manifest) => Ok(started?),
        signal = signals.next() => Err(signal),
    };
    drop(starting);
    let (job, start) = match started {
        Ok(started) => started,
        Err(signal) => {
            ui::warning("interrupted while the Job was asked for: it may have been made");
            left(&manifest, &cluster);
            keep(&Record::of(RunEnd::Left))?;
            return Ok(exit_code(signal));
        }
    };
    // Whatever ends this program before the Job.
    keep(&Record::of(RunEnd::Left))?;
    let place = format!("{} in namespace {} of {}", manifest.name, cluster.namespace, cluster.name);
    match start {
        Start::Created => ui::done("Started", &place),
        Start::Replaced => ui::done("Started", format!("{place}, in the place of a finished one")),
        Start::Attached => ui::done("Attached", format!("to {place}, which is under way")),
    }
    if arguments.detach {
        left(&manifest, &cluster);
        ui::result(&manifest.name);
        return Ok(ExitCode::SUCCESS);
    }
    let end = follow::follow(&cluster, job.clone(), settings.start_timeout, &mut signals).await;
    if end.is_err() {
        left(&manifest, &cluster);
    }
    match end.with_context(|| format!("cannot follow {}", manifest.name))? {
        FollowEnd::Finished { outcome, log } => {
            let code = report(&outcome, log);
            keep(&record(&outcome))?;
            Ok(code)
        }
        FollowEnd::Stuck(trouble) => {
            let then = if start == Start::Attached {
                format!("the Job {} is left as it is, for others started it", manifest.name)
            } else {
                // Else it would start by itself whenever somebody mends the cause.
                cluster.delete(&job).await.context(trouble.to_string())?;
                keep(&Record { failure: Some(trouble.to_string()), ..Record::of(RunEnd::Stopped) })?;
                format!("the Job {} was deleted, so that it does not start by itself later", manifest.name)
            };
            bail!("{trouble} ({then})")
        }
        FollowEnd::Deleted(last) => {
            let deleted = format!(
                "the Job {} was deleted by somebody else while it was followed (last seen: {}); the job rolls back what is \
                 not committed, and `current` says where the database is",
                manifest.name,
                one_line(&last)
            );
            keep(&Record { failure: Some(deleted.clone()), ..Record::of(RunEnd::Stopped) })?;
            bail!(deleted)
        }
        FollowEnd::Left(signal) => {
            left(&manifest, &cluster);
            Ok(exit_code(signal))
        }
    }
}

/// For whoever has to know and was not there.
fn keep(file: Option<&Path>, record: &Record) -> anyhow::Result<()> {
    let Some(file) = file else { return Ok(()) };
    std::fs::write(file, record.json()?).with_context(|| format!("cannot write {}", file.display()))
}

/// The container's exit code is Kubernetes' own word; what the job left of a run that ended otherwise is none.
fn record(outcome: &Outcome) -> Record {
    let is_of_this_end =
        |verdict: &&Verdict| verdict.exit_code.map(verdict::ExitCode::code) == Some(outcome.exit_code);
    Record {
        end: RunEnd::Finished,
        failure: outcome.failure.clone(),
        verdict: outcome.verdict.as_ref().filter(is_of_this_end).cloned().unwrap_or_default(),
    }
}

fn image(typed: Option<&str>) -> anyhow::Result<Reference> {
    Reference::parse(typed.context(
        "which image? registry/repository@sha256:…, as `cargo xtask push-image` prints it, or the name of one that was \
         loaded into the nodes",
    )?)
}

/// A kustomization's documents, or those of a file.
fn rendered(path: &Path) -> anyhow::Result<String> {
    if path.is_file() {
        return std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()));
    }
    kubectl::kustomize(path)
}

/// How to come back to a run that goes on, and how to end it.
fn left(manifest: &Manifest, cluster: &Cluster) {
    ui::note("Detached", "the Job goes on without us");
    ui::note("to attach", "the same command again");
    ui::note("to stop", format!("kubectl delete job {} --namespace {}", manifest.name, cluster.namespace));
}

/// The job has printed its own report, unless its log did not reach us.
fn report(outcome: &Outcome, log: Log) -> ExitCode {
    if let (Some(verdict), Log::Torn) = (&outcome.verdict, log) {
        ui::table(&table(verdict));
    }
    if let Some(failure) = &outcome.failure {
        ui::error(&anyhow::anyhow!("{failure}"));
    }
    ExitCode::from(outcome.exit_code)
}
