//! Settings that hold for more than one run: flag, environment, `xtask/release.yaml`, default, the first that is set.
//! All that is wrong with them is told at once.

pub mod ecr;
pub mod kubernetes;

use anyhow::Context;

use image::platform::Platform;
use image::reference::Name;
use workspace::given::{Environment, FILE, Given, Mistakes, environment};
use workspace::project::Project;
use workspace::yaml;

/// What may be typed or set in the environment about the image.
#[derive(Debug, Default, clap::Args)]
pub struct ImageFlags {
    /// Name of the image in the local Docker [default: run-migrations]
    #[arg(long, env = "IMAGE", value_name = "NAME", hide_env_values = true)]
    image: Option<String>,
    /// Platform the image runs on: linux/amd64 or linux/arm64 [default: linux/amd64]
    #[arg(long, env = "DOCKER_DEFAULT_PLATFORM", value_name = "PLATFORM", hide_env_values = true)]
    platform: Option<String>,
}

/// What may be typed or set in the environment about the local PostgreSQL.
#[derive(Debug, Default, clap::Args)]
pub struct PostgresFlags {
    /// Image of the local PostgreSQL, where it runs in Docker [default: postgres:17, by digest]
    #[arg(long, env = "POSTGRES_IMAGE", value_name = "IMAGE", hide_env_values = true)]
    postgres_image: Option<String>,
}

/// `xtask/release.yaml`.
#[derive(Debug, Default)]
struct File {
    image: Option<Given>,
    platform: Option<Given>,
    postgres_image: Option<Given>,
    ecr: ecr::EcrFile,
    kubernetes: kubernetes::KubernetesFile,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub image: Name,
    pub platform: Platform,
    /// The one of the local PostgreSQL, where it is not the usual one.
    pub postgres_image: Option<String>,
}

impl ImageFlags {
    /// What was typed or set, as it stands.
    pub fn typed(&self) -> Option<&str> {
        self.image.as_deref().filter(|image| !image.is_empty())
    }

    /// Where no image is built.
    pub fn refuse_platform(&self, mistakes: &mut Mistakes) {
        let why = "the image of a run in a cluster is built already; leave it out";
        mistakes.refuse(self.platform.as_ref(), "--platform", "DOCKER_DEFAULT_PLATFORM", &environment, why);
    }
}

impl PostgresFlags {
    /// Where no local PostgreSQL is started.
    pub fn refuse(&self, mistakes: &mut Mistakes) {
        let why = "a run in a cluster starts no local PostgreSQL; leave it out";
        mistakes.refuse(
            self.postgres_image.as_ref(),
            "--postgres-image",
            "POSTGRES_IMAGE",
            &environment,
            why,
        );
    }
}

impl File {
    fn read(project: &Project, mistakes: &mut Mistakes) -> anyhow::Result<Self> {
        match std::fs::read_to_string(project.root().join(FILE)) {
            Ok(text) => Self::parse(&text, mistakes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {FILE}")),
        }
    }

    fn parse(yaml: &str, mistakes: &mut Mistakes) -> anyhow::Result<Self> {
        let document = yaml::parse(yaml).with_context(|| format!("{FILE} is not valid"))?;
        let keys = ["image", "platform", "postgres_image", "ecr", "kubernetes"];
        let mut section = mistakes.section(Some(document), &keys);
        Ok(Self {
            image: mistakes.text(&mut section, "image"),
            platform: mistakes.text(&mut section, "platform"),
            postgres_image: mistakes.text(&mut section, "postgres_image"),
            ecr: ecr::EcrFile::read(section.take("ecr"), mistakes),
            kubernetes: kubernetes::KubernetesFile::read(section.take("kubernetes"), mistakes),
        })
    }
}

impl Settings {
    pub fn read(image: &ImageFlags, postgres: &PostgresFlags, project: &Project) -> anyhow::Result<Self> {
        let mut mistakes = Mistakes::default();
        let settings = Self::gather(image, postgres, project, &mut mistakes)?;
        mistakes.or(settings)
    }

    /// For a task that has other mistakes to tell in the same go. Nothing if something is wrong.
    pub fn gather(
        image: &ImageFlags,
        postgres: &PostgresFlags,
        project: &Project,
        mistakes: &mut Mistakes,
    ) -> anyhow::Result<Option<Self>> {
        let file = File::read(project, mistakes)?;
        Ok(Self::resolve(image, postgres, &file, &environment, mistakes))
    }

    /// With those of the registry.
    pub fn read_with_ecr(
        image: &ImageFlags,
        registry: &ecr::EcrFlags,
        project: &Project,
    ) -> anyhow::Result<(Self, ecr::EcrSettings)> {
        let mut mistakes = Mistakes::default();
        let settings = Self::gather_with_ecr(image, registry, project, &mut mistakes)?;
        mistakes.or(settings)
    }

    pub fn gather_with_ecr(
        image: &ImageFlags,
        registry: &ecr::EcrFlags,
        project: &Project,
        mistakes: &mut Mistakes,
    ) -> anyhow::Result<Option<(Self, ecr::EcrSettings)>> {
        let file = File::read(project, mistakes)?;
        let settings = Self::resolve(image, &PostgresFlags::default(), &file, &environment, mistakes);
        let name = settings.as_ref().map(|settings| &settings.image);
        let registry = ecr::resolve(registry, file.ecr, name, &environment, mistakes);
        Ok(settings.zip(registry))
    }

    /// Those of the cluster alone.
    pub fn gather_kubernetes(
        flags: &kubernetes::KubernetesFlags,
        project: &Project,
        mistakes: &mut Mistakes,
    ) -> anyhow::Result<Option<kubernetes::KubernetesSettings>> {
        let file = File::read(project, mistakes)?;
        Ok(kubernetes::resolve(flags, file.kubernetes, &environment, mistakes))
    }

    /// Nothing if something is wrong.
    fn resolve(
        image: &ImageFlags,
        postgres: &PostgresFlags,
        file: &File,
        environment: Environment<'_>,
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let first = |value: &Option<String>, flag, variable, file: &Option<Given>, default: &str| {
            let typed = Given::typed(value.as_ref(), flag, variable, environment).or_else(|| file.clone());
            Some(typed.unwrap_or_else(|| Given { value: default.to_owned(), by: "the default".to_owned() }))
        };
        let name = first(&image.image, "--image", "IMAGE", &file.image, "run-migrations");
        let platform =
            first(&image.platform, "--platform", "DOCKER_DEFAULT_PLATFORM", &file.platform, "linux/amd64");
        let postgres_image =
            Given::typed(postgres.postgres_image.as_ref(), "--postgres-image", "POSTGRES_IMAGE", environment);
        let postgres_image = postgres_image.or_else(|| file.postgres_image.clone()).map(|given| given.value);
        let image = mistakes.check(name, Name::parse);
        let platform = mistakes.check(platform, Platform::parse);
        Some(Self { image: image?, platform: platform?, postgres_image })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(flags: &ImageFlags, yaml: &str) -> anyhow::Result<Settings> {
        let mut mistakes = Mistakes::default();
        let file = File::parse(yaml, &mut mistakes)?;
        let settings = Settings::resolve(flags, &PostgresFlags::default(), &file, &|_| None, &mut mistakes);
        mistakes.or(settings)
    }

    #[test]
    fn the_first_that_is_set_wins() {
        let flags = |image: &str| ImageFlags { image: Some(image.to_owned()), ..ImageFlags::default() };
        for (flags, yaml, image) in [
            (ImageFlags::default(), "", "run-migrations"),
            (ImageFlags::default(), "# nothing but a comment\n", "run-migrations"),
            (ImageFlags::default(), "image:\n", "run-migrations"),
            (ImageFlags::default(), "image: site/migrations\n", "site/migrations"),
            (flags(""), "image: site/migrations\n", "site/migrations"),
            (flags("localhost:5000/other"), "image: site/migrations\n", "localhost:5000/other"),
        ] {
            assert_eq!(resolved(&flags, yaml).unwrap().image.to_string(), image, "{yaml}");
        }
    }

    #[test]
    fn all_mistakes_are_named_with_their_places() {
        let typed = ImageFlags { platform: Some("windows/amd64".to_owned()), ..ImageFlags::default() };
        for (flags, yaml, message) in [
            (
                &typed,
                "image: a:latest\nplatfrom: linux/amd64\npostgres_image: [a]\necr:\n  region: 5\n  keep: 3\nkubernetes: yes please\n",
                "7 settings are wrong\n  \
                 xtask/release.yaml, line 2 column 1: unknown key `platfrom`, expected one of image, platform, postgres_image, ecr, kubernetes\n  \
                 xtask/release.yaml, line 3 column 17: postgres_image must be a string; quote it if it looks like something else\n  \
                 xtask/release.yaml, line 6 column 3: unknown key `keep`, expected one of region, account, registry, repository, create, immutable_tags, scan_on_push, encryption, keep_releases\n  \
                 xtask/release.yaml, line 5 column 11: region must be a string; quote it if it looks like something else\n  \
                 xtask/release.yaml, line 7 column 13: here are settings expected, some of context, namespace, manifests, start_timeout\n  \
                 xtask/release.yaml, line 1 column 8: image \"a:latest\" must be a name without tag or digest, such as run-migrations\n  \
                 --platform: platform \"windows/amd64\" is not supported; use linux/amd64 or linux/arm64",
            ),
            (
                &ImageFlags::default(),
                "platform: windows/amd64\n",
                "a setting is wrong: xtask/release.yaml, line 1 column 11: platform \"windows/amd64\" is not supported; use linux/amd64 or linux/arm64",
            ),
            (
                &ImageFlags::default(),
                "image: [a\n",
                "xtask/release.yaml is not valid: did not find expected ',' or ']' at line 2 column 1, while parsing a flow sequence at line 1 column 8",
            ),
        ] {
            assert_eq!(format!("{:#}", resolved(flags, yaml).unwrap_err()), message);
        }
    }
}
