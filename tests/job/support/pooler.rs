//! A connection pooler in transaction mode: whoever begins a transaction gets the first server session that is free, for
//! as long as that lasts.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::Server;

pub(crate) struct Pooler {
    pub(crate) port: u16,
}

/// The sessions nobody uses, the oldest last.
type Pool = Arc<Mutex<Vec<TcpStream>>>;

impl Pooler {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let pool = Pool::default();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, pool) = (client.unwrap(), Arc::clone(&pool));
                // A client that hangs up has had enough.
                std::thread::spawn(move || serve(client, &pool));
            }
        });
        Self { port }
    }
}

/// Lets it in by a session of its own, since its password is between it and the server.
fn serve(mut client: TcpStream, pool: &Pool) -> std::io::Result<()> {
    let Server { host, port, .. } = Server::of_environment();
    let mut own = TcpStream::connect((host.as_str(), port))?;
    let startup = read(&mut client, 0)?;
    own.write_all(&startup)?;
    while answer(&mut own, &mut client)? != Some(b'I') {
        own.write_all(&read(&mut client, 1)?)?;
    }
    pool.lock().unwrap().insert(0, own);
    loop {
        let question = read(&mut client, 1)?;
        if question[0] == b'X' {
            return Ok(());
        }
        let mut session = pool.lock().unwrap().pop().expect("there are as many sessions as clients");
        session.write_all(&question)?;
        while answer(&mut session, &mut client)? != Some(b'I') {
            session.write_all(&read(&mut client, 1)?)?;
        }
        pool.lock().unwrap().push(session);
    }
}

/// Passes on what the server says until it waits for the client; in a transaction or not, where it says so.
fn answer(server: &mut TcpStream, client: &mut TcpStream) -> std::io::Result<Option<u8>> {
    loop {
        let message = read(server, 1)?;
        client.write_all(&message)?;
        match message[0] {
            b'Z' => return Ok(Some(message[5])),
            // An authentication that goes on: SASL, and all but its end.
            b'R' if matches!(message[8], 10 | 11) => return Ok(None),
            _ => {}
        }
    }
}

/// A message, whole: its type, where it has one, its length, the rest.
fn read(from: &mut TcpStream, tag: usize) -> std::io::Result<Vec<u8>> {
    let mut message = vec![0; tag + 4];
    from.read_exact(&mut message)?;
    let length = u32::from_be_bytes(message[tag..].try_into().unwrap());
    message.resize(tag + length as usize, 0);
    from.read_exact(&mut message[tag + 4..])?;
    Ok(message)
}
