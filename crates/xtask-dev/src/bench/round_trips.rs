//! A TCP relay in front of a server that counts what a client has to wait for.
//!
//! A round trip is a client that speaks after the server has spoken. The relay looks at directions, not at contents, so
//! it counts under TLS just as well.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::relay::{self, Relay};

/// A running relay.
#[derive(Debug)]
pub(super) struct RoundTripCounter {
    relay: Relay,
    round_trips: Arc<AtomicU64>,
}

impl RoundTripCounter {
    pub(super) fn start(server: SocketAddr) -> anyhow::Result<Self> {
        let round_trips = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&round_trips);
        let relay = Relay::start(move |client| serve(client, server, &counted))?;
        Ok(Self { relay, round_trips })
    }

    pub(super) fn port(&self) -> u16 {
        self.relay.port()
    }

    /// How many there were since it was last asked.
    pub(super) fn take(&self) -> u64 {
        self.round_trips.swap(0, Ordering::Relaxed)
    }
}

fn serve(client: TcpStream, server: SocketAddr, round_trips: &Arc<AtomicU64>) -> std::io::Result<()> {
    let server = relay::connect(&client, server)?;
    let client_speaks = Arc::new(AtomicBool::new(false));
    let (back_from, back_to) = (server.try_clone()?, client.try_clone()?);
    let (there, back, round_trips) = (Arc::clone(&client_speaks), client_speaks, Arc::clone(round_trips));
    std::thread::spawn(move || {
        copy(client, server, || {
            if !there.swap(true, Ordering::AcqRel) {
                round_trips.fetch_add(1, Ordering::Relaxed);
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
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[test]
    fn questions_are_counted_not_packets() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let proxy = RoundTripCounter::start(server.local_addr().unwrap()).unwrap();
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
        assert_eq!(proxy.take(), 3);
        drop(client);
        assert_eq!(served.read(&mut [0; 1]).unwrap(), 0, "the end is passed on");
        assert_eq!(proxy.take(), 0);
    }
}
