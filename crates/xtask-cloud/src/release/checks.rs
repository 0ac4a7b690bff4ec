//! What has to be true before the tag, but for the image.

use anyhow::{Context, bail};
use serde_json::Value;

use workspace::changelog::{self, Version};
use workspace::git::git;
use workspace::github::cli::get;
use workspace::github::repository::Repository;
use workspace::process;
use workspace::project::Project;

/// git, in the checkout.
#[derive(Debug)]
pub(crate) struct Git<'a>(pub(crate) &'a Project);

impl Git<'_> {
    /// What git says, without the line's end.
    pub(super) fn say(&self, words: &[&str]) -> anyhow::Result<String> {
        let said = process::output(git(self.0.root()).args(words))?;
        Ok(said.trim_end().to_owned())
    }
}

pub(super) type Answer = (&'static str, anyhow::Result<String>);

/// Every one is asked, so that what is missing is known at once.
pub(super) fn all(git: &Git<'_>, project: &Project, version: &Version) -> anyhow::Result<Vec<Answer>> {
    let head = git.say(&["rev-parse", "HEAD"]).context("this is no checkout with a commit")?;
    Ok(vec![
        ("committed", committed(git)),
        ("main", is_main(git, &head)),
        ("tag", is_free(git, &version.tag(), &head)),
        ("changelog", changelog::read(project, version).map(|text| described(&text))),
        ("CI", Repository::find(project).and_then(|repository| was_green(&repository, &head))),
    ])
}

fn described(section: &str) -> String {
    let entries = section.lines().filter(|line| line.starts_with("- ")).count();
    format!("CHANGELOG.md has the section; {entries} entries")
}

fn committed(git: &Git<'_>) -> anyhow::Result<String> {
    match git.say(&["status", "--porcelain"])?.lines().count() {
        0 => Ok("everything is".to_owned()),
        changes => bail!("{changes} changes are not; commit or stash them"),
    }
}

const MAIN: &str = "refs/heads/main";

fn is_main(git: &Git<'_>, head: &str) -> anyhow::Result<String> {
    let branch = git.say(&["rev-parse", "--abbrev-ref", "HEAD"])?;
    if branch != "main" {
        bail!("this is {branch}; releases are made from main");
    }
    let theirs = git.say(&["ls-remote", "origin", MAIN])?;
    // git lists every ref that ends like it, such as a tag of that whole name.
    let mut named = theirs.lines().filter_map(|line| line.split_once('\t'));
    match named.find_map(|(hash, name)| (name == MAIN).then_some(hash)) {
        Some(theirs) if theirs == head => Ok(format!("{head} is the last commit of main here and at origin")),
        Some(theirs) => bail!("origin's main is at {theirs}, this one at {head}; pull or push first"),
        None => bail!("origin has no main"),
    }
}

/// A tag that this release has made before and could not push is as good as none.
fn is_free(git: &Git<'_>, tag: &str, head: &str) -> anyhow::Result<String> {
    let reference = format!("refs/tags/{tag}");
    if !git.say(&["ls-remote", "origin", &reference])?.is_empty() {
        bail!("{tag} is released already; a release never changes, so take the next version");
    }
    if git.say(&["tag", "--list", tag])?.is_empty() {
        return Ok(format!("{tag} is new"));
    }
    match git.say(&["rev-parse", &format!("{reference}^{{commit}}")])? {
        commit if commit == head => Ok(format!("{tag} is here, and not at origin yet")),
        commit => {
            bail!("{tag} is here, at {commit}, but was never pushed; `git tag --delete {tag}` takes it away")
        }
    }
}

fn was_green(repository: &Repository, head: &str) -> anyhow::Result<String> {
    let path =
        format!("repos/{repository}/actions/workflows/ci.yml/runs?head_sha={head}&event=push&branch=main");
    let answer = get(&path)?.with_context(|| format!("{repository} has no workflow ci.yml"))?;
    verdict(&answer, head)
}

/// Of the newest run.
fn verdict(answer: &Value, head: &str) -> anyhow::Result<String> {
    let Some(run) = answer["workflow_runs"].as_array().and_then(|runs| runs.first()) else {
        bail!("ci.yml has not run for {head} on main");
    };
    let page = run["html_url"].as_str().unwrap_or("no page");
    match (run["status"].as_str(), run["conclusion"].as_str()) {
        (_, Some("success")) => Ok(format!("green: {page}")),
        (Some("completed"), conclusion) => {
            bail!("ci.yml ended with {}: {page}", conclusion.unwrap_or("nothing"))
        }
        _ => bail!("ci.yml still runs: {page}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_green_is_green() {
        let run = |status: &str, conclusion: Option<&str>| json!({"workflow_runs": [{"status": status, "conclusion": conclusion, "html_url": "https://a"}]});
        for (answer, expected) in [
            (run("completed", Some("success")), Ok("green: https://a")),
            (run("completed", Some("failure")), Err("ci.yml ended with failure: https://a")),
            (run("in_progress", None), Err("ci.yml still runs: https://a")),
            (json!({"workflow_runs": []}), Err("ci.yml has not run for c0ffee on main")),
        ] {
            let found = verdict(&answer, "c0ffee").map_err(|error| error.to_string());
            assert_eq!(found.as_deref().map_err(String::as_str), expected);
        }
    }
}
