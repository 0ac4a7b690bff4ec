//! The real binary, with a scrubbed environment.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Database, Directory, Outcome, PATIENCE, Role, Server};

/// A run that is about to start.
pub(crate) struct Job {
    command: Command,
    database: String,
}

impl Job {
    /// With nothing in its environment but a readable log.
    pub(crate) fn new(words: &str) -> Self {
        Self::program(env!("CARGO_BIN_EXE_run-migrations").as_ref(), words)
    }

    /// A copy of the binary, for where the one in the target directory can't be reached.
    pub(crate) fn program(program: &std::path::Path, words: &str) -> Self {
        let mut command = Command::new(program);
        command.args(words.split_whitespace()).env_clear().env("LOG_FORMAT", "text").env("RUST_LOG", "warn");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command, database: String::new() }
    }

    /// As the superuser on a database, without encryption, with limits that keep tests short.
    pub(crate) fn on(self, database: &Database) -> Self {
        let Server { host, port, user, password, .. } = Server::of_environment();
        let job = self
            .env("POSTGRES_HOST", &host)
            .env("POSTGRES_PORT", &port.to_string())
            .env("POSTGRES_DB", &database.name)
            .env("POSTGRES_USER", &user)
            .env("POSTGRES_PASSWORD", &password)
            .env("POSTGRES_SSLMODE", "disable")
            .env("LOCK_RETRIES", "0");
        Self { database: database.name.clone(), ..job }
    }

    /// With the scripts of a directory.
    pub(crate) fn within(mut self, directory: &Directory) -> Self {
        self.command.current_dir(directory.path());
        self.env("MIGRATIONS_DIR", "migrations")
    }

    /// As another role.
    pub(crate) fn role(self, role: &Role) -> Self {
        self.env("POSTGRES_USER", &role.name).env("POSTGRES_PASSWORD", &role.password)
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// One more argument, which may hold spaces.
    pub(crate) fn word(mut self, word: &str) -> Self {
        self.command.arg(word);
        self
    }

    /// As another user of the machine; only root may.
    pub(crate) fn user(mut self, id: u32) -> Self {
        std::os::unix::process::CommandExt::uid(&mut self.command, id);
        std::os::unix::process::CommandExt::gid(&mut self.command, id);
        self
    }

    /// With a terminal of its own, whose every character is then in `stdout`.
    #[cfg(target_os = "linux")]
    pub(crate) fn on_a_terminal(mut self) -> Self {
        let words = std::iter::once(self.command.get_program()).chain(self.command.get_args());
        let words: Vec<_> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--command", &words.join(" "), "/dev/null"]).env_clear();
        script.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(directory) = self.command.get_current_dir() {
            script.current_dir(directory);
        }
        script.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.command = script;
        self
    }

    /// Prints its report elsewhere.
    pub(crate) fn prints_to(mut self, file: impl Into<Stdio>) -> Self {
        self.command.stdout(file);
        self
    }

    /// Starts it.
    pub(crate) fn start(mut self) -> Running {
        let mut child = self.command.spawn().unwrap();
        let stdout = child.stdout.take().map_or_else(|| std::thread::spawn(String::new), reader);
        let stderr = reader(child.stderr.take().unwrap());
        Running { child, stdout: Some(stdout), stderr: Some(stderr), database: self.database }
    }

    /// Runs it to its end.
    pub(crate) fn run(self) -> Outcome {
        self.start().wait()
    }
}

fn reader(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        String::from_utf8(bytes).expect("what the job prints is UTF-8")
    })
}

/// A run under way; killed when the test is over.
pub(crate) struct Running {
    child: Child,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
    database: String,
}

impl Running {
    /// Sends `TERM`, `INT` or `KILL`.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success(), "{kill}");
    }

    pub(crate) fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// The most memory it has had so far, in bytes; nothing once it is over.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak.map_or(0, |peak| peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10)
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Outcome {
        let status = self.status();
        let take = |reader: &mut Option<JoinHandle<String>>| reader.take().unwrap().join().unwrap();
        let (stdout, stderr) = (take(&mut self.stdout), take(&mut self.stderr));
        Outcome::new(status, stdout, stderr, &self.database)
    }

    fn status(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "the job did not end within {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
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
