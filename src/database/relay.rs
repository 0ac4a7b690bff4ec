//! A TCP connection of our own, handed to sqlx as a Unix socket.
//!
//! sqlx 0.9.0 sets no socket options. With Nagle's algorithm on, the TLS handshake waits twice for a
//! delayed acknowledgement, 80 ms; without keepalives, a server whose node died is waited for all
//! day. It takes no socket of ours, but it connects to Unix sockets: the relay listens on one in the
//! abstract namespace, which needs no writable file system, lets in this process alone, and passes
//! bytes on; those of the server only where they may be PostgreSQL's, see `vetting`.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, UnixListener};

use super::vetting;

// As the server is asked to watch us, see `guard`.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(4);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
const KEEPALIVE_COUNT: u32 = 4;
const USER_TIMEOUT: Duration = Duration::from_secs(11);

/// Connects to the server and gives the "socket directory" under which sqlx finds the connection.
pub(super) async fn open(host: &str, port: u16) -> io::Result<PathBuf> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let mut server = TcpStream::connect((host, port)).await?;
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
