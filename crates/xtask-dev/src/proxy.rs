//! A TCP relay in front of a server that counts what a client has to wait for.
//!
//! A round trip is a client that speaks after the server has spoken. The relay looks at directions, not at contents, so
//! it counts under TLS just as well.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::Context;

/// A running relay; it takes no further connection once dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    round_trips: AtomicU64,
    closed: AtomicBool,
}

impl Proxy {
    /// Listens on a free port of the loopback.
    pub(crate) fn start(server: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free on 127.0.0.1")?;
        let address = listener.local_addr().context("a free port has no number")?;
        let seen = Arc::new(Seen::default());
        let shared = Arc::clone(&seen);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if shared.closed.load(Ordering::Relaxed) {
                    break;
                }
                // A client that can't be served sees its connection closed.
                let _ = serve(client, server, &shared);
            }
        });
        Ok(Self { address, seen })
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// How many round trips there were since it was last asked.
    pub(crate) fn take_round_trips(&self) -> u64 {
        self.seen.round_trips.swap(0, Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.seen.closed.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(client: TcpStream, server: SocketAddr, seen: &Arc<Seen>) -> std::io::Result<()> {
    let server = TcpStream::connect(server)?;
    // A relay must not add delays of its own.
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let client_speaks = Arc::new(AtomicBool::new(false));
    let (back_from, back_to) = (server.try_clone()?, client.try_clone()?);
    let (there, back, seen) = (Arc::clone(&client_speaks), client_speaks, Arc::clone(seen));
    std::thread::spawn(move || {
        copy(client, server, || {
            if !there.swap(true, Ordering::AcqRel) {
                seen.round_trips.fetch_add(1, Ordering::Relaxed);
            }
        });
    });
    std::thread::spawn(move || copy(back_from, back_to, || back.store(false, Ordering::Release)));
    Ok(())
}

/// Until either side has had enough; the other then learns of it.
fn copy(mut from: TcpStream, mut to: TcpStream, seen: impl Fn()) {
    let mut buffer = [0; 64 * 1024];
    while let Ok(size @ 1..) = from.read(&mut buffer) {
        seen();
        if to.write_all(buffer.get(..size).unwrap_or_default()).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_counted_not_packets() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let proxy = Proxy::start(server.local_addr().unwrap()).unwrap();
        let mut client = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
        let (mut served, _) = server.accept().unwrap();
        for _ in 0..3 {
            for half in [b"quest", b"ion??"] {
                client.write_all(half).unwrap();
                served.read_exact(&mut [0; 5]).unwrap();
            }
            served.write_all(b"answer").unwrap();
            client.read_exact(&mut [0; 6]).unwrap();
        }
        assert_eq!(proxy.take_round_trips(), 3);
        drop(client);
        assert_eq!(served.read(&mut [0; 1]).unwrap(), 0, "the end is passed on");
        assert_eq!(proxy.take_round_trips(), 0);
    }
}
