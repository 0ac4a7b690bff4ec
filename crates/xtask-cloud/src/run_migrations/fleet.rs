//! `cargo xtask run-migrations --on kubernetes --fleet databases.yaml`: the same run for many databases.

use std::path::PathBuf;

#[cfg(feature = "cloud")]
pub(super) use with_cluster::{read, run};

/// Which databases, and how many at once.
#[derive(Debug, Default, clap::Args)]
pub(super) struct FleetFlags {
    /// In a cluster: a Job for each database of this file, a list of name, host, database, secretRef and, where it
    /// differs, port. The exit code is that of the gravest failure: 6, 70, 5, 7, 8, 2, 9, others, 1, 4, 3
    #[arg(long, value_name = "FILE", requires = "on", conflicts_with = "detach")]
    pub(super) fleet: Option<PathBuf>,
    /// --fleet: the first so many go ahead, the rest only when all of them have succeeded
    #[arg(long, value_name = "N", default_value_t = 0, requires = "fleet")]
    canary: usize,
    /// --fleet: how many run at once
    #[arg(long, value_name = "N", default_value_t = 10, requires = "fleet", value_parser = at_least_one)]
    parallel: usize,
    /// --fleet: stop starting new Jobs after this many failures
    #[arg(long, value_name = "N", default_value_t = 1, requires = "fleet", value_parser = at_least_one)]
    max_failed: usize,
    /// --fleet: print how the databases stand as JSON
    #[arg(long, requires = "fleet")]
    json: bool,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "use a number from 1".to_owned())
}

#[cfg(feature = "cloud")]
mod with_cluster {
    use std::path::Path;
    use std::process::ExitCode;

    use anyhow::{Context, bail};
    use serde_json::Value;

    use crate::kubernetes::cluster::{Cluster, Validity};
    use crate::kubernetes::fleet::databases::{self, Database};
    use crate::kubernetes::fleet::drive::{self, Fleet, Left};
    use crate::kubernetes::fleet::schedule::{Rules, Schedule};
    use crate::kubernetes::fleet::status::{self, Status};
    use crate::kubernetes::manifest::{Template, Wanted};
    use crate::process::Signals;
    use crate::settings::kubernetes::KubernetesSettings;
    use crate::tasks::run_migrations::kubernetes::{confirm, exit_code, show};
    use crate::tasks::run_migrations::{Arguments, DryRun};
    use crate::ui;

    /// The databases of the file.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Vec<Database>> {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
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
            confirm(&format!("run {} on {} databases in {place}", wanted.words.join(" "), databases.len()))?;
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
            ui::warning(format!("{}; mended, the same command goes on", status::explain(stopped)));
        }
        let Some(why) = end.left else { return Ok(ExitCode::from(status::exit_code(&end.all))) };
        let is_running = |(_, status): &(_, &Status)| **status == Status::Running;
        let running: Vec<_> =
            jobs.iter().zip(&end.all).filter(is_running).map(|(job, _)| job.as_str()).collect();
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
    async fn validate(
        cluster: &Cluster,
        template: &Template<'_>,
        databases: &[Database],
    ) -> anyhow::Result<()> {
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
}
