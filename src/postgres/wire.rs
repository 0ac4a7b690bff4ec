//! The way to the server up to where queries may be sent: TCP or a Unix socket, TLS, login.
//!
//! All of it is done here and not by sqlx, which knows no channel binding and no cancel request, sends a
//! password in clear text to whoever asks, and takes its settings from PG… variables as well. sqlx gets what
//! is left: a session that is logged in, over a socket of this process, see [`relay`].

mod authentication;
mod cancel;
mod certificate;
mod login;
mod message;
mod relay;
mod rules;
mod scram;
mod stream;
mod tls;
mod trust;
mod vetting;

use std::sync::Once;
use std::time::Duration;

pub(super) use cancel::{CancelKey, cancel};
use login::{Greeting, Stage};
pub(super) use relay::{PORT, hand_over};
use stream::{PeerAddress, Stream};
use tls::Security;

use crate::postgres::{Address, DatabaseError, Server, Ssl, Tls};

/// A connection on which the server has said its last word about letting us in.
pub(super) struct Opened {
    stream: Stream,
    place: PeerAddress,
    security: Security,
    greeting: Greeting,
}

impl Opened {
    pub(super) fn cancel_key(&self) -> Option<CancelKey> {
        let is_encrypted = matches!(self.security, Security::Tls(_));
        self.greeting.key.map(|key| CancelKey { place: self.place.clone(), key, is_encrypted })
    }

    /// What to do about an invalid authorization (28000), where more is known than the server says.
    pub(super) fn advice(&self) -> Option<&'static str> {
        let refused = self.greeting.refused.as_ref().filter(|refused| refused.sqlstate == "28000")?;
        match refused.stage {
            Stage::Bound => Some(
                "if the channel binding failed, the certificate that was shown is not the server's own: an attacker \
                 or a proxy is in between; for a proxy that you trust, set POSTGRES_CHANNEL_BINDING=disable",
            ),
            Stage::Unasked if self.security.lacks_certificate() => Some(
                "check POSTGRES_USER, POSTGRES_SSLMODE and the server's pg_hba.conf; the server asked for a client \
                 certificate and got none; set POSTGRES_SSLCERT and POSTGRES_SSLKEY",
            ),
            Stage::Unasked if self.security.shows_certificate() => Some(
                "check POSTGRES_USER and the server's pg_hba.conf; where that asks for a certificate, the common name \
                 of the one in POSTGRES_SSLCERT has to be the role's, or pg_ident.conf has to map it to the role",
            ),
            Stage::Unasked if matches!(self.security, Security::Local) => Some(
                "check POSTGRES_USER and the server's pg_hba.conf; where that says peer, the user of the operating \
                 system that runs this job has to have the role's name, or pg_ident.conf has to map it to the role",
            ),
            _ => None,
        }
    }

    /// Whether pg_hba.conf has no line for this way: that comes before any question.
    fn is_turned_away(&self) -> bool {
        let refused = self.greeting.refused.as_ref();
        refused.is_some_and(|refused| refused.sqlstate == "28000" && refused.stage == Stage::Unasked)
    }
}

#[derive(Clone, Copy)]
enum Way<'s> {
    Plain,
    EncryptedIfOffered(&'s Tls),
    Encrypted(&'s Tls),
}

/// Connects and logs in. As libpq does, `allow` and `prefer` try the other way where the server has none of the
/// first kind; encryption that fails is no reason to do without. A POSTGRES_PASSWORD_COMMAND may take as long as
/// `limit`; zero is no limit.
pub(super) async fn open(server: &Server, limit: Duration) -> Result<Opened, DatabaseError> {
    let (way, other) = match (&server.address, &server.ssl) {
        (Address::Unix(..), _) | (_, Ssl::Disable) => (Way::Plain, None),
        (_, Ssl::Allow(tls)) => (Way::Plain, Some(Way::Encrypted(tls))),
        (_, Ssl::Prefer(tls)) => (Way::EncryptedIfOffered(tls), Some(Way::Plain)),
        (_, Ssl::Require(tls)) => (Way::Encrypted(tls), None),
    };
    let first = attempt(server, way, limit).await?;
    let is_plain = matches!(first.security, Security::Plain);
    let other =
        other.filter(|other| first.is_turned_away() && (!is_plain || matches!(other, Way::Encrypted(_))));
    let opened = match other {
        None => first,
        // Where both fail, the first error is the one to tell: the second is about a way nobody asked for.
        Some(other) => match attempt(server, other, limit).await {
            Ok(second) if second.greeting.refused.is_none() => second,
            _ => first,
        },
    };
    if matches!(opened.security, Security::Plain) && opened.greeting.refused.is_none() {
        say_not_encrypted(&server.ssl);
    }
    Ok(opened)
}

/// Says once in a run that everybody on the way can read along, unless it was asked for.
fn say_not_encrypted(ssl: &Ssl) {
    static SAID: Once = Once::new();
    if *ssl != Ssl::Disable {
        SAID.call_once(|| tracing::info!("the connection is not encrypted"));
    }
}

async fn attempt(server: &Server, way: Way<'_>, limit: Duration) -> Result<Opened, DatabaseError> {
    let (stream, place) = stream::connect(&server.address, server.options.connect_timeout).await?;
    let (mut stream, security) = match (&server.address, way) {
        (Address::Tcp(host, _), Way::Encrypted(tls)) => tls::encrypt(stream, tls, host).await?,
        (Address::Tcp(host, _), Way::EncryptedIfOffered(tls)) => {
            tls::encrypt_if_offered(stream, tls, host).await?
        }
        (Address::Tcp(..), Way::Plain) => (stream, Security::Plain),
        (Address::Unix(..), _) => (stream, Security::Local),
    };
    if let (Way::EncryptedIfOffered(_), Security::Plain) = (way, &security) {
        // Before anything is said that others are not to hear.
        say_not_encrypted(&server.ssl);
    }
    let greeting = login::log_in(&mut stream, server, &security, limit).await?;
    Ok(Opened { stream, place, security, greeting })
}
