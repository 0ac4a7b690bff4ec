//! As much HTTP/1.1 as the client of the API server speaks: requests with a length, answers whole or in chunks.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::Value;

#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) body: Value,
}

impl Request {
    /// Nothing when the client has closed the connection.
    pub(crate) fn read(connection: &mut BufReader<TcpStream>) -> Option<Self> {
        let mut line = String::new();
        connection.read_line(&mut line).ok().filter(|length| *length > 0)?;
        let mut words = line.split_whitespace();
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut length = 0;
        loop {
            let mut header = String::new();
            connection.read_line(&mut header).ok()?;
            let header = header.trim().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        connection.read_exact(&mut body).ok()?;
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        Some(Self {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            body: serde_json::from_slice(&body).unwrap_or_default(),
        })
    }

    pub(crate) fn has(&self, parameter: &str) -> bool {
        self.query.split('&').any(|given| given == parameter)
    }

    /// Whether the label selector, of equalities alone, admits an object.
    pub(crate) fn selects(&self, object: &Value) -> bool {
        let selector = self.parameter("labelSelector").unwrap_or_default();
        let selector = selector.replace("%2F", "/").replace("%3D", "=").replace("%2C", ",");
        selector.split(',').filter(|part| !part.is_empty()).all(|part| {
            let (key, value) = part.split_once('=').unwrap();
            object["metadata"]["labels"][key] == value
        })
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.split('&').find_map(|given| given.strip_prefix(name)?.strip_prefix('='))
    }
}

/// A whole answer.
pub(crate) fn answer(stream: &mut TcpStream, status: u16, body: &Value) -> std::io::Result<()> {
    let body = body.to_string();
    write!(
        stream,
        "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The start of one that comes in chunks.
pub(crate) fn begin(stream: &mut TcpStream) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 200 x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
}

pub(crate) fn chunk(stream: &mut TcpStream, text: &str) -> std::io::Result<()> {
    write!(stream, "{:x}\r\n{text}\r\n", text.len())?;
    stream.flush()
}

pub(crate) fn finish(stream: &mut TcpStream) -> std::io::Result<()> {
    write!(stream, "0\r\n\r\n")
}
