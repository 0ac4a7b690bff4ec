//! The checkout as if all of it were committed: a git directory of the test's own beside the real tree.

use std::path::Path;
use std::process::Command;

use super::{Scratch, root, run, xtask};

#[derive(Debug)]
pub(crate) struct Snapshot(Scratch);

impl Snapshot {
    pub(crate) fn take() -> Self {
        let snapshot = Self(Scratch::new());
        snapshot.git(&["init", "--quiet"]);
        snapshot.git(&["add", "--all"]);
        snapshot.git(&[
            "-c",
            "user.name=test",
            "-c",
            "user.email=test@localhost",
            "commit",
            "--quiet",
            "-m",
            "test",
        ]);
        snapshot
    }

    fn git(&self, words: &[&str]) {
        run(Command::new("git").args(words).current_dir(root()).envs(self.environment())).succeeded();
    }

    pub(crate) fn environment(&self) -> [(&'static str, String); 2] {
        let text = |path: &Path| path.display().to_string();
        [("GIT_DIR", text(&self.0.path().join("git"))), ("GIT_WORK_TREE", text(root()))]
    }

    /// From here on a file counts as not committed.
    pub(crate) fn forget(&self, path: &str) {
        self.git(&["rm", "--quiet", "--cached", path]);
    }

    /// The tag that an image of this tree has in ECR.
    pub(crate) fn identity(&self, scratch: &Scratch) -> String {
        let mut command = xtask("push-image --dry-run", "127.0.0.1:9", scratch);
        let out = run(command.envs(self.environment())).succeeded();
        out.stderr.trim().rsplit("identity ").next().unwrap().to_owned()
    }
}
