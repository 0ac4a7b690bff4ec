//! Whether an image that says which commit it was built from is one of main with the inputs of this commit.

use anyhow::{Context, bail, ensure};

use super::checks::Git;
use image::inputs;

/// Main at the origin, by its full name: a tag may be called `origin/main`.
pub(crate) const MAIN: &str = "refs/remotes/origin/main";

/// Whether nothing that goes into an image differs between the commit and HEAD.
pub(crate) fn are_those_of(git: &Git<'_>, commit: &str) -> anyhow::Result<bool> {
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

/// Whether main, by the name that git has for it, has itself been at the commit. The commits of a merged branch are
/// ancestors of main too, and nobody has reviewed or tested any of them but the last.
pub(crate) fn is_of_main(git: &Git<'_>, main: &str, commit: &str) -> anyhow::Result<bool> {
    let all = git.say(&["rev-list", "--first-parent", main, "--"]).with_context(|| {
        format!("this clone lacks {main}; `git fetch origin +refs/heads/main:{MAIN}` brings main")
    })?;
    Ok(all.lines().any(|one| one.eq_ignore_ascii_case(commit)))
}

/// Whether commits are left out of this clone.
pub(super) fn is_shallow(git: &Git<'_>) -> anyhow::Result<bool> {
    Ok(git.say(&["rev-parse", "--is-shallow-repository"])? == "true")
}
