//! Around the engine: the runtime, signals, panics, and the end.

use std::cell::Cell;
use std::time::Duration;

use foreign_text::lines;
use migration_core::verdict::Verdict;
use migration_core::{ExitCode, History, Report};
use tokio::time::{Instant, sleep, sleep_until};

use crate::cli::config::LogFormat;
use crate::cli::config::libpq::without_effect;
use crate::cli::config::read::{log_settings, output, read};
use crate::cli::config::row_values::row_values;
use crate::cli::config::server::port_is_service_link;
use crate::cli::exit::exit_code;
use crate::cli::print::{Printer, log_error, print_error, print_lines};
use crate::cli::reporter::Reporter;
use crate::cli::signals::listen;
use crate::cli::{Action, Args, Config, Environment, Error, args, log, termination_message};
use crate::engine::{self, Aftermath, Context, Error as EngineError, Task, Tracker, offline};
use crate::postgres::connect::cancel;
use crate::postgres::query::is_believing_a_server;
use crate::postgres::{Error as PostgresError, RowValues, Server, Signal};

/// How long a cancelled statement gets to roll back before the connection is simply closed.
const ROLLBACK_GRACE: Duration = Duration::from_secs(15);

/// A second signal right behind the first is a wish to leave at once; it must not depend on how fast a server is.
const LEAVE_AT_ONCE: Duration = Duration::from_millis(100);

/// Makes a panic exit with the code of a defect, and leaves a verdict: 101 would say nothing to
/// Kubernetes.
pub(crate) fn report_panics(environment: &Environment) {
    let default = std::panic::take_hook();
    let environment = environment.clone();
    std::panic::set_hook(Box::new(move |panic| {
        if is_believing_a_server() {
            tracing::debug!("the server's answer makes no sense: {panic}");
            return;
        }
        let text = panic.to_string();
        // What a panic quotes may be anybody's; with nothing to escape the standard report says more.
        if lines(&text) == text {
            default(panic);
        } else {
            print_error(&Error::Defect(text.clone()));
        }
        let defect = Err(Error::Defect(text));
        leave_verdict(&environment, &Report::default(), &defect);
        #[expect(clippy::exit, reason = "the process is beyond returning from main")]
        std::process::exit(ExitCode::Defect.code().into());
    }));
}

/// What clap has to say: help goes to stdout and is no error.
pub(crate) fn usage(error: &clap::Error, environment: &Environment) -> ExitCode {
    let settings = log_settings(environment);
    let text = error.to_string();
    // What was wrong, and the tip.
    let told = text.lines().take_while(|line| !line.starts_with("Usage: ")).map(str::trim);
    let told: Vec<_> = told.filter(|line| !line.is_empty() && !line.starts_with("For more")).collect();
    let end = Error::Usage(told.join("; ").trim_start_matches("error: ").to_owned());
    if error.use_stderr() && settings.format == LogFormat::Json {
        log::start(&settings);
        log_error(&end, ExitCode::Usage);
    } else if lines(&text) == text {
        // A reader that has gone away has seen enough.
        let _ = error.print();
    } else {
        print_lines(&text);
    }
    if !error.use_stderr() {
        return ExitCode::Done;
    }
    // The code says enough where nobody reads it.
    let end = Err(end);
    let _ = Printer::new(output(environment)).document(&Report::default(), &end);
    leave_verdict(environment, &Report::default(), &end);
    ExitCode::Usage
}

fn leave_verdict(environment: &Environment, report: &Report, end: &Result<(), Error>) {
    let message = end.as_ref().err().map(ToString::to_string).unwrap_or_default();
    termination_message::leave(environment, Verdict::of(report, exit_code(end), message));
}

pub(crate) fn run(args: &Args, environment: &Environment) -> ExitCode {
    let settings = log_settings(environment);
    log::start(&settings);
    let mut reporter = Reporter::new(Printer::new(output(environment)), settings.format);
    let mut tracker = Tracker::new(&mut reporter);
    let config = read(args, environment).map_err(Error::from);
    let end = config.and_then(|config| carry_out(&config, environment, &mut tracker));
    let report = tracker.report;
    let end = end.map(|script| script.iter().for_each(|script| reporter.script(script)));
    let end = end.map_err(|mut error| {
        if let (Error::Engine(error), RowValues::Hide) = (&mut error, row_values(environment)) {
            error.hide_row_values();
        }
        error
    });
    let is_script = args.has("--sql") && end.is_ok();
    if !is_script {
        reporter.document(&report, &end);
    }
    let end = end.and_then(|()| reporter.delivered(&report));
    let code = exit_code(&end);
    let is_bare = args.command.is_none()
        && !["COMMAND", "POSTGRES_HOST", "DATABASE_URL"].iter().any(|name| environment.has(name));
    if is_bare && settings.format == LogFormat::Text {
        print_lines(&args::help(environment));
    }
    match (&end, settings.format) {
        (Ok(()), _) => {}
        (Err(error), LogFormat::Text) => print_error(error),
        (Err(error), LogFormat::Json) => log_error(error, code),
    }
    leave_verdict(environment, &report, &end);
    code
}

/// Does what the configuration says; a script for psql is for the caller to print.
fn carry_out(
    config: &Config,
    environment: &Environment,
    tracker: &mut Tracker<'_>,
) -> Result<Option<String>, Error> {
    if port_is_service_link(environment) {
        tracker.warn("POSTGRES_PORT is a Kubernetes service link; took its port".to_owned());
    }
    if let (Action::Online(..), Some(warning)) = (&config.action, without_effect(environment)) {
        tracker.warn(warning);
    }
    let history = History::read(&config.migrations).map_err(EngineError::from)?;
    for warning in history.warnings() {
        tracker.warn(warning.to_string());
    }
    tracker.report.header.head = history.head();
    match &config.action {
        Action::Script { direction, range } => Ok(Some(offline::script(&history, *direction, range)?)),
        Action::Online(server, task) => in_runtime(server, task, &history, tracker).map(|()| None),
    }
}

fn in_runtime(
    server: &Server,
    task: &Task,
    history: &History,
    tracker: &mut Tracker<'_>,
) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::Defect(format!("no runtime: {error}")))?;
    let end = runtime.block_on(async {
        let interrupt = listen().map_err(|error| Error::Defect(format!("no signals: {error}")))?;
        let backend = Cell::new(None);
        let context = Context { server, history, interrupt: &interrupt, backend: &backend };
        Ok(until_done_or_interrupted(task, &context, tracker).await?)
    });
    // A name that is still being looked up must not hold up the exit.
    runtime.shutdown_background();
    end
}

/// Lets the engine run. A first signal cancels what the server is doing, so that the engine rolls back
/// and says so; a second one, or a server that doesn't answer, ends it at once.
async fn until_done_or_interrupted(
    task: &Task,
    context: &Context<'_>,
    tracker: &mut Tracker<'_>,
) -> Result<(), EngineError> {
    let mut interrupt = context.interrupt.clone();
    let mut run = Box::pin(engine::run(task, context, tracker));
    let first = tokio::select! {
        end = &mut run => return end,
        signal = interrupt.next() => signal,
    };
    tracing::warn!("{first}; rolling back");
    let deadline = Instant::now() + ROLLBACK_GRACE;
    let cancelling = async {
        sleep(LEAVE_AT_ONCE).await;
        if let Some(backend) = context.backend.take()
            && let Err(error) = cancel(context.server, &backend).await
        {
            tracing::warn!("the statement could not be cancelled: {error}");
        }
        std::future::pending::<()>().await;
    };
    let ended = tokio::select! {
        end = &mut run => Ok(end),
        () = cancelling => Err(first),
        () = sleep_until(deadline) => Err(first),
        second = interrupt.next() => Err(second),
    };
    drop(run);
    match ended {
        Ok(end) if tracker.in_doubt => end,
        Ok(end) => cancelled(end, first, tracker),
        Err(signal) => Err(unanswered(signal, tracker)),
    }
}

/// The connection was closed before the server had said what it made of the signal.
fn unanswered(signal: Signal, tracker: &Tracker<'_>) -> EngineError {
    let closed = "the connection was closed without an answer";
    if tracker.in_doubt {
        let state = format!("{closed} to a commit, and what became of it is not known; run again to go on");
        return EngineError::Interrupted { signal, state, left: Aftermath::Unknown };
    }
    EngineError::interrupted(signal, format!("{closed}; nothing was being committed; {}", tracker.state()))
}

/// A query of ours that was cancelled because of the signal is no failure of the server's, and one
/// that found no answer had no more time.
fn cancelled(end: Result<(), EngineError>, signal: Signal, tracker: &Tracker<'_>) -> Result<(), EngineError> {
    match end {
        // query_canceled
        Err(EngineError::Postgres(PostgresError::Query { source, state, .. }))
            if source.sqlstate() == Some("57014") || source.is_outage() =>
        {
            let state = if state.is_empty() { tracker.state() } else { state };
            Err(EngineError::interrupted(signal, state.trim_start_matches("; ")))
        }
        end => end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Event, Observer};
    use crate::postgres::{DatabaseError, ServerError};
    use migration_core::{Position, Version};

    /// The run lock was being released, all was recorded, and "nothing was changed".
    #[test]
    fn a_cancelled_query_does_not_deny_what_was_recorded() {
        let cancelled_by = |signal, tracker: &Tracker<'_>| {
            let error = ServerError { sqlstate: "57014".to_owned(), ..ServerError::default() };
            let end =
                Err(EngineError::query("releasing the run lock", DatabaseError::Server(Box::new(error))));
            cancelled(end, signal, tracker).unwrap_err().to_string()
        };
        struct Nobody;
        impl Observer for Nobody {
            fn on(&mut self, _: Event<'_>) {}
        }
        let mut nobody = Nobody;
        let mut tracker = Tracker::new(&mut nobody);
        assert_eq!(cancelled_by(Signal::Terminate, &tracker), "terminated by SIGTERM; nothing was changed");
        tracker.recorded(Position::At(Version(2)));
        assert_eq!(
            cancelled_by(Signal::Interrupt, &tracker),
            "interrupted by SIGINT; it was recorded that the database is at 2"
        );
    }
}
