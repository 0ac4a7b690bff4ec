//! The job as it is run here: the real binary, nothing of our environment, limits that keep a campaign short.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};

use super::scenario::{LOCK_TIMEOUT, MAX_BLOCKING, Promise, Scenario};
use super::server::Server;

/// Longer than any run takes, the timeouts among it, also where the machine has much else to do.
pub(super) const PATIENCE: Duration = Duration::from_secs(180);

#[derive(Debug)]
pub(super) struct Binaries {
    pub(super) job: PathBuf,
    pub(super) application: PathBuf,
}

/// Where the binaries and the scripts of each scenario are.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) binary: PathBuf,
    /// `examples/application.rs`
    application: PathBuf,
    pub(super) scripts: PathBuf,
}

/// How an application ends that finds a script halfway.
pub(super) const DIRTY: i32 = 75;

impl Program {
    /// Writes the scripts of every scenario.
    pub(super) fn new(
        binaries: &Binaries,
        directory: &Path,
        scenarios: &[&Scenario],
    ) -> anyhow::Result<Self> {
        let scripts = directory.join("scripts");
        for scenario in scenarios {
            let directory = scripts.join(scenario.name);
            std::fs::create_dir_all(&directory)
                .with_context(|| format!("cannot make {}", directory.display()))?;
            for (name, text) in scenario.files {
                std::fs::write(directory.join(name), text).with_context(|| format!("cannot write {name}"))?;
            }
        }
        // Whoever compiles meanwhile does not change what is tried.
        let copy = |binary: &Path, name: &str| {
            let own = directory.join(name);
            std::fs::copy(binary, &own).with_context(|| format!("cannot copy {}", binary.display()))?;
            anyhow::Ok(own)
        };
        let binary = copy(&binaries.job, "run-migrations")?;
        let application = copy(&binaries.application, "application")?;
        Ok(Self { binary, application, scripts })
    }

    /// An application that migrates when it starts.
    pub(super) fn application(&self, scenario: &Scenario, server: &Server, database: &str) -> Command {
        let mut command = Command::new(&self.application);
        let address = server.throwaway.address();
        command
            .env_clear()
            .env("PGHOST", &address.host)
            .env("PGPORT", address.port.to_string())
            .env("PGDATABASE", database)
            .env("PGUSER", &address.user)
            .env("PGPASSWORD", address.password.expose())
            .env("MIGRATIONS_DIR", self.scripts.join(scenario.name));
        command
    }

    /// A run on a database, over a port of the loopback.
    pub(super) fn command(&self, scenario: &Scenario, server: &Server, port: u16, database: &str) -> Command {
        let address = server.throwaway.address();
        let mut command = Command::new(&self.binary);
        command
            .env_clear()
            .env("POSTGRES_HOST", "127.0.0.1")
            .env("POSTGRES_PORT", port.to_string())
            .env("POSTGRES_DB", database)
            .env("POSTGRES_USER", &address.user)
            .env("POSTGRES_PASSWORD", address.password.expose())
            .env("POSTGRES_SSLMODE", "disable")
            .env("MIGRATIONS_DIR", self.scripts.join(scenario.name))
            .env("TRANSACTION", scenario.transaction)
            .env("CONNECT_TIMEOUT", "8s")
            .env("RUN_LOCK_TIMEOUT", "60s")
            .env("LOCK_TIMEOUT", duration(LOCK_TIMEOUT))
            .env("LOCK_RETRIES", "2")
            .env("LOG_FORMAT", "text")
            .env("OUTPUT", "json")
            .current_dir(&self.scripts);
        if scenario.visitors_wait.is_some() {
            command.env("LOCK_RETRIES", "1");
        }
        if scenario.visitors_wait == Some(Promise::MaxBlocking) {
            command.env("MAX_BLOCKING", duration(MAX_BLOCKING));
        }
        command
    }
}

fn duration(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}

/// A run under way; killed when dropped.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    streams: Option<[JoinHandle<String>; 2]>,
}

#[derive(Debug)]
pub(super) struct Ended {
    status: ExitStatus,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Running {
    pub(super) fn start(mut command: Command) -> anyhow::Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run the job")?;
        let stdout = reader(child.stdout.take().context("the job has no stdout")?);
        let stderr = reader(child.stderr.take().context("the job has no stderr")?);
        Ok(Self { child, streams: Some([stdout, stderr]) })
    }

    pub(super) fn signal(&self, signal: Signal) {
        // It has ended in the meantime if this fails.
        let pid = Pid::from_raw(self.child.id().cast_signed());
        let _ = pid.map(|pid| kill_process(pid, signal));
    }

    pub(super) fn is_over(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.try_wait().context("cannot wait for the job")?.is_some())
    }

    /// Waits for its end; `None` when it does not come in time.
    pub(super) fn end(mut self, patience: Duration) -> anyhow::Result<Option<Ended>> {
        let start = Instant::now();
        while start.elapsed() < patience {
            if let Some(status) = self.child.try_wait().context("cannot wait for the job")? {
                let [stdout, stderr] = self.streams.take().context("a job ends once")?.map(|reader| {
                    reader.join().unwrap_or_else(|_| "the thread that read this panicked".to_owned())
                });
                return Ok(Some(Ended { status, stdout, stderr }));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(None)
    }
}

fn reader(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came until then is what there is.
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

impl Drop for Running {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            // It may end in this very moment.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Ended {
    /// The exit code; as a shell counts where it was a signal.
    pub(super) fn code(&self) -> i32 {
        self.status.code().or_else(|| self.status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
    }

    /// Where the run says the database is now.
    pub(super) fn claim(&self) -> Option<serde_json::Value> {
        serde_json::from_str::<serde_json::Value>(&self.stdout).ok()?.get("current").cloned()
    }

    /// The last lines of the log.
    pub(super) fn words(&self) -> String {
        let lines: Vec<_> = self.stderr.lines().rev().take(12).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n      ")
    }
}
