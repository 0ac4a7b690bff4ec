//! Which repository on GitHub this checkout belongs to.

use std::fmt;

use anyhow::Context;

use crate::git::git;
use crate::process;
use crate::project::Project;

/// `owner/name`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository(String);

impl Repository {
    /// The one a workflow runs for, else that of the remote `origin`.
    pub fn find(project: &Project) -> anyhow::Result<Self> {
        if let Some(name) = std::env::var("GITHUB_REPOSITORY").ok().filter(|name| !name.is_empty()) {
            return Self::parse(&name).with_context(|| format!("GITHUB_REPOSITORY is {name:?}"));
        }
        let mut git = git(project.root());
        git.args(["remote", "get-url", "origin"]);
        let url = process::output(&mut git)
            .context("which repository on GitHub is this? There is no remote `origin`; set GITHUB_REPOSITORY=owner/name")?;
        let url = url.trim();
        let path = ["https://github.com/", "git@github.com:", "ssh://git@github.com/"];
        let path = path.iter().find_map(|start| url.strip_prefix(start));
        // An address may hold credentials, so it is not repeated.
        path.and_then(|path| Self::parse(path.trim_end_matches('/').trim_end_matches(".git")))
            .context("the remote `origin` is not one of GitHub; set GITHUB_REPOSITORY=owner/name")
    }

    pub fn parse(text: &str) -> Option<Self> {
        let (owner, name) = text.split_once('/')?;
        let is_part = |part: &str| {
            !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        (is_part(owner) && is_part(name)).then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Repository;

    #[test]
    fn names_are_checked() {
        for (text, is_one) in
            [("site/run-migrations", true), ("a/b/c", false), ("a", false), ("a/", false), ("a/$(b)", false)]
        {
            assert_eq!(Repository::parse(text).is_some(), is_one, "{text}");
        }
    }
}
