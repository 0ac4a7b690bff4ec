//! The one translation of what went wrong into a documented code.

use migration_core::{Disagreement, ExitCode, PlanError};

use crate::cli::Error;
use crate::engine::{Aftermath, Error as EngineError, Outcome};
use crate::postgres::{DatabaseError, Error as PostgresError, Signal};

pub(crate) fn exit_code(end: &Result<(), Error>) -> ExitCode {
    let Err(error) = end else { return ExitCode::Done };
    match error {
        Error::Usage(_) | Error::Settings(_) => ExitCode::Usage,
        Error::Unwritten(_) => ExitCode::Unwritten,
        Error::Defect(_) => ExitCode::Defect,
        Error::Engine(error) => match error {
            EngineError::Scripts(_) | EngineError::Range { .. } | EngineError::NothingToResolve(_) => {
                ExitCode::Usage
            }
            EngineError::Plan(PlanError::Revision(_) | PlanError::WrongWay { .. }) => ExitCode::Usage,
            EngineError::Plan(PlanError::Disagreement(Disagreement::PartiallyApplied(_)))
            | EngineError::PartiallyApplied { .. } => ExitCode::PartiallyApplied,
            EngineError::Plan(PlanError::Disagreement(
                Disagreement::Drifted(_)
                | Disagreement::Unknown(_)
                | Disagreement::OutOfOrder(_)
                | Disagreement::OtherTool(_),
            )) => ExitCode::Disagreement,
            EngineError::Failed(failure) => match failure.outcome {
                Outcome::RolledBack => ExitCode::Failed,
                Outcome::NotGranted => ExitCode::Locked,
                Outcome::Cut => ExitCode::Unreachable,
                Outcome::PartiallyApplied => ExitCode::PartiallyApplied,
                Outcome::Stopped(signal) => of_signal(signal),
            },
            EngineError::Pending(_) => ExitCode::Pending,
            EngineError::Interrupted { left: Aftermath::PartiallyApplied, .. } => ExitCode::PartiallyApplied,
            EngineError::Interrupted { left: Aftermath::Unknown, .. } => ExitCode::Unreachable,
            EngineError::Interrupted { left: Aftermath::Nothing, signal, .. } => of_signal(*signal),
            EngineError::Postgres(error) => match error {
                PostgresError::Settings(_) => ExitCode::Usage,
                PostgresError::Unreachable { .. } => ExitCode::Unreachable,
                PostgresError::RunLock { .. } => ExitCode::Locked,
                PostgresError::Query { source, .. } => of_query(source),
                PostgresError::Refused(_) => ExitCode::Refused,
                PostgresError::Interrupted { signal, .. } => of_signal(*signal),
            },
        },
    }
}

/// Of a failure outside a migration.
fn of_query(error: &DatabaseError) -> ExitCode {
    match (error.is_outage(), error.sqlstate()) {
        (true, _) => ExitCode::Unreachable,
        _ if matches!(error, DatabaseError::Settings(_)) => ExitCode::Usage,
        // insufficient_resources: the disk or the memory may have room again
        (_, Some(sqlstate)) if sqlstate.starts_with("53") => ExitCode::Unreachable,
        // lock_not_available, deadlock_detected, serialization_failure
        (_, Some("55P03" | "40P01" | "40001")) => ExitCode::Locked,
        _ => ExitCode::Refused,
    }
}

/// As a shell would report it: 128 plus the signal's number.
fn of_signal(signal: Signal) -> ExitCode {
    match signal {
        Signal::Interrupt => ExitCode::Interrupted,
        Signal::Terminate => ExitCode::Terminated,
    }
}
