//! What needs a Docker daemon, with the real `xtask` and the real image: `cargo xtask test --all`.

#![expect(clippy::unwrap_used, reason = "a test that unwraps nothing has failed")]

mod relay;

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use relay::{Relay, Waits};

/// The key of the job's run lock, `RunLock::KEY`.
const RUN_LOCK: i64 = 0x664d_23dc_b454_22d2;

fn variable(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set; run this with `cargo xtask test --all`"))
}

fn xtask(words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(words.split(' ')).stdin(Stdio::null()).env("NO_COLOR", "1");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("POSTGRES_") {
            command.env_remove(name);
        }
    }
    command
}

fn finished(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let (stdout, stderr) = both(&output);
    assert!(output.status.success(), "{command:?}: {}\n{stdout}\n{stderr}", output.status);
    stdout
}

fn both(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    (text(&output.stdout), text(&output.stderr))
}

fn docker(words: &[&str]) -> String {
    finished(Command::new("docker").args(words))
}

fn psql(database: &str) -> Command {
    let mut command = Command::new(PathBuf::from(variable("TEST_POSTGRES_BIN")).join("psql"));
    command
        .env("PGHOST", variable("TEST_POSTGRES_HOST"))
        .env("PGPORT", variable("TEST_POSTGRES_PORT"))
        .env("PGUSER", variable("TEST_POSTGRES_USER"))
        .env("PGPASSWORD", variable("TEST_POSTGRES_PASSWORD"))
        .env("PGDATABASE", database)
        .args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1"]);
    command
}

/// A database of the test server, gone at the end.
struct Database(String);

impl Database {
    fn new(name: &str) -> Self {
        let name = format!("docker_{name}_{}", std::process::id());
        finished(psql("postgres").args(["-c", &format!("CREATE DATABASE {name}")]));
        Self(name)
    }

    fn query(&self, sql: &str) -> String {
        finished(psql(&self.0).args(["-c", sql]))
    }

    /// The job in a container, on this database.
    fn job(&self, words: &str, image: &str) -> Command {
        let mut command = xtask(&format!("run-migrations --in-container {words}"));
        command
            .env("IMAGE", image)
            .env("POSTGRES_HOST", variable("TEST_POSTGRES_HOST"))
            .env("POSTGRES_PORT", variable("TEST_POSTGRES_PORT"))
            .env("POSTGRES_USER", variable("TEST_POSTGRES_USER"))
            .env("POSTGRES_PASSWORD", variable("TEST_POSTGRES_PASSWORD"))
            .env("POSTGRES_DB", &self.0);
        command
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let _ = psql("postgres").args(["-c", &format!("DROP DATABASE {} WITH (FORCE)", self.0)]).output();
    }
}

/// An image of this test alone, gone at the end.
struct Image(String);

impl Image {
    fn of(test: &str) -> Self {
        Self(format!("run-migrations-test-{test}-{}", std::process::id()))
    }

    fn build(&self, tag: &str) -> String {
        finished(xtask(&format!("build-image --tag {tag}")).env("IMAGE", &self.0))
    }

    fn layers(&self, tag: &str) -> String {
        docker(&["image", "inspect", "--format", "{{json .RootFS.Layers}}", &format!("{}:{tag}", self.0)])
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        for tag in ["latest", "one", "two"] {
            let _ = Command::new("docker").args(["image", "rm", &format!("{}:{tag}", self.0)]).output();
        }
    }
}

#[test]
fn two_builds_of_one_tree_give_the_same_image() {
    let image = Image::of("layers");
    assert_eq!(image.build("one"), format!("{}:one", image.0), "the reference alone is on stdout");
    image.build("two");
    let layers = image.layers("one");
    assert_eq!(layers, image.layers("two"));
    let id = |tag: &str| docker(&["image", "inspect", "--format", "{{.Id}}", &format!("{}:{tag}", image.0)]);
    assert_eq!(id("one"), id("two"));
    assert_eq!(layers.matches("sha256:").count(), 2, "{layers}");
    let config = docker(&[
        "image",
        "inspect",
        "--format",
        "{{.Config.User}} {{.Os}}/{{.Architecture}}",
        &format!("{}:one", image.0),
    ]);
    assert_eq!(config, "65532:65532 linux/amd64");
}

#[test]
fn the_image_migrates_a_database_and_takes_it_back() {
    let image = Image::of("runs");
    let database = Database::new("runs");
    let report = finished(&mut database.job("upgrade head", &image.0));
    assert!(report.starts_with("upgrade from base to "), "{report}");
    assert_eq!(database.query("SELECT count(*) > 5 AND bool_and(success) FROM _sqlx_migrations"), "t");
    let again = finished(&mut database.job("upgrade head", &image.0));
    assert!(again.contains("nothing to do"), "{again}");
    finished(&mut database.job("downgrade base", &image.0));
    assert_eq!(database.query("SELECT count(*) FROM _sqlx_migrations"), "0");
}

#[test]
fn the_exit_code_of_the_job_is_that_of_the_task() {
    let image = Image::of("codes");
    let database = Database::new("codes");
    let pending = database.job("current --check", &image.0).output().unwrap();
    assert_eq!(pending.status.code(), Some(9), "{:?}", both(&pending));
    let two = database.job("current", &image.0).env("POSTGRES_PASSWORD_FILE", "/nowhere").output().unwrap();
    let (_, stderr) = both(&two);
    assert_eq!(two.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("is set, and so is POSTGRES_PASSWORD_FILE; keep one"), "{stderr}");
    let refused = database.job("current", &image.0).env("POSTGRES_PASSWORD", "wrong").output().unwrap();
    let (_, stderr) = both(&refused);
    assert_eq!(refused.status.code(), Some(8), "{stderr}");
    assert!(!stderr.contains("wrong\""), "{stderr}");
}

#[test]
fn a_dry_run_refuses_what_the_run_would_and_says_where_it_runs() {
    let dry = |words: &str, host: &str| {
        let mut command = xtask(&format!("run-migrations --dry-run {words}"));
        command.env("POSTGRES_HOST", "db.example").env("DOCKER_HOST", host).env_remove("MIGRATIONS_DIR");
        let output = command.output().unwrap();
        (output.status.code(), both(&output).1)
    };
    let (here, nowhere) = ("unix:///var/run/docker.sock", "unix:///nowhere/docker.sock");
    for (words, host, code, said) in [
        (
            "--in-container",
            nowhere,
            1,
            "the job can't run in a container: no Docker can be used: cannot connect",
        ),
        (
            "upgrade",
            nowhere,
            0,
            "PostgreSQL at db.example, natively, since no Docker can be used: cannot connect",
        ),
        ("--native", here, 0, "natively, since --native says so"),
        ("--in-container", here, 0, "in a container on the network host, since Docker "),
    ] {
        let (status, stderr) = dry(words, host);
        assert_eq!(status, Some(code), "{words}: {stderr}");
        assert!(stderr.contains(said), "{words}: {stderr}");
    }
}

#[test]
fn the_password_does_not_show_in_docker_inspect() {
    let image = Image::of("secret");
    let database = Database::new("secret");
    let holder = Holder::of(&database);
    let mut job = Job(database
        .job("upgrade head", &image.0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap());
    let container = job.container(&database);
    let shown = docker(&["container", "inspect", &container]);
    assert!(!shown.contains(&variable("TEST_POSTGRES_PASSWORD")), "{shown}");
    drop(holder);
    assert!(job.0.wait().unwrap().success());
}

#[test]
fn ctrl_c_stops_the_job_and_leaves_no_container() {
    let image = Image::of("interrupt");
    let database = Database::new("interrupt");
    let _holder = Holder::of(&database);
    let mut job = Job(database
        .job("upgrade head", &image.0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap());
    let container = job.container(&database);
    job.interrupt();
    let start = Instant::now();
    let status = job.0.wait().unwrap();
    assert_eq!(status.code(), Some(130), "what the job ends with when it is interrupted");
    assert!(start.elapsed() < Duration::from_secs(8), "it was stopped, not killed: {:?}", start.elapsed());
    let left = docker(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &format!("id={container}")]);
    assert_eq!(left, "");
    assert_eq!(database.query("SELECT to_regclass('_sqlx_migrations') IS NULL"), "t");
}

/// Once, any fault of the output's connection had a running job killed in the middle of what it did.
#[test]
fn a_job_goes_on_when_its_output_breaks_off() {
    let image = Image::of("broken");
    let database = Database::new("broken");
    let holder = Holder::of(&database);
    let relay = Relay::start("broken", Waits::PassedOn);
    let mut job = Job::behind(&relay, &database, &image);
    job.container(&database);
    relay.break_output();
    drop(holder);
    let (status, stderr) = job.end();
    assert_eq!(status, Some(0), "{stderr}");
    assert!(stderr.contains("lost the job's output: ") && stderr.contains("; the job goes on"), "{stderr}");
    assert_eq!(database.query("SELECT count(*) > 5 AND bool_and(success) FROM _sqlx_migrations"), "t");
}

#[test]
fn a_job_that_cannot_be_waited_for_is_asked_to_stop() {
    let image = Image::of("deaf");
    let database = Database::new("deaf");
    let _holder = Holder::of(&database);
    let relay = Relay::start("deaf", Waits::CutOff);
    let mut job = Job::behind(&relay, &database, &image);
    let container = job.container(&database);
    relay.break_output();
    let (status, stderr) = job.end();
    assert_eq!(status, Some(1), "{stderr}");
    assert!(stderr.contains("cannot wait for the container"), "{stderr}");
    let events = docker(&[
        "events",
        "--since=10m",
        "--until=-1s",
        "--filter",
        &format!("container={container}"),
        "--format",
        "{{.Action}} {{.Actor.Attributes.signal}} {{.Actor.Attributes.exitCode}}",
    ]);
    let ends: Vec<_> =
        events.lines().filter(|event| event.starts_with("kill") || event.starts_with("die")).collect();
    assert_eq!(ends, ["kill 15 <no value>", "die <no value> 143"], "asked, not killed: {events}");
    assert!(events.contains("destroy"), "{events}");
}

/// A session that holds the run lock of a database, so that a job on it waits.
struct Holder(Child);

impl Holder {
    /// The session waits for input: killing psql then ends it at once.
    fn of(database: &Database) -> Self {
        let mut child = psql(&database.0).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        writeln!(child.stdin.as_mut().unwrap(), "SELECT pg_advisory_lock({RUN_LOCK});").unwrap();
        let holder = Self(child);
        let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted \
                    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        eventually("the lock is held", || (database.query(held) == "1").then_some(()));
        holder
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running task.
struct Job(Child);

impl Job {
    fn behind(relay: &Relay, database: &Database, image: &Image) -> Self {
        let mut command = database.job("upgrade head", &image.0);
        command.env("DOCKER_HOST", relay.host()).stdout(Stdio::null()).stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    /// Its exit code, and what it had to say.
    fn end(&mut self) -> (Option<i32>, String) {
        let mut stderr = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        (self.0.wait().unwrap().code(), stderr)
    }

    /// The container of the job on this database, once it waits for the lock. The images of all tests are the same one
    /// to Docker, so the image does not tell.
    fn container(&mut self, database: &Database) -> String {
        let ours = format!("POSTGRES_DB={}", database.0);
        let container = eventually("the container runs", || {
            let ids = docker(&["ps", "--quiet", "--no-trunc"]);
            // One of another test may be gone by now.
            let environment = |id: &str| {
                let shown =
                    Command::new("docker").args(["inspect", "--format", "{{.Config.Env}}", id]).output();
                both(&shown.unwrap()).0
            };
            ids.lines()
                .find(|id| environment(id).split([' ', '[', ']']).any(|pair| pair == ours))
                .map(str::to_owned)
        });
        eventually("the job waits for the lock", || {
            let log = Command::new("docker").args(["logs", &container]).output().unwrap();
            both(&log).1.contains("waiting for the run lock").then_some(())
        });
        container
    }

    fn interrupt(&self) {
        finished(Command::new("kill").args(["-INT", &self.0.id().to_string()]));
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Compiling the image's binary may come first.
fn eventually<T>(what: &str, attempt: impl Fn() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(600), "it never came about that {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
