//! The Job of one run: taken from what kustomize rendered, made to run this image with these words, and named after
//! all of it.

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::fleet::databases::Database;
use super::pod::{CONTAINER, MAIN, container_name};
use super::reference::Reference;
use image::name::hexadecimal;

#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub image: &'a Reference,
    pub command: &'a str,
    pub revision: Option<&'a str>,
    /// All that the job is given: command, revision, options.
    pub words: &'a [String],
}

/// A Job as it is sent to the API server. It stays plain JSON, so that no field is lost that is newer than this
/// program.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    pub name: String,
    pub job: Value,
}

/// The one Job among the documents; everything else is an administrator's to apply.
pub fn only_job(rendered: &str) -> anyhow::Result<Value> {
    let mut jobs = Vec::new();
    for document in serde_yaml::Deserializer::from_str(rendered) {
        let value = Value::deserialize(document).context("the manifests are no YAML")?;
        if value["kind"] == "Job" {
            jobs.push(value);
        }
    }
    match jobs.len() {
        1 => jobs.pop().context("no Job"),
        0 => bail!("there is no Job in the manifests"),
        several => bail!("there are {several} Jobs in the manifests; which of them runs the migrations?"),
    }
}

/// Where the manifests say that it runs.
pub fn namespace(job: &Value) -> Option<&str> {
    job["metadata"]["namespace"].as_str()
}

/// Sets image, words, labels and annotations, then the name.
pub fn prepare(mut job: Value, namespace: &str, wanted: Wanted<'_>) -> anyhow::Result<Manifest> {
    set(&mut job, &["metadata", "namespace"], json!(namespace))?;
    let container = container(&mut job)?;
    ensure!(container.is_object(), "the Job's container is no object");
    container["image"] = json!(wanted.image.to_string());
    container["imagePullPolicy"] = json!(wanted.image.pull_policy());
    container["args"] = json!(wanted.words);
    if let Some(container) = container.as_object_mut() {
        // The image knows its program; words belong behind it, not in its place.
        container.remove("command");
    }
    // Whatever rules of the cluster put beside it, this is the container whose word counts.
    let main = container_name(&job["spec"]["template"]);
    set(&mut job, &["spec", "template", "metadata", "annotations", MAIN], json!(main))?;
    let line = wanted.words.join(" ");
    for place in [&["metadata"][..], &["spec", "template", "metadata"]] {
        let mut put = |group: &str, key: &str, value: &str| {
            set(&mut job, &[place, &[group, key]].concat(), json!(value))
        };
        put("labels", "app.kubernetes.io/managed-by", "cargo-xtask")?;
        put("labels", "run-migrations/command", wanted.command)?;
        if let Some(revision) = wanted.revision {
            put("labels", "run-migrations/revision", &label(revision))?;
            put("annotations", "run-migrations/revision", revision)?;
        }
        put("annotations", "run-migrations/arguments", &line)?;
        put("annotations", "run-migrations/image", &wanted.image.to_string())?;
    }
    // serde_json sorts keys, so that the same Job has the same text.
    set(&mut job, &["metadata", "name"], Value::Null)?;
    let hash = hexadecimal(&Sha256::digest(job.to_string().as_bytes()));
    let name = format!("migrate-{}-{}", wanted.command, &hash[..10]);
    set(&mut job, &["metadata", "name"], json!(name))?;
    Ok(Manifest { name, job })
}

/// What the Jobs of a fleet are made from.
pub struct Template<'a> {
    pub job: &'a Value,
    pub namespace: &'a str,
    pub wanted: Wanted<'a>,
    /// What the fleet is called, so that its Jobs are found by it.
    pub fleet: &'a str,
}

impl Template<'_> {
    /// What tells its Jobs and pods from others.
    pub fn selector(&self) -> String {
        format!("run-migrations/fleet={}", label(self.fleet))
    }

    /// The Job of one database. Its pod gets this Secret's role and password, and those of no other.
    pub fn manifest(&self, database: &Database) -> anyhow::Result<Manifest> {
        let mut job = self.job.clone();
        for place in [&["metadata", "labels"][..], &["spec", "template", "metadata", "labels"]] {
            set(&mut job, &[place, &["run-migrations/fleet"]].concat(), json!(label(self.fleet)))?;
            set(&mut job, &[place, &["run-migrations/database"]].concat(), json!(database.name))?;
        }
        let container = container(&mut job)?;
        if container["env"].is_null() {
            container["env"] = json!([]);
        }
        let variables = container["env"].as_array_mut().context("the Job's env must be a list")?;
        let others = ["POSTGRES_PASSWORD_FILE", "POSTGRES_PASSWORD_COMMAND"];
        variables.retain(|variable| !others.iter().any(|other| variable["name"] == *other));
        let mut put = |name: &str, key: &str, value: Value| {
            let variable = json!({"name": name, key: value});
            match variables.iter_mut().find(|variable| variable["name"] == name) {
                Some(place) => *place = variable,
                None => variables.push(variable),
            }
        };
        let secret = |key: &str| json!({"secretKeyRef": {"name": database.secret, "key": key}});
        put("POSTGRES_HOST", "value", json!(database.host));
        if let Some(port) = database.port {
            put("POSTGRES_PORT", "value", json!(port.to_string()));
        }
        put("POSTGRES_DB", "value", json!(database.database));
        put("POSTGRES_USER", "valueFrom", secret("username"));
        put("POSTGRES_PASSWORD", "valueFrom", secret("password"));
        prepare(job, self.namespace, self.wanted)
    }
}

/// The container that is called `migrate`, or the only one.
fn container(job: &mut Value) -> anyhow::Result<&mut Value> {
    let containers = job.pointer_mut("/spec/template/spec/containers").and_then(Value::as_array_mut);
    let containers = containers.context("the Job has no containers")?;
    let index = match containers.iter().position(|container| container["name"] == CONTAINER) {
        Some(index) => index,
        None if containers.len() == 1 => 0,
        None => bail!("none of the Job's {} containers is called {CONTAINER}", containers.len()),
    };
    Ok(&mut containers[index])
}

/// Sets a value, making the objects above it where they are missing.
fn set(job: &mut Value, path: &[&str], value: Value) -> anyhow::Result<()> {
    let mut place = job;
    for key in path {
        if place.is_null() {
            *place = json!({});
        }
        ensure!(place.is_object(), "the Job's {} is no object", path.join("."));
        place = &mut place[*key];
    }
    *place = value;
    Ok(())
}

/// A label's value takes 63 characters of few kinds, alphanumeric at both ends.
fn label(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric();
    let kept: String =
        text.chars().map(|c| if plain(c) || "-_.".contains(c) { c } else { '_' }).take(63).collect();
    kept.trim_matches(|c| !plain(c)).to_owned()
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
