//! The files of the project: what git tracks, and what it would track after `git add`.

use std::path::PathBuf;

use anyhow::Context;

use workspace::git::git;
use workspace::process;
use workspace::project::Project;

#[derive(Debug)]
pub(super) struct ProjectFiles {
    pub(super) root: PathBuf,
    paths: Vec<String>,
}

impl ProjectFiles {
    pub(super) fn read(project: &Project) -> anyhow::Result<Self> {
        let mut git = git(project.root());
        git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let listed = process::output(&mut git).context("cannot list the project's files")?;
        let root = project.root().to_owned();
        let mut paths: Vec<_> =
            listed.split('\0').filter(|path| root.join(path).is_file()).map(str::to_owned).collect();
        paths.sort();
        paths.dedup();
        Ok(Self { root, paths })
    }

    /// The files whose path answers to the description.
    pub(super) fn matching(&self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        self.paths.iter().filter(|path| wanted(path)).cloned().collect()
    }

    /// The text of a file; nothing where it holds none.
    pub(super) fn text(&self, path: &str) -> String {
        std::fs::read_to_string(self.root.join(path)).unwrap_or_default()
    }
}
