//! A TCP connection of our own, handed to sqlx as a Unix socket.
//!
//! sqlx 0.9.0 sets no socket options. With Nagle's algorithm on, the TLS handshake waits twice for a
//! delayed acknowledgement, 80 ms; without keepalives, a server whose node died is waited for all
//! day. It takes no socket of ours, but it connects to Unix sockets: the relay listens on one in the
//! abstract namespace, which needs no writable file system, lets in this process alone, and passes
//! bytes on; those of the server only where they may be PostgreSQL's, see `vetting`.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, UnixListener, lookup_host};
use tokio::time::timeout;

use super::{CANCEL_GRACE, vetting};

// As the server is asked to watch us, see `guard`.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(4);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
const KEEPALIVE_COUNT: u32 = 4;
const USER_TIMEOUT: Duration = Duration::from_secs(11);

/// The first address that answers. One that others follow gets its share of the time, as libpq does it: packets to it
/// may vanish. Whoever calls limits the whole.
async fn connect(addresses: &[SocketAddr], limit: Duration) -> io::Result<TcpStream> {
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

/// Connects to the server and gives the "socket directory" under which sqlx finds the connection.
pub(super) async fn open(host: &str, port: u16, limit: Duration) -> io::Result<PathBuf> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let addresses: Vec<_> = lookup_host((host, port)).await?.collect();
    let mut server = connect(&addresses, limit).await?;
    let options = SockRef::from(&server);
    options.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
    options.set_tcp_keepalive(&keepalive.with_retries(KEEPALIVE_COUNT))?;
    options.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let directory = PathBuf::from(format!("\0run-migrations/{}/{number}", std::process::id()));
    let listener = UnixListener::bind(directory.join(format!(".s.PGSQL.{port}")))?;
    tokio::spawn(async move {
        let mut client = loop {
            let (client, _) = listener.accept().await?;
            if client.peer_cred()?.pid() == i32::try_from(std::process::id()).ok() {
                break client;
            }
        };
        // Either side may end it: the other one is told by the end of its stream.
        let passed = vetting::pass_on(&mut client, &mut server).await;
        if let Err(error) = &passed
            && error.kind() == io::ErrorKind::InvalidData
        {
            tracing::warn!("closed a connection to the server: {error}");
        }
        passed
    });
    Ok(directory)
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
            timeout(CANCEL_GRACE, connect(&[silent_at, lives_at], Duration::from_millis(200))).await;
        assert_eq!(connected.unwrap().unwrap().peer_addr().unwrap(), lives_at);
    }
}
