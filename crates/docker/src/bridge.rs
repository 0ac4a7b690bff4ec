//! Daemons behind TLS or ssh, reached as the docker CLI reaches them: every connection to a private socket of ours is
//! handed to a `docker system dial-stdio`, so keys, agents and certificates are the CLI's business and need no code.

use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use tokio::io::{AsyncWriteExt, copy};
use tokio::net::{UnixListener, UnixStream};
use tokio::process::Command;

use workspace::process;

/// The socket; gone when dropped.
#[derive(Debug)]
pub(crate) struct Bridge {
    directory: PathBuf,
}

impl Bridge {
    pub(crate) fn open(host: &str) -> anyhow::Result<Self> {
        let docker = process::find("docker").with_context(|| {
            format!("{host} needs TLS or ssh, which is left to the docker CLI, and no docker is on PATH; install it or use a local daemon")
        })?;
        Self::to(docker)
    }

    fn to(docker: PathBuf) -> anyhow::Result<Self> {
        // A name of our own, whatever a killed process of the same number has left behind.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let name = format!("run-migrations-docker-{}-{now}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        let bridge = Self { directory };
        let listener = UnixListener::bind(bridge.socket()).context("cannot listen on a private socket")?;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(carry(docker.clone(), stream));
            }
        });
        Ok(bridge)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.join("docker.sock")
    }
}

async fn carry(docker: PathBuf, mut stream: UnixStream) -> std::io::Result<()> {
    let mut child = Command::new(docker)
        .args(["system", "dial-stdio"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .process_group(0)
        .spawn()?;
    let (Some(mut stdin), Some(mut stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Ok(());
    };
    let (mut from_us, mut to_us) = stream.split();
    let requests = async {
        let _ = copy(&mut from_us, &mut stdin).await;
        drop(stdin);
        // The daemon's side ends a connection: ours may be closed for writing while the answer still comes.
        std::future::pending::<()>().await;
    };
    let responses = async {
        let received = copy(&mut stdout, &mut to_us).await;
        to_us.shutdown().await?;
        received.map(drop)
    };
    tokio::select! {
        received = responses => received,
        () = requests => Ok(()),
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In containers, numbers of processes repeat.
    #[tokio::test]
    async fn two_of_one_process_number_are_not_in_each_others_way() {
        let bridges = [(); 2].map(|()| Bridge::to("docker".into()).unwrap());
        let sockets = bridges.each_ref().map(Bridge::socket);
        assert!(sockets.iter().all(|socket| socket.exists()), "{sockets:?}");
        drop(bridges);
        assert!(!sockets.iter().any(|socket| socket.exists()), "{sockets:?}");
    }
}
