//! Something that listens where a server should be.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What a client says to have encryption.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Says the same to everybody.
pub(crate) struct Impostor {
    pub(crate) port: u16,
    heard: Arc<Mutex<Vec<u8>>>,
}

/// What it does about a question for encryption.
#[derive(Clone)]
pub(crate) enum Encryption {
    /// It says the bytes that it has to say, whatever the question.
    Ignored,
    /// It says that it has none.
    None,
    /// It says yes, and these bytes in place of TLS.
    Broken(&'static [u8]),
    /// TLS.
    Tls(Arc<ServerConfig>),
}

impl Impostor {
    /// Hears what a client says first, says this, over and over where it is to be `endless`, and then nothing more.
    pub(crate) fn saying(beginning: Vec<u8>, endless: Vec<u8>) -> Self {
        Self::listen(Encryption::Ignored, vec![beginning], endless)
    }

    /// Answers what a client says with these, one after the other.
    pub(crate) fn answering(encryption: Encryption, answers: Vec<Vec<u8>>) -> Self {
        Self::listen(encryption, answers, Vec::new())
    }

    /// Answers with the one, and then with the other over and over.
    pub(crate) fn answering_without_end(encryption: Encryption, answer: Vec<u8>, endless: Vec<u8>) -> Self {
        Self::listen(encryption, vec![answer], endless)
    }

    /// What clients have said so far, after decryption.
    pub(crate) fn has_heard(&self, words: &str) -> bool {
        self.heard.lock().unwrap().windows(words.len()).any(|window| window == words.as_bytes())
    }

    fn listen(encryption: Encryption, answers: Vec<Vec<u8>>, endless: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::<Mutex<Vec<u8>>>::default();
        let hears = Arc::clone(&heard);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let (encryption, answers, endless) = (encryption.clone(), answers.clone(), endless.clone());
                let hears = Arc::clone(&hears);
                // Whoever hangs up has heard enough.
                std::thread::spawn(move || serve(client, encryption, &answers, &endless, &hears));
            }
        });
        Self { port, heard }
    }
}

fn serve(
    mut client: TcpStream,
    encryption: Encryption,
    answers: &[Vec<u8>],
    endless: &[u8],
    heard: &Mutex<Vec<u8>>,
) -> io::Result<()> {
    if matches!(encryption, Encryption::Ignored) {
        return speak(client, answers, endless, heard);
    }
    let mut peeked = [0; 8];
    while client.peek(&mut peeked)? < peeked.len() {}
    if peeked == SSL_REQUEST {
        client.read_exact(&mut peeked)?;
        match encryption {
            Encryption::Ignored | Encryption::None => client.write_all(b"N")?,
            Encryption::Broken(bytes) => {
                client.write_all(b"S")?;
                // The greeting first, then what breaks off.
                let _ = client.read(&mut [0; 1024])?;
                client.write_all(bytes)?;
            }
            Encryption::Tls(config) => {
                client.write_all(b"S")?;
                let connection = ServerConnection::new(config).map_err(io::Error::other)?;
                return speak(StreamOwned::new(connection, client), answers, endless, heard);
            }
        }
    }
    speak(client, answers, endless, heard)
}

fn speak(
    mut client: impl Read + Write,
    answers: &[Vec<u8>],
    endless: &[u8],
    heard: &Mutex<Vec<u8>>,
) -> io::Result<()> {
    let start = Instant::now();
    let hear = |client: &mut dyn Read| {
        let mut said = [0; 4096];
        let length = client.read(&mut said)?;
        heard.lock().unwrap().extend(&said[..length]);
        Ok::<_, io::Error>(length)
    };
    for answer in answers {
        hear(&mut client)?;
        client.write_all(&with_nonce(answer, &heard.lock().unwrap()))?;
        client.flush()?;
    }
    while !endless.is_empty() && start.elapsed() < Duration::from_secs(60) {
        client.write_all(endless)?;
    }
    while hear(&mut client)? > 0 {}
    Ok(())
}

/// Stands for the nonce that the job said, at the end of what was heard.
pub(crate) const NONCE: &[u8] = b"<the nonce that the job says>";

fn with_nonce(answer: &[u8], heard: &[u8]) -> Vec<u8> {
    let find = |text: &[u8], words: &[u8]| text.windows(words.len()).rposition(|window| window == words);
    match (find(answer, NONCE), find(heard, b",r=")) {
        (Some(at), Some(nonce)) => {
            let message = [&answer[5..at], &heard[nonce + 3..], &answer[at + NONCE.len()..]].concat();
            self::message(answer[0], &message)
        }
        _ => answer.to_vec(),
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
