//! Around the job: the runtime, signals, panics, and the one translation into an exit code.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use crate::cli::Args;
use crate::config::{self, Command, Config, Environment, LogSettings, Output, port_is_service_link};
use crate::database;
use crate::error::{Error, ExitCode};
use crate::interrupt::Interrupt;
use crate::job::{self, Pid};
use crate::report::{self, Printer, Reporter};
use crate::{log, verdict};

/// How long a cancelled statement gets to roll back before the connection is simply closed.
const ROLLBACK_GRACE: Duration = Duration::from_secs(15);

/// Makes a panic exit with the code of a defect: 101 would say nothing to Kubernetes.
pub fn report_panics() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        default(panic);
        #[expect(clippy::exit, reason = "the process is beyond returning from main")]
        std::process::exit(ExitCode::Defect as i32);
    }));
}

/// What clap has to say: help goes to stdout and is no error.
pub fn usage(error: &clap::Error) -> std::process::ExitCode {
    // A reader that has gone away has seen enough.
    let _ = error.print();
    let code = if error.use_stderr() { ExitCode::Usage } else { ExitCode::Done };
    code.into()
}

/// Does everything, and says how it ended.
pub fn run(args: &Args, environment: &Environment) -> ExitCode {
    let format = log::start(&LogSettings::of(environment));
    let wants_json =
        environment.text("OUTPUT").is_some_and(|output| output.trim().eq_ignore_ascii_case("json"));
    let output = if wants_json { Output::Json } else { Output::Text };
    let mut reporter = Reporter::new(Printer::new(output));
    let end = config::read(args, environment).and_then(|config| {
        if port_is_service_link(environment) {
            reporter.warn("POSTGRES_PORT is a Kubernetes service link; took its port".to_owned());
        }
        in_runtime(&config, &mut reporter)
    });
    match (&end, format) {
        (Ok(()), _) => {}
        (Err(error), log::Format::Text) => report::print_error(error),
        (Err(error), log::Format::Json) => {
            tracing::error!(exit_code = error.exit_code() as u8, "{error}");
        }
    }
    let is_script = args.sql.is_some() && end.is_ok();
    if !is_script {
        reporter.printer.document(&reporter.report, &end);
    }
    let message = end.as_ref().err().map(ToString::to_string).unwrap_or_default();
    verdict::leave(environment, &reporter.report.verdict(&end), &message);
    report::exit_code(&end)
}

fn in_runtime(config: &Config, reporter: &mut Reporter) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::Defect(format!("no runtime: {error}")))?;
    let end = runtime.block_on(async {
        let interrupt = Interrupt::listen().map_err(|error| Error::Defect(format!("no signals: {error}")))?;
        until_done_or_interrupted(config, interrupt, reporter).await
    });
    // A name that is still being looked up must not hold up the exit.
    runtime.shutdown_background();
    end
}

/// Lets the job run. A first signal cancels what the server is doing, so that the job rolls back
/// and says so; a second one, or a server that doesn't answer, ends it at once.
async fn until_done_or_interrupted(
    config: &Config,
    mut interrupt: Interrupt,
    reporter: &mut Reporter,
) -> Result<(), Error> {
    let pid: Pid = Cell::new(None);
    let observed = interrupt.clone();
    let job = job::run(config, &observed, reporter, &pid);
    tokio::pin!(job);
    let first = tokio::select! {
        end = &mut job => return end,
        signal = interrupt.next() => signal,
    };
    tracing::warn!("{first}; rolling back");
    let deadline = Instant::now() + ROLLBACK_GRACE;
    let cancelling = async {
        if let (Command::Online(server, _), Some(pid)) = (&config.command, pid.get()) {
            match timeout(database::CANCEL_GRACE, database::cancel(server, pid)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!("the statement could not be cancelled: {error}"),
                Err(_) => {
                    tracing::warn!("the statement could not be cancelled: no second connection in time");
                }
            }
        }
        std::future::pending::<()>().await;
    };
    let signal = tokio::select! {
        end = &mut job => return end,
        () = cancelling => first,
        () = sleep_until(deadline) => first,
        second = interrupt.next() => second,
    };
    Err(Error::Interrupted {
        signal,
        state: "the connection was closed without an answer; the server rolls back what was not committed"
            .to_owned(),
    })
}
