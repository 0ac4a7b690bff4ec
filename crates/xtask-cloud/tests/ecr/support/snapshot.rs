//! The checkout as if all of it were committed: a copy, which compiles where the checkout does.

use super::tree::Tree;
use super::{Scratch, root, run, xtask};

#[derive(Debug)]
pub(crate) struct Snapshot(Tree);

impl Snapshot {
    pub(crate) fn take() -> Self {
        let tree = Tree::copy();
        std::os::unix::fs::symlink(root().join("target"), tree.root().join("target")).unwrap();
        Self(tree)
    }

    /// Where a command is to run.
    pub(crate) fn root(&self) -> std::path::PathBuf {
        self.0.root()
    }

    /// From here on a file counts as not committed.
    pub(crate) fn forget(&self, path: &str) {
        self.0.git(&["rm", "--quiet", "--cached", path]);
    }

    /// From here on it is no checkout.
    pub(crate) fn forget_all(&self) {
        std::fs::remove_dir_all(self.0.root().join(".git")).unwrap();
    }

    /// The tag that an image of this tree has in ECR.
    pub(crate) fn identity(&self, scratch: &Scratch) -> String {
        let mut command = xtask("push-image --dry-run", "127.0.0.1:9", scratch);
        let out = run(command.current_dir(self.root())).succeeded();
        out.stderr.trim().rsplit("identity ").next().unwrap().to_owned()
    }
}
