//! A PostgreSQL in a container: its data in a named volume, its port on 127.0.0.1, on a network it shares with the job.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, bail};
use bollard::errors::Error;
use bollard::models::{ContainerCreateBody, HostConfig, NetworkCreateRequest, PortBinding};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, ListImagesOptionsBuilder, LogsOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveVolumeOptionsBuilder,
};
use futures_util::StreamExt;

use super::Address;
use docker::Docker;
use workspace::project::Project;
use workspace::ui;

/// Without a sign of life from a registry for this long, the image counts as not to be had.
const FIRST_SIGN: Duration = Duration::from_secs(10);
const NEXT_SIGN: Duration = Duration::from_secs(30);

/// The image unless another one is named, by digest: what a tag names may change.
pub(crate) fn default_image() -> &'static str {
    let file = include_str!("../Dockerfile");
    file.lines().find_map(|line| line.strip_prefix("FROM ")).map_or("postgres:17", str::trim)
}

#[derive(Debug, Clone)]
pub(crate) struct Names {
    pub container: String,
    pub network: String,
    volume: String,
}

impl Names {
    pub(crate) fn of(project: &Project) -> Self {
        let fingerprint = project.fingerprint();
        let container = format!("run-migrations-postgres-{fingerprint}");
        Self { network: format!("run-migrations-{fingerprint}"), volume: container.clone(), container }
    }
}

/// The wanted image if it is there or can be had, else another PostgreSQL that is there, newest first.
pub(crate) async fn image(docker: &Docker, wanted: &str) -> anyhow::Result<String> {
    let filters = HashMap::from([("reference", vec!["postgres"])]);
    let images = docker
        .api
        .list_images(Some(ListImagesOptionsBuilder::new().filters(&filters).build()))
        .await
        .context("no list of images")?;
    let mut tags: Vec<String> = images.into_iter().flat_map(|image| image.repo_tags).collect();
    if docker.api.inspect_image(wanted).await.is_ok() {
        return Ok(wanted.to_owned());
    }
    match pull(docker, wanted).await {
        Ok(()) => Ok(wanted.to_owned()),
        Err(error) => {
            tags.sort_by_key(|tag| major(tag));
            tags.pop().filter(|tag| major(tag) > 0).ok_or(error)
        }
    }
}

/// `17` of `postgres:17.2-alpine`, 0 where a tag names no version.
fn major(tag: &str) -> u32 {
    let version = tag.split_once(':').map_or("", |(_, version)| version);
    version.split(|c: char| !c.is_ascii_digit()).next().and_then(|major| major.parse().ok()).unwrap_or(0)
}

/// What Docker is asked for. Where a digest is named, it counts, and the tag is for people.
fn name_and_tag(image: &str) -> (&str, &str) {
    let (named, digest) =
        image.split_once('@').map_or((image, None), |(named, digest)| (named, Some(digest)));
    let tagged = named.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'));
    let (name, tag) = tagged.unwrap_or((named, "latest"));
    (name, digest.unwrap_or(tag))
}

async fn pull(docker: &Docker, image: &str) -> anyhow::Result<()> {
    let waiting = ui::waiting("Pulling", image);
    let (name, tag) = name_and_tag(image);
    let options = CreateImageOptionsBuilder::new().from_image(name).tag(tag).build();
    let mut frames = std::pin::pin!(docker.api.create_image(Some(options), None, None));
    let mut patience = FIRST_SIGN;
    loop {
        let frame = tokio::time::timeout(patience, frames.next()).await;
        let Some(frame) = frame
            .with_context(|| format!("no registry answered for {image} within {} s", patience.as_secs()))?
        else {
            return Ok(());
        };
        let frame = frame.with_context(|| format!("{image} can't be pulled"))?;
        if let Some(error) = frame.error_detail {
            bail!("{image} can't be pulled: {}", error.message.unwrap_or_default());
        }
        waiting.say(&format!("{image} {}", frame.status.unwrap_or_default()));
        patience = NEXT_SIGN;
    }
}

/// Runs the server and returns once it answers. A stopped container of the same name makes way; the volume stays.
pub(crate) async fn run(
    docker: &Docker,
    names: &Names,
    image: &str,
    address: &Address,
) -> anyhow::Result<()> {
    remove(docker, names).await?;
    make_network(docker, &names.network).await?;
    let binding =
        PortBinding { host_ip: Some(address.host.clone()), host_port: Some(address.port.to_string()) };
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        env: Some(vec![
            format!("POSTGRES_USER={}", address.user),
            format!("POSTGRES_DB={}", address.database),
            format!("POSTGRES_PASSWORD={}", address.password.expose()),
            // One place for every version: images from 18 on moved theirs.
            "PGDATA=/var/lib/postgresql/cluster".to_owned(),
        ]),
        exposed_ports: Some(vec!["5432/tcp".to_owned()]),
        host_config: Some(HostConfig {
            binds: Some(vec![format!("{}:/var/lib/postgresql", names.volume)]),
            network_mode: Some(names.network.clone()),
            port_bindings: Some(HashMap::from([("5432/tcp".to_owned(), Some(vec![binding]))])),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptionsBuilder::new().name(&names.container).build();
    docker
        .api
        .create_container(Some(options), body)
        .await
        .context("cannot make the container of the local PostgreSQL")?;
    docker
        .api
        .start_container(&names.container, None)
        .await
        .context("cannot start the container of the local PostgreSQL")?;
    until_ready(docker, names).await
}

async fn make_network(docker: &Docker, network: &str) -> anyhow::Result<()> {
    if docker.api.inspect_network(network, None).await.is_ok() {
        return Ok(());
    }
    let request = NetworkCreateRequest { name: network.to_owned(), ..NetworkCreateRequest::default() };
    docker
        .api
        .create_network(request)
        .await
        .map(drop)
        .with_context(|| format!("cannot make the Docker network {network}"))
}

/// While the image sets up a new cluster it listens on a Unix socket alone, hence the question over TCP.
async fn until_ready(docker: &Docker, names: &Names) -> anyhow::Result<()> {
    let _waiting = ui::waiting("Waiting", "for the local PostgreSQL");
    for _ in 0..240 {
        if answers(docker, &names.container).await.unwrap_or(false) {
            return Ok(());
        }
        if !is_running(docker, names).await? {
            bail!(
                "the local PostgreSQL went down at once; it said\n{}",
                last_words(docker, &names.container).await
            );
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    bail!("the local PostgreSQL did not answer within 60 s; `docker logs {}` may say why", names.container)
}

async fn answers(docker: &Docker, container: &str) -> Result<bool, Error> {
    let command = ["pg_isready", "--quiet", "--host=127.0.0.1"].map(str::to_owned).to_vec();
    let options = bollard::exec::CreateExecOptions {
        cmd: Some(command),
        attach_stdout: Some(true),
        ..Default::default()
    };
    let exec = docker.api.create_exec(container, options).await?;
    if let bollard::exec::StartExecResults::Attached { mut output, .. } =
        docker.api.start_exec(&exec.id, None).await?
    {
        while output.next().await.is_some() {}
    }
    Ok(docker.api.inspect_exec(&exec.id).await?.exit_code == Some(0))
}

async fn last_words(docker: &Docker, container: &str) -> String {
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail("5").build();
    let mut logs = std::pin::pin!(docker.api.logs(container, Some(options)));
    let mut words = String::new();
    while let Some(Ok(output)) = logs.next().await {
        words += &output.to_string();
    }
    words.trim_end().to_owned()
}

pub(crate) async fn is_running(docker: &Docker, names: &Names) -> anyhow::Result<bool> {
    match docker.api.inspect_container(&names.container, None).await {
        Ok(container) => Ok(container.state.and_then(|state| state.running).unwrap_or(false)),
        Err(error) if is_missing(&error) => Ok(false),
        Err(error) => Err(error).context("cannot ask for the container of the local PostgreSQL"),
    }
}

/// Stops the server and keeps the data. Returns whether it was running.
pub(crate) async fn stop(docker: &Docker, names: &Names) -> anyhow::Result<bool> {
    let running = is_running(docker, names).await?;
    if running {
        docker
            .api
            .stop_container(&names.container, None)
            .await
            .context("cannot stop the container of the local PostgreSQL")?;
    }
    remove(docker, names).await?;
    Ok(running)
}

/// Removes container, volume and network, whichever are there.
pub(crate) async fn forget(docker: &Docker, names: &Names) -> anyhow::Result<()> {
    remove(docker, names).await?;
    let force = RemoveVolumeOptionsBuilder::new().force(true).build();
    for result in [
        docker.api.remove_volume(&names.volume, Some(force)).await,
        docker.api.remove_network(&names.network).await,
    ] {
        match result {
            Err(error) if !is_missing(&error) => {
                return Err(error).context("cannot remove what the local PostgreSQL had in Docker");
            }
            _ => {}
        }
    }
    Ok(())
}

async fn remove(docker: &Docker, names: &Names) -> anyhow::Result<()> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    match docker.api.remove_container(&names.container, Some(options)).await {
        Err(error) if !is_missing(&error) => {
            Err(error).context("cannot remove the container of the local PostgreSQL")
        }
        _ => Ok(()),
    }
}

fn is_missing(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 404, .. })
}

#[cfg(test)]
mod tests {
    /// Before, a digest was taken for a tag of an image that no registry has.
    #[test]
    fn a_digest_counts_where_one_is_named() {
        for (image, expected) in [
            ("postgres", ("postgres", "latest")),
            ("postgres:17", ("postgres", "17")),
            ("localhost:5000/postgres", ("localhost:5000/postgres", "latest")),
            ("localhost:5000/postgres:17@sha256:ab", ("localhost:5000/postgres", "sha256:ab")),
            ("postgres@sha256:ab", ("postgres", "sha256:ab")),
        ] {
            assert_eq!(super::name_and_tag(image), expected, "{image}");
        }
        let (name, digest) = super::name_and_tag(super::default_image());
        assert_eq!((name, digest.len()), ("postgres", "sha256:".len() + 64));
        assert_eq!(super::major(super::default_image()), 17);
    }

    #[test]
    fn the_major_version_of_a_tag() {
        for (tag, major) in
            [("postgres:17", 17), ("postgres:9.6-alpine", 9), ("postgres:latest", 0), ("postgres", 0)]
        {
            assert_eq!(super::major(tag), major, "{tag}");
        }
    }
}
