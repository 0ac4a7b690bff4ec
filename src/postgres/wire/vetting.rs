//! What a server may say before it is passed on: sqlx believes any length that a message claims to have, and keeps every
//! setting that is reported.

use std::collections::HashSet;
use std::io;

use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader, BufWriter,
    copy, copy_buf, split,
};

use crate::postgres::wire::message::{body_length, nonsense};

const MOST_COLUMNS: u16 = 1664;

/// PostgreSQL reports some fifteen, and a pooler a few of its own.
const MOST_SETTINGS: usize = 256;

/// Passes on what either side says, until both have ended.
pub(super) async fn pass_on(
    client: &mut (impl AsyncRead + AsyncWrite + Unpin),
    server: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> io::Result<()> {
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

async fn vet(server: impl AsyncRead + Unpin, client: impl AsyncWrite + Unpin) -> io::Result<()> {
    let mut server = BufReader::with_capacity(64 << 10, server);
    let mut client = BufWriter::new(client);
    let mut settings = HashSet::new();
    loop {
        if server.buffer().is_empty() {
            client.flush().await?;
        }
        if server.fill_buf().await?.is_empty() {
            return Ok(());
        }
        let tag = server.read_u8().await?;
        let length = server.read_u32().await?;
        let mut body = body_length(tag, length)?;
        client.write_u8(tag).await?;
        client.write_u32(length).await?;
        match tag {
            b'S' => {
                let mut setting = Vec::new();
                (&mut server).take(body).read_to_end(&mut setting).await?;
                let name = setting.split(|byte| *byte == 0).next().unwrap_or_default();
                if !settings.contains(name) {
                    settings.insert(name.to_vec());
                }
                if settings.len() > MOST_SETTINGS {
                    return Err(nonsense(&format!("it reports more than {MOST_SETTINGS} settings")));
                }
                client.write_all(&setting).await?;
                continue;
            }
            b'T' | b'D' if body >= 2 => {
                let columns = server.read_u16().await?;
                if columns > MOST_COLUMNS {
                    return Err(nonsense(&format!("it announces {columns} columns")));
                }
                client.write_u16(columns).await?;
                body -= 2;
            }
            _ => {}
        }
        copy_buf(&mut (&mut server).take(body), &mut client).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::wire::message::message;

    async fn vetted(said: &[u8]) -> (Vec<u8>, Option<String>) {
        let mut passed = Vec::new();
        let end = vet(said, &mut passed).await;
        (passed, end.err().map(|error| error.to_string()))
    }

    #[tokio::test]
    async fn what_may_be_postgresql_s_passes() {
        for said in [
            &b""[..],
            b"S\0\0\0\x08a\0b\0",
            b"T\0\0\0\x07\0\x01a",
            b"D\0\0\0\x06\x06\x80",
            b"Z\0\0\0\x05I",
            b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I",
        ] {
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
            (b"S\0\x10\0\0", "it announces a message of 1048572 bytes"),
            (b"T\0\x20\0\0", "it announces a message of 2097148 bytes"),
            (b"T\0\0\0\x06\x06\x81", "it announces 1665 columns"),
            (b"D\0\0\0\x06\xff\xff", "it announces 65535 columns"),
        ] {
            assert_eq!(vetted(said).await.1.as_deref(), Some(reason));
        }
    }

    /// The same one may change as often as it likes.
    #[tokio::test]
    async fn settings_are_counted_by_their_names() {
        let said = |names: usize| -> Vec<u8> {
            let setting = |index| message(b'S', format!("s{}\0v\0", index % names).as_bytes());
            (0..2000).flat_map(setting).collect()
        };
        assert_eq!(vetted(&said(256)).await, (said(256), None));
        assert_eq!(vetted(&said(257)).await.1.as_deref(), Some("it reports more than 256 settings"));
    }
}
