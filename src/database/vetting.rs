//! What a server may say before it is passed on: sqlx believes any length that a message claims to have,
//! and works through any number of rounds on a password.
//!
//! Under TLS the bytes mean nothing here; there, who the server is can be proved.

use std::io::{self, Error, ErrorKind};

use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader, BufWriter,
    copy, copy_bidirectional, copy_buf, split,
};

/// <https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-SSLREQUEST>
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Longer than any row a migration has a use for.
const LONGEST_MESSAGE: u64 = 64 << 20;

/// Longer than any question about a password.
const LONGEST_AUTHENTICATION: u64 = 64 << 10;

/// PostgreSQL's default is 4,096.
const MOST_ROUNDS: u64 = 1_000_000;

/// Passes on what either side says, until both have ended.
pub(super) async fn pass_on(
    client: &mut (impl AsyncRead + AsyncWrite + Unpin),
    server: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> io::Result<()> {
    let mut opening = [0; SSL_REQUEST.len()];
    client.read_exact(&mut opening).await?;
    server.write_all(&opening).await?;
    if opening == SSL_REQUEST {
        let answer = server.read_u8().await?;
        client.write_u8(answer).await?;
        if answer == b'S' {
            return copy_bidirectional(client, server).await.map(drop);
        }
    }
    let (mut from_client, mut to_client) = split(client);
    let (from_server, mut to_server) = split(server);
    let up = async {
        copy(&mut from_client, &mut to_server).await?;
        to_server.shutdown().await
    };
    let down = async {
        vet(from_server, &mut to_client).await?;
        to_client.shutdown().await
    };
    tokio::try_join!(up, down).map(drop)
}

/// Passes on one message after the other.
async fn vet(server: impl AsyncRead + Unpin, client: impl AsyncWrite + Unpin) -> io::Result<()> {
    let mut server = BufReader::with_capacity(64 << 10, server);
    let mut client = BufWriter::new(client);
    loop {
        if server.buffer().is_empty() {
            client.flush().await?;
        }
        if server.fill_buf().await?.is_empty() {
            return Ok(());
        }
        let tag = server.read_u8().await?;
        let length = server.read_u32().await?;
        let Some(body) = u64::from(length).checked_sub(4).filter(|_| tag.is_ascii_alphanumeric()) else {
            return Err(nonsense("what it says is not PostgreSQL's protocol"));
        };
        let longest = if tag == b'R' { LONGEST_AUTHENTICATION } else { LONGEST_MESSAGE };
        if body > longest {
            return Err(nonsense(&format!("it announces a message of {body} bytes")));
        }
        client.write_u8(tag).await?;
        client.write_u32(length).await?;
        if tag == b'R' {
            let mut question = Vec::new();
            (&mut server).take(body).read_to_end(&mut question).await?;
            if rounds(&question).is_some_and(|rounds| rounds > MOST_ROUNDS) {
                return Err(nonsense(&format!("it asks for more than {MOST_ROUNDS} rounds on the password")));
            }
            client.write_all(&question).await?;
        } else {
            copy_buf(&mut (&mut server).take(body), &mut client).await?;
        }
    }
}

fn nonsense(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

/// The `i=4096` of what a server says first in SCRAM, where this is that.
fn rounds(question: &[u8]) -> Option<u64> {
    let said = question.strip_prefix(&11u32.to_be_bytes())?;
    let digits = said.split(|&byte| byte == b',').find_map(|attribute| attribute.strip_prefix(b"i="))?;
    Some(std::str::from_utf8(digits).ok()?.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn vetted(said: &[u8]) -> (Vec<u8>, Option<String>) {
        let mut passed = Vec::new();
        let end = vet(said, &mut passed).await;
        (passed, end.err().map(|error| error.to_string()))
    }

    #[tokio::test]
    async fn what_may_be_postgresql_s_passes() {
        for said in
            [&b""[..], b"Z\0\0\0\x05I", b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I", b"R\0\0\0\x10\0\0\0\x0br=x,i=10"]
        {
            assert_eq!(vetted(said).await, (said.to_vec(), None));
        }
    }

    #[tokio::test]
    async fn nonsense_does_not() {
        for (said, reason) in [
            (&b"HTTP/1.1 400 Bad Request"[..], "it announces a message of 1414811691 bytes"),
            (b"D\xff\xff\xff\xff", "it announces a message of 4294967291 bytes"),
            (b"Z\0\0\0\x03", "what it says is not PostgreSQL's protocol"),
            (b"\0\0\0\0\x08\0\0\0\0", "what it says is not PostgreSQL's protocol"),
            (b"R\0\x10\0\0", "it announces a message of 1048572 bytes"),
            (b"R\0\0\0\x17\0\0\0\x0bi=4294967295,", "it asks for more than 1000000 rounds on the password"),
        ] {
            assert_eq!(vetted(said).await.1.as_deref(), Some(reason));
        }
    }
}
