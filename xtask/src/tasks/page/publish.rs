//! The release on GitHub: made once, renewed by every later run of the same tag.

use anyhow::Context;

use crate::changelog::Version;
use crate::github::cli::gh;
use crate::ui;

/// The digest is a file of the release too, for whatever deploys from it.
pub(super) fn publish(version: &Version, image: &str, page: &str) -> anyhow::Result<()> {
    let directory = std::env::temp_dir().join(format!("xtask-release-{}", std::process::id()));
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let write = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        anyhow::Ok(path.display().to_string())
    };
    let outcome = write("page.md", page)
        .and_then(|page| send(version, &page, &write("image.txt", &format!("{image}\n"))?));
    // A copy of what is public now; left behind it does no harm.
    let _ = std::fs::remove_dir_all(&directory);
    outcome
}

fn send(version: &Version, page: &str, image: &str) -> anyhow::Result<()> {
    let (tag, title) = (version.tag(), version.to_string());
    let is_there = gh(&["release", "view", &tag, "--json", "tagName"]).is_ok();
    if is_there {
        gh(&["release", "edit", &tag, "--notes-file", page])?;
    } else {
        let mut words =
            vec!["release", "create", &tag, "--verify-tag", "--title", &title, "--notes-file", page];
        words.extend(version.is_preview().then_some("--prerelease"));
        gh(&words)?;
    }
    gh(&["release", "upload", &tag, image, "--clobber"])?;
    ui::done(if is_there { "Renewed" } else { "Published" }, format!("the release {tag} on GitHub"));
    Ok(())
}
