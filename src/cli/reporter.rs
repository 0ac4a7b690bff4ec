//! Tells people what happens in a run: its results on stdout, the rest in the log.

mod progress;
pub(crate) mod text;

use std::io;

use migration_core::log_record::WAITS;
use migration_core::wording::{counted, duration, path};
use migration_core::{Report, StepStatus};

use crate::cli::Error;
use crate::cli::config::LogFormat;
use crate::cli::print::Printer;
use crate::cli::reporter::progress::Progress;
use crate::engine::event::Retry;
use crate::engine::{Event, Observer, Section};
use crate::postgres::Observation;

pub(crate) struct Reporter {
    printer: Printer,
    progress: Progress,
    unwritten: Option<io::Error>,
}

impl Reporter {
    pub(crate) fn new(printer: Printer, log: LogFormat) -> Self {
        Self { printer, progress: Progress::new(log), unwritten: None }
    }

    pub(crate) fn script(&mut self, script: &str) {
        self.written(self.printer.raw(script));
    }

    pub(crate) fn document(&mut self, report: &Report, end: &Result<(), Error>) {
        self.written(self.printer.document(report, end));
    }

    /// A result that did not reach stdout is none, unless the database was changed: that stays true without it.
    pub(crate) fn delivered(self, report: &Report) -> Result<(), Error> {
        let has_run = report.steps().iter().any(|step| step.status != StepStatus::Planned);
        match self.unwritten {
            Some(source) if !has_run && report.recorded.is_none() => Err(Error::Unwritten(source)),
            _ => Ok(()),
        }
    }

    fn show(&mut self, text: &str) {
        self.written(self.printer.text(text));
    }

    /// Keeps the first failure to write; a run goes on without its report.
    fn written(&mut self, written: io::Result<()>) {
        if let (Err(error), None) = (written, &self.unwritten) {
            tracing::error!("the report can't be written: {error}");
            self.unwritten = Some(error);
        }
    }
}

impl Observer for Reporter {
    fn on(&mut self, event: Event<'_>) {
        match event {
            Event::Certain(section, report) => self.show(&match section {
                Section::Heading => text::heading(report),
                Section::Steps(transaction) => text::plan(report, transaction),
                Section::Done => text::done(report),
                Section::Recording => text::recording(report),
                Section::Recorded => text::recorded(report),
                Section::Current => text::current(report),
                Section::History => text::history(report),
            }),
            Event::Committed(report, steps) => self.show(&text::committed(report, steps)),
            Event::Began(migration, number, of) => self.progress.begin(migration, number, of),
            Event::Statement(number, of) => self.progress.statement(number, of),
            Event::Watching(seen) => self.progress.see(seen),
            Event::Watched => self.progress.pause(),
            Event::GivingWay(seen) => give_way(seen),
            Event::Warning(warning) => tracing::warn!("{warning}"),
            Event::WaitingForMigrations(pending, bookkeeping) => {
                let pending = counted(pending, "pending migration", "pending migrations");
                let missing = bookkeeping.map(text::which_table).map(|table| format!("; {table}"));
                tracing::info!(progress = WAITS, "waiting for {pending}{}", missing.unwrap_or_default());
            }
            Event::Resumed(version, statement) => {
                tracing::info!("an earlier run began {version}; going on with its statement {statement}");
            }
            Event::CreatedBookkeeping(table) => tracing::info!("created the bookkeeping table {table}"),
            Event::Retrying(Retry { failure, gave_way, pause, attempt, most }) => tracing::warn!(
                "{}{}; rolled back, trying again in {} ({attempt} of {most})",
                failure.headline(),
                if gave_way { ", as MAX_BLOCKING asks" } else { "" },
                duration(pause),
            ),
            Event::Reconnecting(failure) => {
                let failure = failure.headline();
                tracing::warn!("{failure}; connecting again to learn what became of it");
            }
            Event::Miscounted(script, counted, sent) => tracing::warn!(
                "the server counted {counted} commands in {}, not {sent}: please report this script",
                path(script),
            ),
            Event::DroppedIndex(index, left_by) => {
                tracing::info!("dropped {index}, which {left_by} left invalid");
            }
            Event::SparedIndex(index) => {
                tracing::warn!("{index} is not dropped: another session may be building it");
            }
            Event::InvalidIndex(index, error) => {
                tracing::warn!("{index} is invalid and could not be dropped: {error}");
            }
        }
    }
}

fn give_way(seen: &Observation) {
    let blocked = usize::try_from(seen.blocked).unwrap_or(1);
    tracing::warn!(
        "{} for {} for a lock of this run, longer than MAX_BLOCKING; cancelling",
        counted(blocked, "session has waited", "sessions have waited"),
        duration(seen.blocked_for),
    );
}
