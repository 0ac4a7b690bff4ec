//! From settings to a session, waiting for a server that is not there yet.

use std::future::Future;
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions as _, PgConnection};

use super::query::{answered, execute};
#[cfg(target_os = "linux")]
use super::relay;
use super::{DatabaseError, ServerError, Session, lock, quoted_identifier};
use crate::config::{Address, Roots, Server, Ssl};
use crate::error::Error;
use crate::interrupt::{Interrupt, Signal};

/// Connects, sets the session up and looks around. Whatever may pass (the name doesn't resolve
/// yet, nobody listens, the server is starting or full) is tried again until CONNECT_TIMEOUT.
///
/// # Errors
/// [`Error::Unreachable`] when time is out; [`Error::Refused`] at once for what waiting doesn't
/// cure: a wrong password, an unknown database, a certificate that isn't trusted.
pub async fn connect(server: &Server, interrupt: &Interrupt) -> Result<Session, Error> {
    let timeout = server.manners.connect_timeout;
    let start = Instant::now();
    let mut said = String::new();
    let mut pause = Duration::from_millis(100);
    tracing::debug!("connecting to {} as {}", server.address, server.user);
    let left = || (!timeout.is_zero()).then(|| timeout.saturating_sub(start.elapsed()));
    loop {
        let attempt = async {
            let connection = authenticate(server).await.map_err(Failed::Connecting)?;
            Session::open(connection, &server.manners).await.map_err(Failed::LookingAround)
        };
        let reason = match interrupt.unless(within(left(), attempt)).await.map_err(unconnected)? {
            Some(Ok(session)) => return Ok(session),
            Some(Err(Failed::Connecting(error))) if !error.is_outage() => {
                return Err(refused(server, &error));
            }
            Some(Err(Failed::LookingAround(Error::Database { source, .. }))) if source.is_outage() => {
                source.to_string()
            }
            Some(Err(Failed::LookingAround(error))) => return Err(error),
            Some(Err(Failed::Connecting(error))) => error.to_string(),
            None => "the server did not answer".to_owned(),
        };
        let reason = format!("{}: {reason}", server.address);
        if said != reason {
            tracing::info!("waiting for the server at {reason}");
            said.clone_from(&reason);
        }
        interrupt.sleep(left().map_or(pause, |left| left.min(pause))).await.map_err(unconnected)?;
        if left().is_some_and(|left| left.is_zero()) {
            return Err(Error::Unreachable { after: timeout, reason });
        }
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}

fn unconnected(signal: Signal) -> Error {
    Error::interrupted(signal, "there was no connection yet; nothing was changed")
}

enum Failed {
    Connecting(DatabaseError),
    LookingAround(Error),
}

/// `None` when time is out; no limit where `limit` is `None`.
async fn within<T>(limit: Option<Duration>, future: impl Future<Output = T>) -> Option<T> {
    match limit {
        Some(limit) => tokio::time::timeout(limit, future).await.ok(),
        None => Some(future.await),
    }
}

/// How long a second connection may take, or what is asked over it.
pub const CANCEL_GRACE: Duration = Duration::from_secs(5);

/// A second connection, where there is one to be had in a moment.
pub(super) async fn second(server: &Server) -> Result<PgConnection, DatabaseError> {
    answered(CANCEL_GRACE, authenticate(server)).await
}

/// Asks the server to cancel what a session is doing. It takes a second connection: sqlx knows
/// no cancel request.
///
/// # Errors
/// When there is no second connection to be had, or no answer over it.
pub async fn cancel(server: &Server, pid: i32) -> Result<(), DatabaseError> {
    let mut connection = second(server).await?;
    execute(&mut connection, CANCEL_GRACE, lock::cancel(pid)).await.map(drop).map_err(|failed| failed.error)
}

/// As libpq does, `allow` and `prefer` try the other way where the first one doesn't work.
async fn authenticate(server: &Server) -> Result<PgConnection, DatabaseError> {
    let (mode, second) = match server.ssl {
        Ssl::Disable => (PgSslMode::Disable, None),
        Ssl::Allow => (PgSslMode::Disable, Some(PgSslMode::Require)),
        Ssl::Prefer => (PgSslMode::Prefer, Some(PgSslMode::Disable)),
        Ssl::Require => (PgSslMode::Require, None),
        Ssl::VerifyCa(_) => (PgSslMode::VerifyCa, None),
        Ssl::VerifyFull(_) => (PgSslMode::VerifyFull, None),
    };
    let first = open(server, mode).await;
    match (first, second) {
        (Err(error), Some(second)) if other_way_may_help(&error) => {
            // The first error is the one to tell: the second is about a way nobody asked for.
            open(server, second).await.map_err(|_| error)
        }
        (first, _) => first,
    }
}

fn other_way_may_help(error: &DatabaseError) -> bool {
    // invalid_authorization_specification: pg_hba.conf has no line for this way.
    matches!(error, DatabaseError::Tls(_)) || error.sqlstate() == Some("28000")
}

async fn open(server: &Server, mode: PgSslMode) -> Result<PgConnection, DatabaseError> {
    let options = PgConnectOptions::new_without_pgpass()
        .username(&server.user)
        .password(server.password.reveal())
        .database(&server.database)
        .application_name(&server.application)
        // A pooler may refuse startup parameters it doesn't know.
        .extra_float_digits(None)
        .ssl_mode(mode)
        .disable_statement_logging();
    let options = match &server.address {
        #[cfg(target_os = "linux")]
        Address::Tcp(host, port) => {
            let directory =
                relay::open(host, *port, server.manners.connect_timeout).await.map_err(sqlx::Error::from)?;
            // The host is still what the certificate is held against.
            options.host(host).port(*port).socket(directory)
        }
        #[cfg(not(target_os = "linux"))]
        Address::Tcp(host, port) => options.host(host).port(*port),
        Address::Unix(directory, port) => options.socket(directory).port(*port),
    };
    let options = match &server.ssl {
        Ssl::VerifyCa(Roots::File(path)) | Ssl::VerifyFull(Roots::File(path)) => options.ssl_root_cert(path),
        _ => options,
    };
    answered(Duration::ZERO, async { Ok(options.connect().await?) }).await
}

/// Why the server does not let us in, and what to look at.
fn refused(server: &Server, error: &DatabaseError) -> Error {
    let advice = match error {
        DatabaseError::Server(error) => advice(server, error),
        DatabaseError::Tls(reason) if reason.contains("CaUsedAsEndEntity") => {
            "the server shows a CA's certificate as its own; give it one that the CA signed".to_owned()
        }
        DatabaseError::Tls(_) => "check POSTGRES_SSLMODE and POSTGRES_SSLROOTCERT".to_owned(),
        DatabaseError::Password => "give the role a password of characters that Unicode 3.2 has".to_owned(),
        DatabaseError::Cut(_) => String::new(),
    };
    Error::Refused(format!("{} refused the connection: {error}; {advice}", server.address))
}

fn advice(server: &Server, error: &ServerError) -> String {
    match error.sqlstate.as_str() {
        "28P01" if server.password.has_white_space_around() => {
            "check POSTGRES_USER and POSTGRES_PASSWORD; the password begins or ends with white space, \
             perhaps a newline too many"
                .to_owned()
        }
        "28P01" => "check POSTGRES_USER and POSTGRES_PASSWORD".to_owned(),
        "28000" => "check POSTGRES_USER, POSTGRES_SSLMODE and the server's pg_hba.conf".to_owned(),
        "3D000" => "check POSTGRES_DB; the job creates no database".to_owned(),
        "42501" => format!(
            "grant it with: GRANT CONNECT ON DATABASE {} TO {}",
            quoted_identifier(&server.database),
            quoted_identifier(&server.user)
        ),
        _ => "nothing was changed".to_owned(),
    }
}
