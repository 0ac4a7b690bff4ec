//! Settings that hold for more than one run: flag, environment, `xtask/release.yaml`, default, the first that is set.

#[cfg_attr(not(feature = "cloud"), expect(dead_code, reason = "for the tasks of the build with the feature"))]
pub(crate) mod ecr;
pub(crate) mod kubernetes;

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::image::reference::Name;
use crate::project::Project;

/// What may be typed or set in the environment about the image.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct ImageFlags {
    /// Name of the image in the local Docker [default: run-migrations]
    #[arg(long, env = "IMAGE", value_name = "NAME", hide_env_values = true)]
    image: Option<String>,
    /// Platform the image runs on: linux/amd64 or linux/arm64 [default: linux/amd64]
    #[arg(long, env = "DOCKER_DEFAULT_PLATFORM", value_name = "PLATFORM", hide_env_values = true)]
    platform: Option<String>,
}

/// What may be typed or set in the environment about the local PostgreSQL.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct PostgresFlags {
    /// Image of the local PostgreSQL, where it runs in Docker [default: postgres:17]
    #[arg(long, env = "POSTGRES_IMAGE", value_name = "IMAGE", hide_env_values = true)]
    postgres_image: Option<String>,
}

/// `xtask/release.yaml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    image: Option<String>,
    platform: Option<String>,
    postgres_image: Option<String>,
    ecr: Option<ecr::EcrFile>,
    kubernetes: Option<kubernetes::KubernetesFile>,
}

/// What the tasks run on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) image: Name,
    pub(crate) platform: Platform,
    pub(crate) postgres_image: String,
}

/// A platform the job can be built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Platform {
    Amd64,
    Arm64,
}

impl Platform {
    fn parse(text: &str) -> anyhow::Result<Self> {
        match text {
            "linux/amd64" => Ok(Self::Amd64),
            "linux/arm64" | "linux/arm64/v8" => Ok(Self::Arm64),
            other => bail!("platform {other:?} is not supported; use linux/amd64 or linux/arm64"),
        }
    }

    /// The one a measurement runs on.
    pub(crate) fn of_this_machine() -> anyhow::Result<Self> {
        Self::parse(&format!("linux/{}", if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }))
    }

    /// As Docker writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "linux/amd64",
            Self::Arm64 => "linux/arm64",
        }
    }

    /// The architecture as Docker names it in an image's config.
    pub(crate) fn architecture(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The architecture as Rust names it.
    pub(crate) fn rust(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }
}

impl ImageFlags {
    /// What was typed or set, as it stands.
    #[cfg(feature = "cloud")]
    pub(crate) fn typed(&self) -> Option<&str> {
        self.image.as_deref().filter(|image| !image.is_empty())
    }
}

impl File {
    fn read(project: &Project) -> anyhow::Result<Self> {
        match std::fs::read_to_string(project.root().join("xtask/release.yaml")) {
            Ok(text) => Self::parse(&text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).context("cannot read xtask/release.yaml"),
        }
    }

    /// `None` is what a file of nothing but comments holds. serde_yaml's message names line and column.
    fn parse(yaml: &str) -> anyhow::Result<Self> {
        let file = serde_yaml::from_str::<Option<Self>>(yaml).context("xtask/release.yaml is not valid")?;
        Ok(file.unwrap_or_default())
    }
}

impl Settings {
    pub(crate) fn read(
        image: &ImageFlags,
        postgres: &PostgresFlags,
        project: &Project,
    ) -> anyhow::Result<Self> {
        Self::resolve(image, postgres, File::read(project)?)
    }

    /// With those of the registry.
    #[cfg(feature = "cloud")]
    pub(crate) fn read_with_ecr(
        image: &ImageFlags,
        registry: &ecr::EcrFlags,
        project: &Project,
    ) -> anyhow::Result<(Self, ecr::EcrSettings)> {
        let mut file = File::read(project)?;
        let own = file.ecr.take().unwrap_or_default();
        let settings = Self::resolve(image, &PostgresFlags::default(), file)?;
        let older_region = std::env::var("AWS_DEFAULT_REGION").ok();
        let registry = ecr::resolve(registry, older_region, own, &settings.image)?;
        Ok((settings, registry))
    }

    /// Those of the cluster alone.
    #[cfg(feature = "cloud")]
    pub(crate) fn read_kubernetes(
        flags: &kubernetes::KubernetesFlags,
        project: &Project,
    ) -> anyhow::Result<kubernetes::KubernetesSettings> {
        kubernetes::resolve(flags, File::read(project)?.kubernetes.unwrap_or_default())
    }

    fn resolve(image: &ImageFlags, postgres: &PostgresFlags, file: File) -> anyhow::Result<Self> {
        let first = |flag: &Option<String>, file: Option<String>, default: &str| {
            let set = |value: &String| !value.is_empty();
            flag.clone().filter(set).or(file.filter(set)).unwrap_or_else(|| default.to_owned())
        };
        let name = first(&image.image, file.image, "run-migrations");
        Ok(Self {
            image: Name::parse(&name)?,
            platform: Platform::parse(&first(&image.platform, file.platform, "linux/amd64"))?,
            postgres_image: first(&postgres.postgres_image, file.postgres_image, "postgres:17"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_is_set_wins() {
        let flags = |image: &str| ImageFlags { image: Some(image.to_owned()), ..ImageFlags::default() };
        for (flags, yaml, image) in [
            (ImageFlags::default(), "", "run-migrations"),
            (ImageFlags::default(), "# nothing but a comment\n", "run-migrations"),
            (ImageFlags::default(), "image: site/migrations\n", "site/migrations"),
            (flags(""), "image: site/migrations\n", "site/migrations"),
            (flags("localhost:5000/other"), "image: site/migrations\n", "localhost:5000/other"),
        ] {
            let file = File::parse(yaml).unwrap();
            assert_eq!(
                Settings::resolve(&flags, &PostgresFlags::default(), file).unwrap().image.to_string(),
                image,
                "{yaml}"
            );
        }
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (yaml, message) in [
            (
                "image: a\nplatfrom: linux/amd64\n",
                "unknown field `platfrom`, expected one of `image`, `platform`, `postgres_image`, `ecr`, `kubernetes` at line 2 column 1",
            ),
            ("image: [a]\n", "image: invalid type: sequence, expected a string at line 1 column 8"),
            (
                "platform: windows/amd64\n",
                "platform \"windows/amd64\" is not supported; use linux/amd64 or linux/arm64",
            ),
            (
                "image: a:latest\n",
                "image \"a:latest\" must be a name without tag or digest, such as run-migrations",
            ),
        ] {
            let error = File::parse(yaml)
                .and_then(|file| Settings::resolve(&ImageFlags::default(), &PostgresFlags::default(), file))
                .unwrap_err();
            assert_eq!(error.root_cause().to_string(), message);
        }
    }
}
