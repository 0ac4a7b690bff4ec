//! A copy of the checkout that a test may change: committed to main, with a bare repository as its origin.

use std::path::PathBuf;
use std::process::Command;

use super::{Scratch, root, run, xtask};

#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) scratch: Scratch,
}

impl Tree {
    pub(crate) fn copy() -> Self {
        let tree = Self { scratch: Scratch::new() };
        let root = root();
        let mut list = Command::new("git");
        list.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root);
        for path in run(&mut list).succeeded().stdout.split_terminator('\0') {
            let to = tree.root().join(path);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            // What git still lists may be gone.
            if root.join(path).is_file() {
                std::fs::copy(root.join(path), to).unwrap();
            }
        }
        // Whatever this repository goes by, a test begins without.
        let empty = include_str!("../../../src/setup/delivery.env");
        std::fs::write(tree.root().join(".github/delivery.env"), empty).unwrap();
        let origin = tree.scratch.path().join("origin.git").display().to_string();
        tree.git(&["init", "--quiet", "--initial-branch", "main"]);
        tree.git(&["init", "--quiet", "--bare", "--initial-branch", "main", &origin]);
        tree.git(&["remote", "add", "origin", &origin]);
        tree.commit("Begin");
        tree
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.scratch.path().join("tree")
    }

    /// What git says.
    pub(crate) fn git(&self, words: &[&str]) -> String {
        std::fs::create_dir_all(self.root()).unwrap();
        let mut git = Command::new("git");
        git.args(["-c", "user.name=test", "-c", "user.email=test@localhost"]).args(words);
        for name in ["GIT_DIR", "GIT_WORK_TREE"] {
            git.env_remove(name);
        }
        run(git.current_dir(self.root())).succeeded().stdout.trim().to_owned()
    }

    /// Everything, on main, here and at the origin.
    pub(crate) fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.git(&["push", "--quiet", "origin", "HEAD:main"]);
    }

    /// Its last commit alone, in its place.
    pub(crate) fn clone_shallow(&self) {
        let origin = format!("file://{}", self.git(&["remote", "get-url", "origin"]));
        std::fs::remove_dir_all(self.root()).unwrap();
        self.git(&["clone", "--quiet", "--depth", "1", &origin, "."]);
    }

    pub(crate) fn replace(&self, path: &str, from: &str, to: &str) {
        let path = self.root().join(path);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from} is not in {}", path.display());
        std::fs::write(path, text.replacen(from, to, 1)).unwrap();
    }

    /// Gives CHANGELOG.md a section, and commits it.
    pub(crate) fn write_changelog(&self, version: &str) {
        let section = format!("## [Unreleased]\n\n## [{version}] - 2026-11-23\n\n- Something new.\n");
        self.replace("CHANGELOG.md", "## [Unreleased]\n", &section);
        self.commit(&format!("Describe {version}"));
    }

    /// What GitHub's API is to answer.
    pub(crate) fn answer(&self, path: &str, answer: &serde_json::Value) {
        let file = self.github().join(format!("api/{path}.json"));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, answer.to_string()).unwrap();
    }

    /// What GitHub knows, see `gh.py`.
    pub(crate) fn github(&self) -> PathBuf {
        self.scratch.path().join("github")
    }

    /// The real program in this tree, with the stand-in for the GitHub CLI.
    pub(crate) fn xtask(&self, words: &str, registry: &str) -> Command {
        let gh = self.scratch.program("gh", "");
        std::fs::write(gh.join("gh"), include_str!("gh.py")).unwrap();
        std::fs::create_dir_all(self.github()).unwrap();
        let mut command = xtask(words, registry, &self.scratch);
        command
            .current_dir(self.root())
            .env("PATH", format!("{}:{}", gh.display(), std::env::var("PATH").unwrap()))
            .env("GH_STATE", self.github())
            .env("GITHUB_REPOSITORY", "site/run-migrations")
            .envs(["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"].map(|name| (name, "test")))
            .envs(["GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"].map(|name| (name, "test@localhost")));
        command
    }
}
