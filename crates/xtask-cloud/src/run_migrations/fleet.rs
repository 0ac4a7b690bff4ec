//! `cargo xtask run-migrations --on kubernetes --fleet databases.yaml`: the same run for many databases.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::Value;

use super::terminal::{exit_code, show};
use cluster::cluster::{Cluster, Validity};
use cluster::fleet::databases::{self, Database};
use cluster::fleet::drive::{self, Fleet, Left};
use cluster::fleet::schedule::{Rules, Schedule};
use cluster::fleet::status::{self, DatabaseStatus};
use cluster::manifest::{Template, Wanted};
use settings::kubernetes::KubernetesSettings;
use workspace::process::Signals;
use workspace::ui;
use xtask::tasks::run_migrations::{Arguments, DryRun};

pub(crate) fn read(file: &Path) -> anyhow::Result<Vec<Database>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    databases::parse(&text, &file.display().to_string())
}

pub(crate) async fn run(
    arguments: &Arguments,
    databases: &[Database],
    job: &Value,
    settings: KubernetesSettings,
    wanted: Wanted<'_>,
    namespace: Option<String>,
) -> anyhow::Result<ExitCode> {
    let file = arguments.fleet.fleet.as_deref().and_then(Path::file_stem);
    let name = file.unwrap_or_default().to_string_lossy();
    if arguments.dry_run == Some(DryRun::Client) {
        let namespace = match namespace {
            Some(namespace) => namespace,
            None => Cluster::namespace_of(settings.context.as_deref()).await?,
        };
        let template = Template { job, namespace: &namespace, wanted, fleet: &name };
        return print(&template, databases);
    }
    let cluster = Cluster::connect(settings.context.as_deref(), namespace.as_deref()).await?;
    let template = Template { job, namespace: &cluster.namespace, wanted, fleet: &name };
    if arguments.dry_run == Some(DryRun::Server) {
        validate(&cluster, &template, databases).await?;
        ui::note("Would run", format!("{} Jobs; the API server accepts them", databases.len()));
        return print(&template, databases);
    }
    let jobs: Vec<_> = databases
        .iter()
        .map(|database| Ok(template.manifest(database)?.name))
        .collect::<anyhow::Result<_>>()?;
    let place = format!("namespace {} of {}", cluster.namespace, cluster.name);
    if wanted.command == "downgrade" && !arguments.yes {
        ui::confirm(&format!("run {} on {} databases in {place}", wanted.words.join(" "), databases.len()))?;
    }
    let mut signals = Signals::listen()?;
    let flags = &arguments.fleet;
    let rules = Rules { canary: flags.canary, parallel: flags.parallel, max_failed: flags.max_failed };
    let fleet = Fleet {
        cluster: &cluster,
        template: &template,
        databases,
        jobs: &jobs,
        patience: settings.start_timeout,
    };
    let end = drive::drive(fleet, Schedule::new(databases.len(), rules), &mut signals).await?;
    let names = databases.iter().map(|database| database.name.as_str());
    let rows: Vec<_> = names.zip(&end.all).collect();
    if flags.json {
        let rows: Vec<_> =
            rows.iter().zip(&jobs).map(|((name, status), job)| (*name, *status, job.as_str())).collect();
        ui::document(&status::report(&rows).to_string());
    } else {
        ui::table(&status::table(&rows));
    }
    if let Some(stopped) = end.schedule.stopped() {
        ui::warning(format!("{}; once that is fixed, the same command continues", status::explain(stopped)));
    }
    let Some(why) = end.left else { return Ok(ExitCode::from(status::exit_code(&end.all))) };
    let is_running = |(_, status): &(_, &DatabaseStatus)| **status == DatabaseStatus::Running;
    let running: Vec<_> = jobs.iter().zip(&end.all).filter(is_running).map(|(job, _)| job.as_str()).collect();
    ui::note("Detached", "what runs goes on without us, what waits is not started");
    ui::note("to go on", "the same command again");
    if !running.is_empty() {
        let (jobs, namespace) = (running.join(" "), &cluster.namespace);
        ui::note("to stop", format!("kubectl delete jobs {jobs} --namespace {namespace}"));
    }
    match why {
        Left::Asked(signal) => Ok(exit_code(signal)),
        Left::Lost(error) => Err(error).context("gave up following"),
    }
}

/// Names each database whose Job is refused.
async fn validate(cluster: &Cluster, template: &Template<'_>, databases: &[Database]) -> anyhow::Result<()> {
    let mut refused = Vec::new();
    for database in databases {
        if let Validity::Refused(why) = cluster.validate(&template.manifest(database)?).await? {
            refused.push(format!("{}: {why:#}", database.name));
        }
    }
    if !refused.is_empty() {
        bail!(
            "the API server refuses {} of {} Jobs; none was made\n  {}",
            refused.len(),
            databases.len(),
            refused.join("\n  ")
        );
    }
    Ok(())
}

fn print(template: &Template<'_>, databases: &[Database]) -> anyhow::Result<ExitCode> {
    for database in databases {
        ui::result("---");
        show(&template.manifest(database)?)?;
    }
    Ok(ExitCode::SUCCESS)
}
