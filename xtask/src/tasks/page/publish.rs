//! The release on GitHub: made once, renewed by a later run of the same tag that has done something.

use workspace::changelog::Version;
use workspace::github::cli::gh;
use workspace::github::files::Files;
use workspace::project::Project;
use workspace::ui;

/// What becomes of a page that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Earlier {
    Replace,
    /// It tells of the run that did the work, and this one had nothing to do.
    Keep,
}

/// The digest is a file of the release too, for whatever deploys from it.
pub(super) fn publish(
    project: &Project,
    version: &Version,
    image: &str,
    page: &str,
    earlier: Earlier,
) -> anyhow::Result<()> {
    let files = Files::below(&project.target())?;
    let page = files.write("page.md", page)?;
    let file = files.write(IMAGE, &format!("{image}\n"))?;
    send(version, &page, image, &file, earlier)
}

const IMAGE: &str = "image.txt";

fn send(version: &Version, page: &str, image: &str, file: &str, earlier: Earlier) -> anyhow::Result<()> {
    let (tag, title) = (version.tag(), version.to_string());
    let is_there = gh(&["release", "view", &tag, "--json", "tagName"]).is_ok();
    if !is_there {
        // With its file at once: GitHub may be told that a release never changes.
        let mut words =
            vec!["release", "create", &tag, file, "--verify-tag", "--title", &title, "--notes-file", page];
        words.extend(version.is_preview().then_some("--prerelease"));
        gh(&words)?;
    } else if earlier == Earlier::Replace {
        gh(&["release", "edit", &tag, "--notes-file", page])?;
        let there = gh(&["release", "download", &tag, "--pattern", IMAGE, "--output", "-"]);
        if there.is_ok_and(|there| there.trim() == image) {
            ui::note("Unchanged", format!("{IMAGE} of the release"));
        } else {
            gh(&["release", "upload", &tag, file, "--clobber"])?;
        }
    }
    let done = match (is_there, earlier) {
        (false, _) => "Published",
        (true, Earlier::Replace) => "Renewed",
        (true, Earlier::Keep) => "Kept",
    };
    ui::done(done, format!("the release {tag} on GitHub"));
    Ok(())
}
