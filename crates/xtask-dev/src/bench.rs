//! `cargo xtask bench`: the job beside psql, sqlx-cli and Alembic, and every figure beside its target.

mod artifact;
mod clone;
mod generated;
mod measure;
mod release;
mod report;
mod round_trips;
mod runs;
mod tag;
mod tools;

use std::os::unix::fs::PermissionsExt;
use xtask::cli::bench::Arguments;

use anyhow::{Context, bail};

use super::test::server::TestServer;
use generated::Generated;
use image::binary::{self, Compiler};
use image::platform::Platform;
use report::Report;
use runs::Bench;
use tools::{Programs, Tool};
use workspace::process::Signals;
use workspace::project::Project;
use workspace::ui;

pub(crate) async fn run(arguments: &Arguments, project: &Project) -> anyhow::Result<()> {
    if arguments.push {
        let (own, repetitions) = (project.clone(), if arguments.quick { 1 } else { 5 });
        let work =
            tokio::task::spawn_blocking(move || release::Releases::prepare(&own)?.measure(repetitions));
        let figures = work.await.context("a thread of xtask panicked")??;
        return print(&Report { figures, ..Report::default() }, arguments.json);
    }
    let platform = Platform::of_this_machine()?;
    let target = match Compiler::choose(project, platform) {
        Compiler::Host { target } => target,
        Compiler::Docker { why } => bail!("the job's image binary can't be compiled here: {why}"),
    };
    let job = binary::compile(project, &target).await?;
    let (quick, fresh_clone, own) = (arguments.quick, arguments.fresh_clone, project.clone());
    // From here on there is a server to stop, also when we are interrupted.
    let mut signals = Signals::listen()?;
    let mut work = tokio::task::spawn_blocking(move || measure_all(&own, &job, &target, quick, fresh_clone));
    let ended = tokio::select! {
        ended = &mut work => ended,
        _ = signals.next() => {
            measure::interrupt();
            let _ = work.await;
            bail!("interrupted; the server of the measurement is stopped and removed");
        }
    };
    let report = ended.context("a thread of xtask panicked")??;
    print(&report, arguments.json)
}

fn print(report: &Report, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        ui::document(&serde_json::to_string_pretty(report).context("the report can't be written")?);
    } else {
        ui::result(&report.text());
    }
    Ok(())
}

fn measure_all(
    project: &Project,
    job: &[u8],
    target: &str,
    quick: bool,
    fresh_clone: bool,
) -> anyhow::Result<Report> {
    let settings = [
        // As installed: a commit is on disk when it is acknowledged.
        ("fsync", "on"),
        ("full_page_writes", "on"),
        // 1000 migrations in one transaction hold that many locks.
        ("max_locks_per_transaction", "1024"),
        // Would wake up in the middle of a measurement.
        ("autovacuum", "off"),
    ];
    let server = TestServer::start(project, &settings)?;
    let directory = server.directory().join("bench");
    std::fs::create_dir_all(&directory).context("cannot make a directory for the measurements")?;
    let programs = Programs { job: directory.join("run-migrations"), psql: server.program("psql") };
    std::fs::write(&programs.job, job).context("cannot copy the job")?;
    std::fs::set_permissions(&programs.job, std::fs::Permissions::from_mode(0o755))
        .context("cannot make the job executable")?;
    let mut report = Report::default();
    let (tools, absent) = Tool::ALL.into_iter().partition::<Vec<_>, _>(|tool| programs.of(*tool).is_some());
    report.absent =
        absent.iter().map(|tool| format!("{} is not on PATH ({})", tool.name(), tool.how_to_get())).collect();
    let bench = Bench {
        server: server.address(),
        programs,
        tools,
        repetitions: if quick { |_| 3 } else { |count| if count >= 1000 { 5 } else { 11 } },
    };
    let generate = |count: usize| Generated::write(&directory.join(count.to_string()), count);
    let sizes: &[usize] = if quick { &[10, 100] } else { &[10, 100, 1000] };
    for &size in sizes {
        let _waiting = ui::waiting("Measuring", format!("{size} migrations"));
        bench.times(&generate(size)?, &mut report)?;
    }
    let _waiting = ui::waiting("Measuring", "round trips, memory, planning");
    bench.round_trips(&generate(10)?, &generate(110)?, &mut report)?;
    bench.tls(&generate(100)?, &mut report)?;
    bench.memory(&generate(1000)?, &mut report)?;
    report.figures.extend(artifact::sizes(project, job)?);
    report.figures.extend(artifact::planning(project, target)?);
    match release::Releases::prepare(project) {
        Ok(releases) => report.figures.extend(releases.measure(if quick { 1 } else { 5 })?),
        Err(error) => report.absent.push(format!("releases were not timed: {error:#}")),
    }
    match tag::measure(project, &server, if quick { 1 } else { 5 }) {
        Ok(figure) => report.figures.push(figure),
        Err(error) => report.absent.push(format!("a release in GitHub Actions was not timed: {error:#}")),
    }
    if fresh_clone {
        report.figures.extend(clone::measure(project)?);
    } else {
        report.absent.push("a fresh clone was not timed (--fresh-clone)".to_owned());
    }
    report.derive();
    Ok(report)
}
