//! A TCP connection of our own, handed to sqlx as a Unix socket.
//!
//! sqlx 0.9.0 leaves Nagle's algorithm on, and in the TLS handshake two small writes follow each
//! other, so that each connection waits twice for a delayed acknowledgement: 80 ms. It takes no
//! socket of ours, but it connects to Unix sockets: the relay listens on one in the abstract
//! namespace, which needs no writable file system, lets in this process alone, and passes bytes on.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpStream, UnixListener};

/// Connects to the server and gives the "socket directory" under which sqlx finds the connection.
pub(super) async fn open(host: &str, port: u16) -> io::Result<PathBuf> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let mut server = TcpStream::connect((host, port)).await?;
    server.set_nodelay(true)?;
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
        copy_bidirectional(&mut client, &mut server).await
    });
    Ok(directory)
}
