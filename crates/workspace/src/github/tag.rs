//! What a tag names on GitHub, by its full name: a branch may be called like it.

use anyhow::{Context, bail};
use serde_json::Value;

use super::cli::get;
use super::repository::Repository;

/// The commit, through as many tag objects as there are; None where there is no such tag.
pub fn commit_of(repository: &Repository, tag: &str) -> anyhow::Result<Option<String>> {
    let mut answer = get(&format!("repos/{repository}/git/ref/tags/{tag}"))?;
    for _ in 0..DEPTH {
        let Some(there) = answer else { return Ok(None) };
        match object(&there)? {
            ("commit", hash) => return Ok(Some(hash.to_owned())),
            ("tag", hash) => answer = get(&format!("repos/{repository}/git/tags/{hash}"))?,
            (kind, _) => bail!("the tag {tag} names a {kind} on GitHub, not a commit"),
        }
    }
    bail!("the tag {tag} names a tag that names a tag, {DEPTH} times over")
}

/// Nobody tags a tag of a tag.
const DEPTH: usize = 4;

fn object(answer: &Value) -> anyhow::Result<(&str, &str)> {
    let object = &answer["object"];
    object["type"].as_str().zip(object["sha"].as_str()).context("GitHub does not say what the tag names")
}
