//! An HTTP proxy in front of a server that fails where it is told to, and remembers what it was asked.
//!
//! Each request goes over a connection of its own, so a fault hits one request and nothing else.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

/// What is done to a request instead of passing it on.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// This status, with a body of this type.
    Answer { status: u16, kind: &'static str, body: String },
    /// The connection ends without an answer.
    Close,
    /// The connection ends after so many bytes of the request's body.
    Cut { after: usize },
}

/// A fault, for requests whose head or body hold a text, so many times.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) holding: &'static str,
    pub(crate) times: usize,
    pub(crate) fault: Fault,
}

/// What stands behind the proxy.
#[derive(Debug, Clone)]
pub(crate) enum Server {
    Tcp(String),
    Unix(String),
}

/// Running until the test ends.
#[derive(Debug, Clone)]
pub(crate) struct Proxy {
    pub(crate) address: String,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    seen: Vec<String>,
    heads: Vec<String>,
    uploaded: usize,
}

impl Proxy {
    pub(crate) fn start(server: Server, rules: Vec<Rule>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State { rules, ..State::default() }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (server, state) = (server.clone(), Arc::clone(&shared));
                std::thread::spawn(move || serve(client, &server, &state));
            }
        });
        Self { address, state }
    }

    /// How often an operation of AWS was asked for so far.
    pub(crate) fn count(&self, operation: &str) -> usize {
        self.seen().iter().filter(|line| line.ends_with(&format!(" {operation}"))).count()
    }

    /// The first lines of all requests so far; behind those to AWS stand their operations.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.state.lock().unwrap().seen.clone()
    }

    /// The heads of all requests that upload nothing.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.state.lock().unwrap().heads.clone()
    }

    /// Bytes of blobs that clients have sent so far.
    pub(crate) fn uploaded(&self) -> usize {
        self.state.lock().unwrap().uploaded
    }

    /// How many of the faults are still to come.
    pub(crate) fn left(&self) -> usize {
        self.state.lock().unwrap().rules.iter().map(|rule| rule.times).sum()
    }
}

trait Stream: Read + Write + Send {
    fn twin(&self) -> std::io::Result<Box<dyn Stream>>;
    fn end(&self);
}

impl Stream for TcpStream {
    fn twin(&self) -> std::io::Result<Box<dyn Stream>> {
        Ok(Box::new(self.try_clone()?))
    }

    fn end(&self) {
        let _ = self.shutdown(Shutdown::Write);
    }
}

impl Stream for UnixStream {
    fn twin(&self) -> std::io::Result<Box<dyn Stream>> {
        Ok(Box::new(self.try_clone()?))
    }

    fn end(&self) {
        let _ = self.shutdown(Shutdown::Write);
    }
}

/// One request, to its end or to that of the connection.
fn serve(mut client: TcpStream, server: &Server, state: &Mutex<State>) -> Option<()> {
    let mut read = Vec::new();
    let mut buffer = [0; 64 * 1024];
    let end = loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        let size = client.read(&mut buffer).ok().filter(|size| *size > 0)?;
        read.extend_from_slice(&buffer[..size]);
    };
    let head = String::from_utf8_lossy(&read[..end]).into_owned();
    let header = |name: &str| {
        head.lines().find_map(|line| {
            line.split_once(':')
                .filter(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.trim().to_owned())
        })
    };
    if header("expect").is_some() {
        client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
    }
    // A body of known length is read whole, so that rules may look into it; API requests are small.
    let length: usize = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let is_blob = head.starts_with("PATCH") || head.starts_with("PUT");
    while !is_blob && read.len() < end + length {
        let size = client.read(&mut buffer).ok().filter(|size| *size > 0)?;
        read.extend_from_slice(&buffer[..size]);
    }
    let fault = {
        let mut state = state.lock().unwrap();
        let operation = header("x-amz-target").and_then(|target| Some(target.split_once('.')?.1.to_owned()));
        let first = head.lines().next().unwrap_or_default();
        state.seen.push(operation.map_or_else(|| first.to_owned(), |name| format!("{first} {name}")));
        if !is_blob {
            state.heads.push(head.clone());
        }
        let text = String::from_utf8_lossy(&read).into_owned();
        let rule = state.rules.iter_mut().find(|rule| rule.times > 0 && text.contains(rule.holding));
        rule.map(|rule| {
            rule.times -= 1;
            rule.fault.clone()
        })
    };
    let limit = match fault {
        Some(Fault::Answer { status, kind, body }) => {
            let head = format!(
                "HTTP/1.1 {status} Fault\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            client.write_all(head.as_bytes()).ok()?;
            client.write_all(body.as_bytes()).ok()?;
            client.end();
            // What is still coming is read, else the answer is lost with the connection.
            while client.read(&mut buffer).ok().is_some_and(|size| size > 0) {}
            return Some(());
        }
        Some(Fault::Close) => return Some(()),
        Some(Fault::Cut { after }) => Some(end + after),
        None => None,
    };
    let mut upstream: Box<dyn Stream> = match server {
        Server::Tcp(address) => Box::new(TcpStream::connect(address).ok()?),
        Server::Unix(path) => Box::new(UnixStream::connect(path).ok()?),
    };
    // One request to a connection: the server closes it after the answer.
    let kept = head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    let mut lines: Vec<_> = kept.map(str::to_owned).collect();
    lines.insert(1, "Connection: close".to_owned());
    let body = read.split_off(end);
    upstream.write_all((lines.join("\r\n").trim_end().to_owned() + "\r\n\r\n").as_bytes()).ok()?;
    upstream.write_all(&body).ok()?;
    let mut sent = body.len();
    let (mut back_from, mut back_to) = (upstream.twin().ok()?, client.twin().ok()?);
    let back = std::thread::spawn(move || {
        let _ = std::io::copy(&mut back_from, &mut back_to);
        back_to.end();
    });
    let all = if header("transfer-encoding").is_some() { usize::MAX } else { length };
    while sent < all {
        let Some(size) = client.read(&mut buffer).ok().filter(|size| *size > 0) else { break };
        sent += size;
        if limit.is_some_and(|limit| end + sent >= limit) {
            let _ = client.shutdown(Shutdown::Both);
            break;
        }
        if upstream.write_all(&buffer[..size]).is_err() {
            break;
        }
    }
    if is_blob && head.contains("/blobs/uploads/") {
        state.lock().unwrap().uploaded += sent;
    }
    let _ = back.join();
    Some(())
}
