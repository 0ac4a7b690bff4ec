//! Something that listens where a server should be.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// Says the same to everybody.
pub(crate) struct Impostor {
    pub(crate) port: u16,
}

impl Impostor {
    /// Hears what a client says first, says this, over and over where it is to be `endless`, and then nothing more.
    pub(crate) fn saying(beginning: Vec<u8>, endless: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let mut client = client.unwrap();
                let (beginning, endless) = (beginning.clone(), endless.clone());
                std::thread::spawn(move || {
                    let start = Instant::now();
                    // Whoever hangs up has heard enough.
                    let _ = client.read(&mut [0; 1024]);
                    let mut open = client.write_all(&beginning).is_ok();
                    while open && !endless.is_empty() && start.elapsed() < Duration::from_secs(60) {
                        open = client.write_all(&endless).is_ok();
                    }
                    while open && matches!(client.read(&mut [0; 1024]), Ok(1..)) {}
                });
            }
        });
        Self { port }
    }
}

/// A message of PostgreSQL's protocol.
pub(crate) fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[tag], &length[..], body].concat()
}

/// What a server says that lets everybody in.
pub(crate) fn welcome() -> Vec<u8> {
    [message(b'R', &[0; 4]), message(b'K', &[0; 8]), message(b'Z', b"I")].concat()
}
