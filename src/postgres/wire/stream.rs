//! TCP or a Unix socket, with the socket options that notice a lost server.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::timeout;

use crate::postgres::{Address, CANCEL_GRACE, DatabaseError};

// As the server is asked to watch us, see `guard`.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(4);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
const KEEPALIVE_COUNT: u32 = 4;
#[cfg(target_os = "linux")]
const USER_TIMEOUT: Duration = Duration::from_secs(11);

pub(super) trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytes for T {}

pub(super) type Stream = Box<dyn Bytes>;

/// Where a connection went: one address of a name that may have several.
#[derive(Clone, Debug)]
pub(in super::super) enum PeerAddress {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

pub(super) async fn connect(
    address: &Address,
    limit: Duration,
) -> Result<(Stream, PeerAddress), DatabaseError> {
    let place = match address {
        Address::Unix(directory, port) => PeerAddress::Unix(directory.join(format!(".s.PGSQL.{port}"))),
        Address::Tcp(host, port) => {
            let addresses: Vec<_> = lookup_host((host.as_str(), *port)).await.map_err(cut)?.collect();
            let stream = first_of(&addresses, limit).await.map_err(cut)?;
            let place = PeerAddress::Tcp(stream.peer_addr().map_err(cut)?);
            return Ok((guarded(stream).map_err(cut)?, place));
        }
    };
    Ok((connect_to(&place).await.map_err(cut)?, place))
}

pub(super) async fn connect_to(place: &PeerAddress) -> io::Result<Stream> {
    match place {
        PeerAddress::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
        PeerAddress::Tcp(address) => guarded(TcpStream::connect(address).await?),
    }
}

pub(super) fn cut(error: io::Error) -> DatabaseError {
    DatabaseError::Cut(error.to_string())
}

/// With Nagle's algorithm on, the TLS handshake waits twice for a delayed acknowledgement, 80 ms; without
/// keepalives, a server whose node died is waited for all day.
fn guarded(stream: TcpStream) -> io::Result<Stream> {
    let options = SockRef::from(&stream);
    options.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
    options.set_tcp_keepalive(&keepalive.with_retries(KEEPALIVE_COUNT))?;
    #[cfg(target_os = "linux")]
    options.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(Box::new(stream))
}

/// The first address that answers. One that others follow gets its share of the time, as libpq does it: packets to it
/// may vanish. Whoever calls limits the whole.
async fn first_of(addresses: &[SocketAddr], limit: Duration) -> io::Result<TcpStream> {
    let limit = if limit.is_zero() { CANCEL_GRACE } else { limit.min(CANCEL_GRACE) };
    let share = limit / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
    let Some((last, others)) = addresses.split_last() else {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    };
    for address in others {
        if let Ok(Ok(stream)) = timeout(share, TcpStream::connect(address)).await {
            return Ok(stream);
        }
    }
    TcpStream::connect(last).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Domain, Socket, Type};

    #[tokio::test]
    async fn an_address_that_swallows_everything_leaves_time_for_the_next() {
        let local: SocketAddr = "127.0.0.1:0".parse().unwrap();
        // Its queue is full, and the system drops what comes to it.
        let silent = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        silent.bind(&local.into()).unwrap();
        silent.listen(0).unwrap();
        let silent_at = silent.local_addr().unwrap().as_socket().unwrap();
        let _queued = std::net::TcpStream::connect(silent_at).unwrap();
        let lives = std::net::TcpListener::bind(local).unwrap();
        let lives_at = lives.local_addr().unwrap();
        let connected =
            timeout(CANCEL_GRACE, first_of(&[silent_at, lives_at], Duration::from_millis(200))).await;
        assert_eq!(connected.unwrap().unwrap().peer_addr().unwrap(), lives_at);
    }
}
