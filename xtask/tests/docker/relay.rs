//! A socket in front of the daemon's that passes everything on, and lets go of some connections when it is told to.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rustix::net::{RecvFlags, recv};

/// Running until the test ends.
pub(crate) struct Relay {
    directory: PathBuf,
    /// The daemon's sides of the connections that carry output.
    attached: Arc<Mutex<Vec<UnixStream>>>,
}

/// Whether the end of a container can be waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waits {
    PassedOn,
    CutOff,
}

impl Relay {
    pub(crate) fn start(test: &str, waits: Waits) -> Self {
        let directory = std::env::temp_dir().join(format!("relay-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let relay = Self { directory, attached: Arc::default() };
        let listener = UnixListener::bind(relay.directory.join("docker.sock")).unwrap();
        let attached = Arc::clone(&relay.attached);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                serve(client, &attached, waits);
            }
        });
        relay
    }

    pub(crate) fn host(&self) -> String {
        format!("unix://{}/docker.sock", self.directory.display())
    }

    /// The connection that carries output is reset.
    pub(crate) fn break_output(&self) {
        let attached = std::mem::take(&mut *self.attached.lock().unwrap());
        assert_eq!(attached.len(), 1, "one job is attached to");
        for server in attached {
            server.shutdown(Shutdown::Both).unwrap();
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn serve(mut client: UnixStream, attached: &Arc<Mutex<Vec<UnixStream>>>, waits: Waits) {
    let mut server = UnixStream::connect("/var/run/docker.sock").unwrap();
    let (mut back_from, mut back_to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let attached = Arc::clone(attached);
    let there = std::thread::spawn(move || {
        let mut buffer = [0; 64 * 1024];
        while let Ok((_, size @ 1..)) = recv(&client, &mut buffer, RecvFlags::PEEK) {
            let first = String::from_utf8_lossy(&buffer[..size]);
            let first = first.lines().next().unwrap_or_default();
            if waits == Waits::CutOff && first.contains("/wait") {
                let _ = client.shutdown(Shutdown::Both);
                break;
            }
            let is_attach = first.contains("/attach?");
            if server.write_all(&buffer[..size]).is_err() {
                break;
            }
            // What is left unread makes a reset of the end of a Unix socket.
            client.read_exact(&mut buffer[..size - usize::from(is_attach)]).unwrap();
            if is_attach {
                attached.lock().unwrap().push(server);
                return End::Reset;
            }
        }
        let _ = server.shutdown(Shutdown::Write);
        End::Orderly
    });
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut back_from, &mut back_to);
        if !there.is_finished() || there.join().unwrap() == End::Orderly {
            let _ = back_to.shutdown(Shutdown::Write);
        }
    });
}

#[derive(PartialEq, Eq)]
enum End {
    Orderly,
    Reset,
}
