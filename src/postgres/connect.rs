//! From settings to a session, waiting for a server that is not there yet.

use std::future::Future;
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions as _, PgConnection};

use migration_core::WrongSettings;
use migration_core::log_record::WAITS;

use crate::postgres::activity::Activity;
use crate::postgres::query::{answered, execute};
use crate::postgres::sql::quoted_identifier;
use crate::postgres::wire::{self, CancelKey};
use crate::postgres::{
    CANCEL_GRACE, DatabaseError, Error, Interrupt, PasswordSource, Server, ServerError, Session, Signal, lock,
};

/// Connects, sets the session up and looks around. Whatever may pass (the name doesn't resolve
/// yet, nobody listens, the server is starting or full) is tried again until CONNECT_TIMEOUT.
pub(crate) async fn connect(server: &Server, interrupt: &Interrupt) -> Result<(Session, Backend), Error> {
    let timeout = server.options.connect_timeout;
    let start = Instant::now();
    let mut said = String::new();
    let mut pause = Duration::from_millis(100);
    tracing::debug!("connecting to {} as {}", server.address, server.user);
    let left = || (!timeout.is_zero()).then(|| timeout.saturating_sub(start.elapsed()));
    loop {
        let began = Instant::now();
        let attempt = async {
            let authenticated = authenticate(server, left().unwrap_or_default()).await;
            let (connection, key) =
                authenticated.map_err(|(error, advice)| Failed::Connecting(error, advice))?;
            let session = Session::open(connection, &server.options).await.map_err(Failed::LookingAround)?;
            let backend = Backend { pid: session.info.pid, key, activity: session.activity.clone() };
            Ok((session, backend))
        };
        let limit = left().map(|left| left + server.password.grace());
        let reason = match interrupt.unless(within(limit, attempt)).await.map_err(unconnected)? {
            Some(Ok(connected)) => return Ok(connected),
            Some(Err(Failed::Connecting(error, advice))) if !error.is_outage() => {
                return Err(refused(server, error, advice));
            }
            Some(Err(Failed::LookingAround(Error::Query { source, .. }))) if source.is_outage() => {
                format!("{}: {source}", server.address)
            }
            Some(Err(Failed::LookingAround(error))) => return Err(error),
            Some(Err(Failed::Connecting(error, _))) => format!("{}: {error}", server.address),
            // What the attempt before was told says more than that there was no time for this one.
            None if began.elapsed() < TELLING && !said.is_empty() => said.clone(),
            None => format!("{}: the server did not answer", server.address),
        };
        if said != reason {
            tracing::info!(progress = WAITS, "waiting for the server at {reason}");
            said.clone_from(&reason);
        }
        interrupt.sleep(left().map_or(pause, |left| left.min(pause))).await.map_err(unconnected)?;
        if left().is_some_and(|left| left.is_zero()) {
            return Err(Error::Unreachable { after: timeout, reason });
        }
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}

/// An attempt that was given less says nothing of the server.
const TELLING: Duration = Duration::from_secs(1);

fn unconnected(signal: Signal) -> Error {
    Error::interrupted(signal, "there was no connection yet; nothing was changed")
}

enum Failed {
    /// With what to do about it, where that is known.
    Connecting(DatabaseError, Option<&'static str>),
    LookingAround(Error),
}

/// `None` when time is out; no limit where `limit` is `None`.
async fn within<T>(limit: Option<Duration>, future: impl Future<Output = T>) -> Option<T> {
    match limit {
        Some(limit) => tokio::time::timeout(limit, future).await.ok(),
        None => Some(future.await),
    }
}

/// A second connection, where there is one to be had in a moment. A program that says the password has as long as for
/// the first.
pub(super) async fn second(server: &Server) -> Result<PgConnection, DatabaseError> {
    let limit = server.options.connect_timeout;
    let patience = match &server.password {
        PasswordSource::Command(_) if limit.is_zero() => Duration::ZERO,
        PasswordSource::Command(_) => limit.max(CANCEL_GRACE),
        _ => CANCEL_GRACE,
    };
    let connecting = async {
        authenticate(server, limit).await.map(|(connection, _)| connection).map_err(|(error, _)| error)
    };
    answered(patience, connecting).await
}

#[derive(Clone)]
pub(crate) struct Backend {
    pid: i32,
    key: Option<CancelKey>,
    activity: Activity,
}

/// Asks the server to cancel what a session is doing: with a cancel request, and where that is of no effect, as
/// through some proxies, over a second connection. What comes after it is left alone: that is the clearing up.
pub(crate) async fn cancel(server: &Server, backend: &Backend) -> Result<(), DatabaseError> {
    let message = backend.activity.messages();
    let is_over = || backend.activity.is_clearing() || backend.activity.messages() != message;
    if is_over() {
        return Ok(());
    }
    if let Some(key) = &backend.key {
        match answered(CANCEL_GRACE, wire::cancel(server, key)).await {
            Ok(()) => tokio::time::sleep(CANCEL_GRACE).await,
            Err(error) => tracing::debug!("no cancel request: {error}"),
        }
    }
    if is_over() {
        return Ok(());
    }
    let mut connection = second(server).await?;
    if is_over() {
        return Ok(());
    }
    execute(&mut connection, CANCEL_GRACE, lock::cancel(backend.pid))
        .await
        .map(drop)
        .map_err(|failed| failed.error)
}

/// Connects and logs in. An error comes with what to do about it, where that is known.
async fn authenticate(
    server: &Server,
    limit: Duration,
) -> Result<(PgConnection, Option<CancelKey>), (DatabaseError, Option<&'static str>)> {
    let opened = wire::open(server, limit).await.map_err(|error| (error, None))?;
    let key = opened.cancel_key();
    let advice = opened.advice();
    let failed = |error| (error, advice);
    let directory = wire::hand_over(opened).map_err(|error| failed(sqlx::Error::from(error).into()))?;
    // What PG… variables say is of no effect: all that the server gets to know, we have told it already.
    let options = PgConnectOptions::new_without_pgpass()
        .socket(directory)
        .port(wire::PORT)
        .ssl_mode(PgSslMode::Disable)
        .disable_statement_logging();
    let connecting = async { Ok(options.connect().await?) };
    let connection = answered(Duration::ZERO, connecting).await.map_err(failed)?;
    Ok((connection, key))
}

fn refused(server: &Server, error: DatabaseError, known: Option<&str>) -> Error {
    let address = &server.address;
    Error::Refused(match error {
        DatabaseError::Settings(mistake) | DatabaseError::NotNow(mistake) => {
            return WrongSettings(vec![mistake]).into();
        }
        DatabaseError::Distrust(reason) => format!("stopped before the login to {address}: {reason}"),
        DatabaseError::Server(error) => {
            let advice = known.map_or_else(|| advice(server, &error), str::to_owned);
            format!("{address} refused the connection: {error}; {advice}")
        }
        DatabaseError::Untrusted(reason) => format!("the certificate of {address} is not trusted: {reason}"),
        DatabaseError::Tls(reason) | DatabaseError::Cut(reason) => {
            format!("{address} refused the connection: {reason}")
        }
    })
}

fn advice(server: &Server, error: &ServerError) -> String {
    match error.sqlstate.as_str() {
        "28P01" if server.password.has_white_space_around() => {
            format!(
                "check POSTGRES_USER and {}; the password begins or ends with white space, perhaps an extra newline",
                server.password.name()
            )
        }
        "28P01" => format!("check POSTGRES_USER and {}", server.password.name()),
        "28000" => "check POSTGRES_USER, POSTGRES_SSLMODE and the server's pg_hba.conf".to_owned(),
        "3D000" => "check POSTGRES_DB; the job does not create databases".to_owned(),
        "42501" => format!(
            "grant it with: GRANT CONNECT ON DATABASE {} TO {}",
            quoted_identifier(&server.database),
            quoted_identifier(&server.user)
        ),
        _ => "nothing was changed".to_owned(),
    }
}
