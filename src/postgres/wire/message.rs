//! Messages of PostgreSQL's protocol, as long as they may be:
//! <https://www.postgresql.org/docs/current/protocol-message-formats.html>.

use std::io::{self, Error, ErrorKind};

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Longer than any row a migration has a use for. The job is to live through it with the memory that `k8s/` gives it.
const LONGEST: u64 = 16 << 20;

/// Longer than the names and types of as many columns as a row may have.
const LONGEST_DESCRIPTION: u64 = 1 << 20;

/// Longer than anything that is said about a login, and than any setting that is reported.
const LONGEST_AT_LOGIN: u64 = 64 << 10;

pub(super) struct Message {
    pub(super) tag: u8,
    pub(super) body: Vec<u8>,
}

/// Reads a message from before the first query.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin + ?Sized)) -> io::Result<Message> {
    let tag = stream.read_u8().await?;
    let length = announced(tag, stream.read_u32().await?, LONGEST_AT_LOGIN)?;
    let mut body = Vec::new();
    if stream.take(length).read_to_end(&mut body).await? as u64 == length {
        Ok(Message { tag, body })
    } else {
        Err(ErrorKind::UnexpectedEof.into())
    }
}

/// How long the body of a message is, by its tag and what it says of its length.
pub(super) fn body_length(tag: u8, length: u32) -> io::Result<u64> {
    let longest = match tag {
        b'R' | b'S' => LONGEST_AT_LOGIN,
        b'T' => LONGEST_DESCRIPTION,
        _ => LONGEST,
    };
    announced(tag, length, longest)
}

fn announced(tag: u8, length: u32, longest: u64) -> io::Result<u64> {
    match u64::from(length).checked_sub(4).filter(|_| tag.is_ascii_alphanumeric()) {
        None => Err(nonsense("what it says is not PostgreSQL's protocol")),
        Some(body) if body > longest => Err(nonsense(&format!("it announces a message of {body} bytes"))),
        Some(body) => Ok(body),
    }
}

pub(super) fn nonsense(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

pub(super) fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [&[tag], &length.to_be_bytes()[..], body].concat()
}

/// What begins a session: protocol 3.0, and settings by name.
pub(super) fn startup(settings: &[(&str, &str)]) -> Vec<u8> {
    let mut body = vec![0, 3, 0, 0];
    for (name, value) in settings {
        for text in [name, value] {
            // What follows a zero byte would be another setting. No variable of the environment can hold one.
            body.extend(text.bytes().take_while(|byte| *byte != 0));
            body.push(0);
        }
    }
    body.push(0);
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], &body].concat()
}

pub(super) fn sqlstate(body: &[u8]) -> String {
    let mut fields = body.split(|byte| *byte == 0);
    let code = fields.find_map(|field| field.strip_prefix(b"C")).unwrap_or_default();
    String::from_utf8_lossy(code).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_is_read_if_it_may_be_one() {
        let read = async |said: &[u8]| match read(&mut &*said).await {
            Ok(Message { tag, body }) => Ok((tag, body)),
            Err(error) => Err(error.to_string()),
        };
        assert_eq!(read(b"Z\0\0\0\x05I?").await, Ok((b'Z', b"I".to_vec())));
        for (said, reason) in [
            (&b"Z\0\0\0\x03"[..], "what it says is not PostgreSQL's protocol"),
            (b"\0\0\0\0\x08\0\0\0\0", "what it says is not PostgreSQL's protocol"),
            (b"E\0\x10\0\0", "it announces a message of 1048572 bytes"),
            (b"HTTP/1.1 400 Bad Request", "it announces a message of 1414811691 bytes"),
            (b"Z\0\0\0\x06I", "unexpected end of file"),
        ] {
            assert_eq!(read(said).await, Err(reason.to_owned()));
        }
    }

    #[test]
    fn what_is_written() {
        assert_eq!(message(b'p', b"ab"), b"p\0\0\0\x06ab");
        assert_eq!(startup(&[("user", "a\0b")]), b"\0\0\0\x10\0\x03\0\0user\0a\0\0");
        assert_eq!(sqlstate(b"SFATAL\0VFATAL\0C28000\0Mno\0\0"), "28000");
        assert_eq!(sqlstate(b"nonsense"), "");
    }
}
