//! A way to the server that a test can open late and cut.

use std::io::copy;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::Server;

/// Listens at an address of this machine and passes everything on.
pub(crate) struct Relay {
    pub(crate) port: u16,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    /// Opens the way at an address such as `127.0.0.1:0`.
    pub(crate) fn at(address: &str) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let port = listener.local_addr().unwrap().port();
        let streams = Arc::<Mutex<Vec<TcpStream>>>::default();
        let open = Arc::clone(&streams);
        std::thread::spawn(move || {
            let Server { host, port, .. } = Server::of_environment();
            for client in listener.incoming() {
                let client = client.unwrap();
                let server = TcpStream::connect((host.as_str(), port)).unwrap();
                open.lock().unwrap().extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                pass(client.try_clone().unwrap(), server.try_clone().unwrap());
                pass(server, client);
            }
        });
        Self { port, streams }
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
