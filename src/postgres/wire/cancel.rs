//! A cancel request: over a connection of its own, which takes no slot and needs no password.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::postgres::wire::stream::{self, PeerAddress, cut};
use crate::postgres::wire::tls;
use crate::postgres::{Address, DatabaseError, Server, Ssl};

/// <https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-CANCELREQUEST>
const CANCEL_REQUEST: [u8; 8] = [0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e];

/// What the server has to be told so that it cancels what a session does.
#[derive(Clone)]
pub(in super::super) struct CancelKey {
    pub(super) place: PeerAddress,
    pub(super) key: [u8; 8],
    pub(super) is_encrypted: bool,
}

/// Asks the server that the session is on, and in the way the session goes, since the key is a secret. The
/// server says nothing to it, not even whether the key is right.
pub(in super::super) async fn cancel(server: &Server, key: &CancelKey) -> Result<(), DatabaseError> {
    let mut stream = stream::connect_to(&key.place).await.map_err(cut)?;
    if key.is_encrypted
        && let Address::Tcp(host, _) = &server.address
        && let Ssl::Allow(tls) | Ssl::Prefer(tls) | Ssl::Require(tls) = &server.ssl
    {
        (stream, _) = tls::encrypt(stream, tls, host).await?;
    }
    stream.write_all(&[CANCEL_REQUEST, key.key].concat()).await.map_err(cut)?;
    stream.flush().await.map_err(cut)?;
    // It hangs up once the signal is sent. How it does that says nothing.
    let _ = stream.read(&mut [0; 1]).await;
    Ok(())
}
