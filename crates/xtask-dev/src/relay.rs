//! What stands between a client and a server on this machine: it takes connections. What it does with what passes is up
//! to whoever starts it: `bench` counts round trips, the campaign of faults holds messages.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;

/// A free port of the loopback, closed when this is dropped.
#[derive(Debug)]
pub(crate) struct Relay {
    address: SocketAddr,
    closed: Arc<AtomicBool>,
}

impl Relay {
    pub(crate) fn start(
        serve: impl Fn(TcpStream) -> io::Result<()> + Send + 'static,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free on 127.0.0.1")?;
        let address = listener.local_addr().context("a free port has no number")?;
        let closed = Arc::new(AtomicBool::new(false));
        let shared = Arc::clone(&closed);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if shared.load(Ordering::Relaxed) {
                    break;
                }
                // A client that can't be served sees its connection closed.
                let _ = serve(client);
            }
        });
        Ok(Self { address, closed })
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Takes no further connection.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.close();
    }
}

/// The other side of a connection. Neither adds delays of its own.
pub(crate) fn connect(client: &TcpStream, server: SocketAddr) -> io::Result<TcpStream> {
    let server = TcpStream::connect(server)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    Ok(server)
}
