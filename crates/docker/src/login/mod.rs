//! What `docker login` keeps: credentials by registry, where docker itself would look for them.

pub mod credentials;
mod document;
mod file;
mod helper;

use std::path::PathBuf;

use anyhow::Context;

use credentials::Credentials;
use document::{Document, Keeper};
use helper::Helper;
use image::name::Registry;

#[derive(Debug, Clone)]
pub struct CredentialStore {
    path: PathBuf,
    /// The content of `DOCKER_AUTH_CONFIG`, which docker prefers to the file.
    overriding: Option<String>,
}

/// Where credentials went, or came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredIn {
    Helper {
        program: String,
    },
    /// The file, in which a secret is readable for whoever reads the file.
    File {
        path: PathBuf,
    },
    /// Nowhere: docker asks AWS's own helper, which asks ECR each time.
    NotNeeded {
        program: String,
    },
}

impl CredentialStore {
    pub fn of_this_user() -> anyhow::Result<Self> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let directory = set("DOCKER_CONFIG")
            .map(PathBuf::from)
            .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".docker")))
            .context("neither DOCKER_CONFIG nor HOME says where docker's config.json is")?;
        Ok(Self { path: directory.join("config.json"), overriding: set("DOCKER_AUTH_CONFIG") })
    }

    /// The file that decides where credentials go.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Puts credentials where docker would put them.
    pub fn put(&self, registry: &Registry, credentials: &Credentials) -> anyhow::Result<StoredIn> {
        let mut document = file::read(&self.path)?;
        match document.keeper(registry) {
            Keeper::Helper(name) if Helper(&name).is_awss_own() => {
                Ok(StoredIn::NotNeeded { program: program(&name) })
            }
            Keeper::Helper(name) => {
                Helper(&name).store(registry, credentials)?;
                // A file that has the name already may be one that nobody can write.
                if document.mark(registry) {
                    file::write(&self.path, &document)?;
                }
                Ok(StoredIn::Helper { program: program(&name) })
            }
            Keeper::File => {
                document.put(registry, credentials);
                file::write(&self.path, &document)?;
                Ok(StoredIn::File { path: self.path.clone() })
            }
        }
    }

    /// What docker would send to the registry.
    pub fn find(&self, registry: &Registry) -> anyhow::Result<Option<Credentials>> {
        if let Some(found) = self.overridden(registry)? {
            return Ok(Some(found));
        }
        let document = file::read(&self.path)?;
        match document.keeper(registry) {
            Keeper::Helper(name) => Helper(&name).find(registry),
            Keeper::File => document.find(registry),
        }
    }

    /// Whether the environment has something that docker prefers to what is stored.
    pub fn overridden(&self, registry: &Registry) -> anyhow::Result<Option<Credentials>> {
        let Some(text) = &self.overriding else { return Ok(None) };
        Document::parse(text)
            .and_then(|document| document.find(registry))
            .context("DOCKER_AUTH_CONFIG is not usable")
    }

    /// Takes credentials out; the places where there were some.
    pub fn take(&self, registry: &Registry) -> anyhow::Result<Vec<StoredIn>> {
        let mut document = file::read(&self.path)?;
        let mut places = Vec::new();
        if let Keeper::Helper(name) = document.keeper(registry)
            && !Helper(&name).is_awss_own()
            && Helper(&name).erase(registry)?
        {
            places.push(StoredIn::Helper { program: program(&name) });
        }
        if document.take(registry) {
            file::write(&self.path, &document)?;
            if places.is_empty() {
                places.push(StoredIn::File { path: self.path.clone() });
            }
        }
        Ok(places)
    }
}

fn program(name: &str) -> String {
    format!("docker-credential-{name}")
}

impl std::fmt::Display for StoredIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Helper { program } | Self::NotNeeded { program } => f.write_str(program),
            Self::File { path } => write!(f, "{}", path.display()),
        }
    }
}
