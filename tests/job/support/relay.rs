//! A way to the server that a test can open late and cut, and that can end at certain words of the job.

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
        std::thread::spawn(move || {
            let Server { host, port, .. } = Server::of_environment();
            for client in listener.incoming() {
                let client = client.unwrap();
                let server = TcpStream::connect((host.as_str(), port)).unwrap();
                open.lock().unwrap().extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                match end {
                    Some((words, then)) => {
                        let way = [client.try_clone().unwrap(), server.try_clone().unwrap()];
                        pass_up_to(words, then, way, Arc::clone(&end_came));
                    }
                    None => pass(client.try_clone().unwrap(), server.try_clone().unwrap()),
                }
                pass(server, client);
            }
        });
        Self { port, streams, ended }
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
fn pass_up_to(words: &'static str, then: Then, [mut from, mut to]: [TcpStream; 2], ended: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        let mut said = vec![0; 64 << 10];
        while let Ok(length @ 1..) = from.read(&mut said) {
            let is_over = said[..length].windows(words.len()).any(|window| window == words.as_bytes());
            ended.fetch_or(is_over, Ordering::Relaxed);
            match (is_over, then) {
                (true, Then::Silence) => continue,
                (true, Then::Cut) => break,
                (true, Then::Late(by)) => std::thread::sleep(by),
                (false, _) => {}
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
