//! A session that is logged in, handed to sqlx as a Unix socket.
//!
//! sqlx takes no socket of ours, but it connects to Unix sockets: the relay listens on one that lets in this
//! process alone, says there what the server said to the login, and passes bytes on; those of the server
//! only where they may be PostgreSQL's, see `vetting`.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

#[cfg(target_os = "linux")]
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

use crate::postgres::wire::{Opened, message, vetting};

pub(in super::super) const PORT: u16 = 5432;

/// Longer than what sqlx says first.
const LONGEST_STARTUP: u64 = 64 << 10;

/// Gives the "socket directory" under which sqlx finds the session.
pub(in super::super) fn hand_over(opened: Opened) -> io::Result<PathBuf> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let door = Door::open(COUNT.fetch_add(1, Ordering::Relaxed))?;
    let directory = door.directory.clone();
    tokio::spawn(async move {
        let mut client = door.let_in().await?;
        drop(door);
        let passed = serve(&mut client, opened).await;
        if let Err(error) = &passed
            && error.kind() == io::ErrorKind::InvalidData
        {
            tracing::warn!("closed a connection to the server: {error}");
        }
        passed
    });
    Ok(directory)
}

/// Either side may end it: the other one is told by the end of its stream.
async fn serve(client: &mut UnixStream, mut opened: Opened) -> io::Result<()> {
    // sqlx introduces itself, as we have done already.
    let length = client.read_u32().await?;
    let mut startup = Vec::new();
    let rest = u64::from(length).saturating_sub(4).min(LONGEST_STARTUP);
    (&mut *client).take(rest).read_to_end(&mut startup).await?;
    client.write_all(&message::message(b'R', &[0; 4])).await?;
    client.write_all(&opened.greeting.bytes).await?;
    if opened.greeting.refused.is_some() {
        return client.shutdown().await;
    }
    vetting::pass_on(client, &mut opened.stream).await
}

/// A Unix socket that is there until somebody has come in.
struct Door {
    listener: UnixListener,
    directory: PathBuf,
}

impl Door {
    /// In the abstract namespace, which needs no writable file system.
    #[cfg(target_os = "linux")]
    fn open(number: u32) -> io::Result<Self> {
        // Whoever else is on this machine must not have taken the name before.
        let mut secret = [0; 16];
        SystemRandom::new().fill(&mut secret).map_err(|_| io::Error::other("there is no randomness"))?;
        let secret = u128::from_ne_bytes(secret);
        let directory =
            PathBuf::from(format!("\0run-migrations/{}/{number}-{secret:032x}", std::process::id()));
        let listener = UnixListener::bind(directory.join(format!(".s.PGSQL.{PORT}")))?;
        Ok(Self { listener, directory })
    }

    /// In a directory of its own.
    #[cfg(not(target_os = "linux"))]
    fn open(number: u32) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;

        let name = format!("run-migrations-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::DirBuilder::new().mode(0o700).create(&directory)?;
        let listener = UnixListener::bind(directory.join(format!(".s.PGSQL.{PORT}")))?;
        Ok(Self { listener, directory })
    }

    async fn let_in(&self) -> io::Result<UnixStream> {
        loop {
            let (client, _) = self.listener.accept().await?;
            if client.peer_cred()?.pid() == i32::try_from(std::process::id()).ok() {
                return Ok(client);
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Drop for Door {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
