//! Around the job: the runtime, signals, panics, and the one translation into an exit code.

use std::cell::Cell;
use std::time::Duration;

use foreign_text::lines;
use tokio::time::{Instant, sleep, sleep_until};

use crate::cli::Args;
use crate::config::{
    self, Command, Config, Environment, LogSettings, Output, port_is_service_link, without_effect,
};
use crate::database;
use crate::error::{Aftermath, Error, ExitCode};
use crate::interrupt::{Interrupt, Signal};
use crate::job::{self, Serving};
use crate::report::{self, Printer, Report, Reporter};
use crate::row_values::RowValues;
use crate::{log, verdict};

/// How long a cancelled statement gets to roll back before the connection is simply closed.
const ROLLBACK_GRACE: Duration = Duration::from_secs(15);

/// A second signal right behind the first is a wish to leave at once; it must not depend on how fast a server is.
const LEAVE_AT_ONCE: Duration = Duration::from_millis(100);

/// Makes a panic exit with the code of a defect, and leaves a verdict: 101 would say nothing to
/// Kubernetes.
pub fn report_panics(environment: &Environment) {
    let default = std::panic::take_hook();
    let environment = environment.clone();
    std::panic::set_hook(Box::new(move |panic| {
        if database::is_believing_a_server() {
            tracing::debug!("the server's answer makes no sense: {panic}");
            return;
        }
        let text = panic.to_string();
        // What a panic quotes may be anybody's; with nothing to escape the standard report says more.
        if lines(&text) == text {
            default(panic);
        } else {
            report::print_error(&Error::Defect(text.clone()));
        }
        let defect = Err(Error::Defect(text));
        leave_verdict(&environment, &Report::default(), &defect);
        #[expect(clippy::exit, reason = "the process is beyond returning from main")]
        std::process::exit(ExitCode::Defect as i32);
    }));
}

/// What clap has to say: help goes to stdout and is no error.
pub fn usage(error: &clap::Error, environment: &Environment) -> ExitCode {
    let text = error.to_string();
    if lines(&text) == text {
        // A reader that has gone away has seen enough.
        let _ = error.print();
    } else {
        report::print_lines(&text);
    }
    if !error.use_stderr() {
        return ExitCode::Done;
    }
    let first = text.lines().next().unwrap_or_default();
    let end = Err(Error::Usage(first.trim_start_matches("error: ").to_owned()));
    // The code says enough where nobody reads it.
    let _ = Printer::new(output(environment)).document(&Report::default(), &end);
    leave_verdict(environment, &Report::default(), &end);
    ExitCode::Usage
}

fn leave_verdict(environment: &Environment, report: &Report, end: &Result<(), Error>) {
    let message = end.as_ref().err().map(ToString::to_string).unwrap_or_default();
    verdict::leave(environment, &report.verdict(end), &report.verdict_rows(), &message);
}

/// OUTPUT, read on its own, so that even a wrong configuration is reported as it was asked for.
fn output(environment: &Environment) -> Output {
    let wants_json =
        environment.text("OUTPUT").is_some_and(|output| output.trim().eq_ignore_ascii_case("json"));
    if wants_json { Output::Json } else { Output::Text }
}

/// Does everything, and says how it ended.
pub fn run(args: &Args, environment: &Environment) -> ExitCode {
    let format = log::start(&LogSettings::of(environment));
    let mut reporter = Reporter::new(Printer::new(output(environment)));
    let end = config::read(args, environment).and_then(|config| {
        if port_is_service_link(environment) {
            reporter.warn("POSTGRES_PORT is a Kubernetes service link; took its port".to_owned());
        }
        if let (Command::Online(..), Some(warning)) = (&config.command, without_effect(environment)) {
            reporter.warn(warning);
        }
        in_runtime(&config, &mut reporter)
    });
    let end = end.map_err(|mut error| {
        if RowValues::of(environment) == RowValues::Hide {
            error.hide_row_values();
        }
        error
    });
    let is_script = args.sql.is_some() && end.is_ok();
    if !is_script {
        let written = reporter.printer.document(&reporter.report, &end);
        reporter.written(written);
    }
    let end = end.and_then(|()| reporter.delivered());
    match (&end, format) {
        (Ok(()), _) => {}
        (Err(error), log::Format::Text) => report::print_error(error),
        (Err(error), log::Format::Json) => {
            tracing::error!(exit_code = error.exit_code() as u8, "{error}");
        }
    }
    leave_verdict(environment, &reporter.report, &end);
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
    let serving: Serving = Cell::new(None);
    let observed = interrupt.clone();
    let mut job = Box::pin(job::run(config, &observed, reporter, &serving));
    let first = tokio::select! {
        end = &mut job => return end,
        signal = interrupt.next() => signal,
    };
    tracing::warn!("{first}; rolling back");
    let deadline = Instant::now() + ROLLBACK_GRACE;
    let cancelling = async {
        sleep(LEAVE_AT_ONCE).await;
        if let (Command::Online(server, _), Some(backend)) = (&config.command, serving.take())
            && let Err(error) = database::cancel(server, &backend).await
        {
            tracing::warn!("the statement could not be cancelled: {error}");
        }
        std::future::pending::<()>().await;
    };
    let ended = tokio::select! {
        end = &mut job => Ok(end),
        () = cancelling => Err(first),
        () = sleep_until(deadline) => Err(first),
        second = interrupt.next() => Err(second),
    };
    drop(job);
    match ended {
        Ok(end) if reporter.in_doubt => end,
        Ok(end) => cancelled(end, first, reporter),
        Err(signal) => Err(unanswered(signal, reporter)),
    }
}

/// The connection was closed before the server had said what it made of the signal.
fn unanswered(signal: Signal, reporter: &Reporter) -> Error {
    let closed = "the connection was closed without an answer";
    if reporter.in_doubt {
        let state = format!("{closed} to a commit, and what became of it is not known; run again to go on");
        return Error::Interrupted { signal, state, left: Aftermath::Unknown };
    }
    Error::interrupted(signal, format!("{closed}; nothing was being committed; {}", reporter.state()))
}

/// A query of ours that was cancelled because of the signal is no failure of the server's, and one
/// that found no answer had no more time.
fn cancelled(end: Result<(), Error>, signal: Signal, reporter: &Reporter) -> Result<(), Error> {
    match end {
        // query_canceled
        Err(Error::Database { source, state, .. })
            if source.sqlstate() == Some("57014") || source.is_outage() =>
        {
            let state = if state.is_empty() { reporter.state() } else { state };
            Err(Error::interrupted(signal, state.trim_start_matches("; ")))
        }
        end => end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::{DatabaseError, ServerError};
    use crate::migration::Version;
    use crate::revision::Position;

    /// The run lock was being released, all was recorded, and "nothing was changed".
    #[test]
    fn a_cancelled_query_does_not_deny_what_was_recorded() {
        let cancelled_by = |signal, reporter: &Reporter| {
            let error = ServerError {
                is_fatal: false,
                sqlstate: "57014".to_owned(),
                message: "".into(),
                detail: None,
                hint: None,
                context: None,
                position: None,
                internal: None,
                has_hidden_values: false,
            };
            let end = Err(Error::database("releasing the run lock", DatabaseError::Server(Box::new(error))));
            cancelled(end, signal, reporter).unwrap_err().to_string()
        };
        let mut reporter = Reporter::new(Printer::new(Output::Json));
        assert_eq!(cancelled_by(Signal::Terminate, &reporter), "terminated by SIGTERM; nothing was changed");
        reporter.recorded(Position::At(Version(2)));
        assert_eq!(
            cancelled_by(Signal::Interrupt, &reporter),
            "interrupted by SIGINT; it was recorded that the database is at 2"
        );
    }
}
