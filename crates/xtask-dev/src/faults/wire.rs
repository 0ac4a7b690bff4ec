//! The messages of PostgreSQL's protocol, as far as a relay has to tell them apart:
//! <https://www.postgresql.org/docs/current/protocol-message-formats.html>.

use std::io::{self, Read};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaker {
    Client,
    Server,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// Its type; the first message of a client has none.
    pub(super) tag: Option<u8>,
    /// All of it, type and length included.
    pub(super) bytes: Vec<u8>,
}

/// Whether a message is the first one of its speaker on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MessagePosition {
    Opening,
    Later,
}

/// Longer than anything a migration of the campaign sends.
const LONGEST: usize = 64 << 20;

/// The next message; `None` at the end of the stream, also when that is in the middle of a message.
pub(super) fn read(
    from: &mut impl Read,
    speaker: Speaker,
    place: MessagePosition,
) -> io::Result<Option<Message>> {
    let untagged = speaker == Speaker::Client && place == MessagePosition::Opening;
    let head = if untagged { 4 } else { 5 };
    let mut bytes = vec![0; head];
    if !filled(from, &mut bytes)? {
        return Ok(None);
    }
    let length = bytes.last_chunk::<4>().map_or(0, |length| u32::from_be_bytes(*length)) as usize;
    if !(4..LONGEST).contains(&length) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a message of PostgreSQL's protocol"));
    }
    bytes.resize(head + length - 4, 0);
    let whole = bytes.get_mut(head..).map_or(Ok(true), |rest| filled(from, rest))?;
    let tag = if untagged { None } else { bytes.first().copied() };
    Ok(whole.then_some(Message { tag, bytes }))
}

fn filled(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

impl Message {
    /// A query that commits by word, which begins a line, or writes down how far a script without a transaction has
    /// come. What only reads ends its transaction within a line, and looks for the name as a string.
    pub(super) fn commits(&self) -> bool {
        self.asks(b"\ncommit") || self.asks(b"\"_run_migrations_progress\"")
    }

    /// A query that builds or drops an index while others work on the table.
    pub(super) fn is_concurrent(&self) -> bool {
        self.asks(b"index concurrently ")
    }

    fn asks(&self, words: &[u8]) -> bool {
        let is_there = |bytes: &[u8]| bytes.eq_ignore_ascii_case(words);
        self.tag == Some(b'Q') && self.bytes.windows(words.len()).any(is_there)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart() {
        let startup = [0, 0, 0, 8, 0, 3, 0, 0];
        let query = b"Q\0\0\0\x0e;\nCOMMIT;\0";
        let reads = b"Q\0\0\0\x2bSHOW synchronous_commit; ABORT; COMMIT\0";
        let sync = b"S\0\0\0\x04";
        let mut stream = &[&startup[..], query, reads, sync, b"Q\0\0"].concat()[..];
        let mut next = |place| read(&mut stream, Speaker::Client, place).unwrap();
        assert_eq!(next(MessagePosition::Opening), Some(Message { tag: None, bytes: startup.to_vec() }));
        let message = next(MessagePosition::Later).unwrap();
        assert_eq!((message.tag, &message.bytes[..], message.commits()), (Some(b'Q'), &query[..], true));
        assert!(!next(MessagePosition::Later).unwrap().commits());
        assert_eq!(next(MessagePosition::Later), Some(Message { tag: Some(b'S'), bytes: sync.to_vec() }));
        assert_eq!(next(MessagePosition::Later), None, "a message that is cut off");
    }

    #[test]
    fn nonsense_is_refused() {
        for bytes in [&b"HTTP/1.1 400"[..], b"Q\0\0\0\0"] {
            assert!(read(&mut &bytes[..], Speaker::Server, MessagePosition::Later).is_err());
        }
    }
}
