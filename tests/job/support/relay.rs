//! A way to the server that a test can open late and cut, that remembers what the job said, and that can end at certain
//! words or put others in their place.

use std::io::{Read as _, Write as _, copy};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::Server;

/// Listens at an address of this machine and passes everything on.
pub(crate) struct Relay {
    pub(crate) port: u16,
    streams: Arc<Mutex<Vec<TcpStream>>>,
    ended: Arc<AtomicBool>,
    said: Arc<Mutex<Vec<u8>>>,
}

/// What becomes of a connection on which the job says certain words.
#[derive(Clone, Copy)]
pub(crate) enum Then {
    /// It is cut.
    Cut,
    /// Nothing more passes.
    Silence,
    /// These words pass so much later, and all that comes after them.
    Late(Duration),
    /// Others of the same length pass in their place, unless [`Relay::put_others`] says no.
    Instead(&'static str),
}

impl Relay {
    /// Opens the way at an address such as `127.0.0.1:0`.
    pub(crate) fn at(address: &str) -> Self {
        Self::open(address, None)
    }

    /// Opens a way that ends at these words, each time they are said.
    pub(crate) fn up_to(words: &'static str, then: Then) -> Self {
        Self::open("127.0.0.1:0", Some((words, then)))
    }

    fn open(address: &str, end: Option<(&'static str, Then)>) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let port = listener.local_addr().unwrap().port();
        let streams = Arc::<Mutex<Vec<TcpStream>>>::default();
        let open = Arc::clone(&streams);
        let ended = Arc::<AtomicBool>::default();
        let end_came = Arc::clone(&ended);
        let said = Arc::<Mutex<Vec<u8>>>::default();
        let heard = Arc::clone(&said);
        std::thread::spawn(move || {
            let Server { host, port, .. } = Server::of_environment();
            for client in listener.incoming() {
                let client = client.unwrap();
                let server = TcpStream::connect((host.as_str(), port)).unwrap();
                open.lock().unwrap().extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                let way = [client.try_clone().unwrap(), server.try_clone().unwrap()];
                pass_up_to(end, way, Arc::clone(&end_came), Arc::clone(&heard));
                pass(server, client);
            }
        });
        Self { port, streams, ended, said }
    }

    /// Everything that was said to the server so far.
    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&self.said.lock().unwrap()).into_owned()
    }

    /// Whether others are put in the place of the words from now on.
    pub(crate) fn put_others(&self, are_put: bool) {
        self.ended.store(!are_put, Ordering::Relaxed);
    }

    /// Whether the words were said.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Cuts every connection there is; new ones find the way open again.
    pub(crate) fn cut(&self) {
        for stream in self.streams.lock().unwrap().drain(..) {
            // One that was closed already is cut as well.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    std::thread::spawn(move || {
        // Either side may hang up at any time; that is passed on too.
        let _ = copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}

/// What the job says in one go arrives in one piece.
fn pass_up_to(
    end: Option<(&'static str, Then)>,
    [mut from, mut to]: [TcpStream; 2],
    ended: Arc<AtomicBool>,
    heard: Arc<Mutex<Vec<u8>>>,
) {
    std::thread::spawn(move || {
        let mut said = vec![0; 64 << 10];
        let mut is_silent = false;
        while let Ok(length @ 1..) = from.read(&mut said) {
            heard.lock().unwrap().extend(&said[..length]);
            if is_silent {
                continue;
            }
            if let Some((words, then)) = end {
                let at = said[..length].windows(words.len()).position(|window| window == words.as_bytes());
                if let Then::Instead(others) = then {
                    if let (Some(at), false) = (at, ended.load(Ordering::Relaxed)) {
                        said[at..at + words.len()].copy_from_slice(others.as_bytes());
                    }
                } else {
                    ended.fetch_or(at.is_some(), Ordering::Relaxed);
                }
                match (at.is_some(), then) {
                    (true, Then::Silence) => {
                        // The rest of a long message may come by itself.
                        is_silent = true;
                        continue;
                    }
                    (true, Then::Cut) => break,
                    (true, Then::Late(by)) => std::thread::sleep(by),
                    _ => {}
                }
            }
            if to.write_all(&said[..length]).is_err() {
                break;
            }
        }
        for stream in [from, to] {
            let _ = stream.shutdown(Shutdown::Both);
        }
    });
}
