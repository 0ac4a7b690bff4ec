//! Looking at images and into them.

use std::io::Read;

use anyhow::{Context, bail};
use bollard::errors::Error;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, DownloadFromContainerOptionsBuilder, RemoveContainerOptionsBuilder,
};
use futures_util::StreamExt;

use super::Docker;
use workspace::ui;

impl Docker {
    /// The ID of an image, by whatever it is called; none where there is no such image.
    pub async fn id_of(&self, image: &str) -> anyhow::Result<Option<String>> {
        match self.api.inspect_image(image).await {
            Ok(image) => image.id.context("an image without an ID").map(Some),
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot inspect {image}")),
        }
    }

    /// What an image is now, here or, where it is not here yet, in its registry.
    pub async fn digest_of(&self, image: &str) -> anyhow::Result<String> {
        if let Ok(inspected) = self.api.inspect_image(image).await {
            let digest = inspected.repo_digests.and_then(|digests| digests.into_iter().next());
            return digest.or(inspected.id).context("an image without an ID");
        }
        let found = self.api.inspect_registry_image(image, None).await;
        let found = found
            .with_context(|| format!("{image} is not here, and its registry does not tell its digest"))?;
        found.descriptor.digest.with_context(|| format!("the registry of {image} names no digest"))
    }

    /// One file out of an image that is never run.
    pub async fn file_of(&self, image: &str, platform: &str, path: &str) -> anyhow::Result<Vec<u8>> {
        // A container needs a command, even one that never starts.
        let command = Some(vec![path.to_owned()]);
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            cmd: command,
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptionsBuilder::new().platform(platform).build();
        let container =
            self.api.create_container(Some(options), body).await.context("cannot make a container")?.id;
        let packed = self.download(&container, path).await;
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        if let Err(error) = self.api.remove_container(&container, Some(options)).await {
            ui::warning(format!("the container {container} is still there: {error}"));
        }
        let packed = packed.with_context(|| format!("cannot get {path} out of {image}"))?;
        let mut archive = tar::Archive::new(packed.as_slice());
        let Some(entry) = archive.entries().context("not an archive")?.next() else {
            bail!("{image} holds no {path}")
        };
        let mut bytes = Vec::new();
        entry
            .and_then(|mut entry| entry.read_to_end(&mut bytes))
            .with_context(|| format!("cannot unpack {path}"))?;
        Ok(bytes)
    }

    async fn download(&self, container: &str, path: &str) -> anyhow::Result<Vec<u8>> {
        let options = DownloadFromContainerOptionsBuilder::new().path(path).build();
        let mut chunks = std::pin::pin!(self.api.download_from_container(container, Some(options)));
        let mut packed = Vec::new();
        while let Some(chunk) = chunks.next().await {
            packed.extend_from_slice(&chunk?);
        }
        Ok(packed)
    }
}
