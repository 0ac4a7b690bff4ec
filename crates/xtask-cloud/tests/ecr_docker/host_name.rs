//! The true host name of an ECR registry, over TLS on port 443, as root: `/etc/hosts` and the daemon's certificates are
//! changed for as long as the test runs.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::Push;
use crate::support::emulator::Repository;
use crate::support::{PASSWORD, run};

const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
const HOSTS: &str = "/etc/hosts";
/// Not the usual one, on which somebody else may use the port.
const ADDRESS: &str = "127.0.44.3";

/// Takes everything back when dropped.
struct Stage {
    hosts: String,
    certificates: PathBuf,
    emulator: Child,
    certificate: PathBuf,
}

impl Stage {
    fn set(directory: &std::path::Path) -> Self {
        let (key, certificate) = (directory.join("key.pem"), directory.join("cert.pem"));
        run(Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "1",
            ])
            .args(["-subj", "/CN=ecr of the tests", "-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-addext", &format!("subjectAltName=DNS:{HOST}")])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate))
        .succeeded();
        let certificates = PathBuf::from("/etc/docker/certs.d").join(HOST);
        fs::create_dir_all(&certificates).unwrap();
        fs::copy(&certificate, certificates.join("ca.crt")).unwrap();
        // Without what a run that was killed may have left there.
        let text = fs::read_to_string(HOSTS).unwrap();
        let hosts: String =
            text.lines().filter(|line| !line.ends_with(HOST)).flat_map(|line| [line, "\n"]).collect();
        fs::write(HOSTS, format!("{hosts}{ADDRESS} {HOST}\n")).unwrap();
        let python = std::env::var("TEST_ECR_PYTHON").unwrap();
        let emulator = Command::new(python)
            .args(["-m", "hypercorn", "--workers", "0", "--bind", &format!("{ADDRESS}:443")])
            .args(["front:app", "--certfile"])
            .arg(&certificate)
            .arg("--keyfile")
            .arg(&key)
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ecr/support"))
            .envs([("BIND_HOST", ADDRESS), ("GATEWAY_PORT", "443"), ("IOT_MTLS_ENABLED", "0")])
            .envs([("MINISTACK_REGION", "eu-west-1"), ("MINISTACK_ACCOUNT_ID", "123456789012")])
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stage = Self { hosts, certificates, emulator, certificate };
        let start = std::time::Instant::now();
        while std::net::TcpStream::connect((ADDRESS, 443)).is_err() {
            assert!(start.elapsed().as_secs() < 60, "nobody listens on port 443");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        stage
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.emulator.kill();
        let _ = self.emulator.wait();
        let _ = fs::write(HOSTS, &self.hosts);
        let _ = fs::remove_dir_all(&self.certificates);
    }
}

#[test]
fn host_name_login_push_and_promotion_over_tls() {
    let push = Push::to(Repository::named("tls"));
    let stage = Stage::set(push.scratch.path());
    let settled = |command: &mut Command| {
        command
            .env_remove("ECR_REGISTRY")
            .env("AWS_ENDPOINT_URL", format!("https://{HOST}"))
            .env("AWS_CA_BUNDLE", &stage.certificate);
    };
    // who does not trust the certificate is told so
    let mut command = push.command("--create-repository", "unused");
    settled(&mut command);
    run(command.env_remove("AWS_CA_BUNDLE")).failed(&["ertificate"]);
    // account by STS, registry from account and region
    let mut command = push.command("--create-repository", "unused");
    settled(&mut command);
    let first = run(&mut command).succeeded().said(&["Created the repository", "Pushed binary", "Verified"]);
    assert!(first.stdout.starts_with(&format!("{HOST}/{}@sha256:", push.repository.0)), "{}", first.stdout);
    let mut command = push.command("--tag v1.0.0", "unused");
    settled(&mut command);
    assert_eq!(run(&mut command).succeeded().said(&["Promoted"]).stdout, first.stdout);
    // docker itself gets in with what the login has stored, and not without
    let config = push.scratch.path().to_owned();
    let pull = |expected: Option<i32>| {
        let out = run(Command::new("docker")
            .args(["pull", "--quiet", first.stdout.trim()])
            .env("DOCKER_CONFIG", &config));
        assert_eq!(out.code, expected, "{}", out.stderr);
    };
    pull(Some(1));
    let mut login = crate::support::xtask("ecr-login", "unused", &push.scratch);
    settled(&mut login);
    let said = run(&mut login).succeeded().said(&["Logged in", HOST]);
    assert!(!said.stderr.contains(PASSWORD));
    pull(Some(0));
    run(Command::new("docker").args(["image", "rm", first.stdout.trim()])).succeeded();
}
