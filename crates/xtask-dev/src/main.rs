//! The tasks of `cargo xtask` that only CI and developers run: lint, tests, the campaign of faults, measurements. It
//! parses the same command line, and runs every other task as `xtask` does.

mod bench;
mod faults;
mod lint;
mod relay;
mod test;

use std::process::ExitCode;

use workspace::project::Project;
use xtask::cli::Task;

fn main() -> ExitCode {
    xtask::main(run)
}

async fn run(task: Task, project: Project) -> anyhow::Result<ExitCode> {
    match task {
        Task::Lint(arguments) => lint::run(&arguments, &project)?,
        Task::Test(arguments) => return test::run(arguments, &project).await,
        Task::Bench(arguments) => bench::run(&arguments, &project).await?,
        other => return xtask::tasks::run(other, project).await,
    }
    Ok(ExitCode::SUCCESS)
}
