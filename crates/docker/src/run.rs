//! Running a container in the foreground: what it prints arrives on the same stream here, a signal we get reaches it,
//! its exit code is ours, and nothing of it stays behind. It is never killed before it was asked to end.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, bail};
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, KillContainerOptionsBuilder,
    RemoveContainerOptionsBuilder, StopContainerOptionsBuilder, UploadToContainerOptionsBuilder,
};
use futures_util::StreamExt;
use rustix::process::Signal;

use super::Docker;
use workspace::process::Signals;
use workspace::ui;

/// How long a container may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub struct Run<'a> {
    pub image: &'a str,
    pub platform: &'a str,
    pub arguments: Vec<String>,
    pub environment: Vec<String>,
    pub network: String,
    /// A tar that is unpacked at the root before the start: files that must not show in `docker inspect`.
    pub files: Vec<u8>,
}

impl Docker {
    /// Runs a container to its end and returns its exit code.
    pub async fn run(&self, run: Run<'_>) -> anyhow::Result<u8> {
        // Listening starts before there is anything a signal could leave behind.
        let mut signals = Signals::listen()?;
        let body = ContainerCreateBody {
            image: Some(run.image.to_owned()),
            cmd: Some(run.arguments),
            env: Some(run.environment),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            host_config: Some(HostConfig { network_mode: Some(run.network), ..HostConfig::default() }),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptionsBuilder::new().platform(run.platform).build();
        let container =
            self.api.create_container(Some(options), body).await.context("cannot make a container")?.id;
        let ended = self.run_to_end(&container, run.files, &mut signals).await;
        if ended.is_err()
            && let Err(error) = self.stop(&container, &mut signals).await
        {
            ui::warning(format!(
                "the job may still run: {error:#}; `docker stop --time {} {container}` ends it",
                GRACE.as_secs()
            ));
            return ended;
        }
        let force = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        if let Err(error) = self.api.remove_container(&container, Some(force)).await {
            ui::warning(format!("the container {container} is still there: {error}"));
        }
        ended
    }

    async fn run_to_end(&self, container: &str, files: Vec<u8>, signals: &mut Signals) -> anyhow::Result<u8> {
        let upload = UploadToContainerOptionsBuilder::new().path("/").build();
        self.api
            .upload_to_container(container, Some(upload), bollard::body_full(files.into()))
            .await
            .context("cannot put files into the container")?;
        let attach = AttachContainerOptionsBuilder::new().stdout(true).stderr(true).stream(true).build();
        let mut output = self
            .api
            .attach_container(container, Some(attach))
            .await
            .context("cannot attach to the container")?
            .output;
        self.api.start_container(container, None).await.context("cannot start the container")?;
        let ended = async {
            // Reading ends when the container does, with nothing left unread, or when the connection breaks.
            while let Some(chunk) = output.next().await {
                match chunk {
                    Ok(chunk) => pass_on(&chunk),
                    Err(error) => {
                        ui::warning(format!("lost the job's output: {error}; the job goes on"));
                        break;
                    }
                }
            }
            self.exit_code(container).await
        };
        tokio::pin!(ended);
        let mut asked = 0;
        loop {
            let deadline = async {
                match asked {
                    0 => std::future::pending().await,
                    _ => tokio::time::sleep(GRACE).await,
                }
            };
            let signal = tokio::select! {
                code = &mut ended => return code,
                signal = signals.next() => match signal {
                    _ if asked > 0 => "SIGKILL",
                    Signal::INT => "SIGINT",
                    _ => "SIGTERM",
                },
                () = deadline => "SIGKILL",
            };
            asked += 1;
            if asked == 1 {
                ui::note("Stopping", "the job; it rolls back what it has not committed (again to kill it)");
            }
            let options = KillContainerOptionsBuilder::new().signal(signal).build();
            match self.api.kill_container(container, Some(options)).await {
                // 409: it has ended in the meantime
                Ok(()) | Err(Error::DockerResponseServerError { status_code: 404 | 409, .. }) => {}
                Err(error) => return Err(error).context("cannot signal the container"),
            }
        }
    }

    /// Asks a container that may be running to end, and waits until it has. A signal we get kills it.
    async fn stop(&self, container: &str, signals: &mut Signals) -> anyhow::Result<()> {
        let seconds = i32::try_from(GRACE.as_secs()).context("no such time")?;
        let options = StopContainerOptionsBuilder::new().t(seconds).build();
        tokio::select! {
            stopped = self.api.stop_container(container, Some(options)) => stopped.context("cannot stop it"),
            _ = signals.next() => Ok(()),
        }
    }

    async fn exit_code(&self, container: &str) -> anyhow::Result<u8> {
        let code = match self.api.wait_container(container, None).next().await {
            Some(Ok(response)) => response.status_code,
            // How bollard tells of an exit code other than 0.
            Some(Err(Error::DockerContainerWaitError { code, .. })) => code,
            Some(Err(error)) => return Err(error).context("cannot wait for the container"),
            None => bail!("the daemon did not say how the container ended"),
        };
        u8::try_from(code).with_context(|| format!("the container ended with the impossible code {code}"))
    }
}

/// A reader that has gone away (`| head`) is no reason to leave a migration alone.
fn pass_on(chunk: &LogOutput) {
    match chunk {
        LogOutput::StdErr { message } => {
            let _ = std::io::stderr().write_all(message);
        }
        LogOutput::StdOut { message } | LogOutput::Console { message } | LogOutput::StdIn { message } => {
            let mut stdout = std::io::stdout().lock();
            let _ = stdout.write_all(message).and_then(|()| stdout.flush());
        }
    }
}
