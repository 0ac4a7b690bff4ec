//! Whether an image that says which commit it was built from has the inputs of this one.

use anyhow::{bail, ensure};

use super::checks::Git;
use crate::image::inputs;

/// Whether nothing that goes into an image differs between the commit and HEAD.
pub(in crate::tasks) fn are_those_of(git: &Git<'_>, commit: &str) -> anyhow::Result<bool> {
    // A registry says it, and git must not read it as an option or as a name.
    let is_hash = [40, 64].contains(&commit.len()) && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    ensure!(is_hash, "{commit:?} is no commit");
    if git.say(&["cat-file", "-e", &format!("{commit}^{{commit}}")]).is_err() {
        if is_shallow(git)? {
            bail!(
                "this clone is shallow and lacks the commit {commit}; `git fetch --unshallow` brings it, in a workflow \
                 `fetch-depth: 0` of the checkout"
            );
        }
        bail!("this repository has no commit {commit}; if it is a new one, `git fetch` brings it");
    }
    // What differs most often is told at once.
    let words = ["diff", "--quiet", commit, "HEAD", "--", "LICENSE", "migrations/*.sql", "src"];
    Ok(git.say(&words).is_ok() && inputs::are_alike(git.0, commit, "HEAD")?)
}

/// Whether commits are left out of this clone.
pub(super) fn is_shallow(git: &Git<'_>) -> anyhow::Result<bool> {
    Ok(git.say(&["rev-parse", "--is-shallow-repository"])? == "true")
}
