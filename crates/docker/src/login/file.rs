//! docker's config.json on disk: the old content or the new one, never something between, whatever kills us.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};

use super::document::Document;

/// Reads it; one that does not exist is empty, one that is broken is an error and stays as it is.
pub(crate) fn read(path: &Path) -> anyhow::Result<Document> {
    match fs::read_to_string(path) {
        Ok(text) => Document::parse(&text).with_context(|| {
            format!("{} is not usable and was left as it is; fix it or move it away", path.display())
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Document::parse(""),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

const PREFIX: &str = ".config.json.";

/// Longer than any write takes.
const STALE: Duration = Duration::from_secs(60);

/// Writes beside the file, then puts the new one in the place of the old one. A symlink stays one, and who owned the
/// file owns it.
pub(crate) fn write(path: &Path, document: &Document) -> anyhow::Result<()> {
    let path = behind_links(path)?;
    let unwritable = || format!("cannot write {}", path.display());
    let directory = path.parent().with_context(unwritable)?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).with_context(unwritable)?;
    sweep(directory);
    // A name of our own, whatever a killed process of the same number has left behind.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let beside = directory.join(format!("{PREFIX}{}-{now}", std::process::id()));
    let mut options = File::options();
    let mut file = options.write(true).create_new(true).mode(0o600).open(&beside).with_context(unwritable)?;
    let temporary = Temporary(beside);
    if let Ok(old) = fs::metadata(&path) {
        // Only root can, and only under root (sudo) is it another's.
        let _ = fchown(&file, Some(old.uid()), Some(old.gid()));
    }
    file.write_all(document.text()?.as_bytes()).and_then(|()| file.sync_all()).with_context(unwritable)?;
    fs::rename(&temporary.0, &path).with_context(unwritable)
}

/// What a process that was killed while it wrote has left behind holds a secret, which is to be in one place alone.
fn sweep(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let written = || entry.metadata().and_then(|metadata| metadata.modified()).ok();
        if is_ours && written().and_then(|time| time.elapsed().ok()).is_some_and(|age| age > STALE) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Gone when dropped, unless it has been renamed.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Where a chain of symlinks ends, also if nothing is there yet.
fn behind_links(path: &Path) -> anyhow::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..40 {
        let Ok(target) = fs::read_link(&path) else { return Ok(path) };
        path = path.parent().map(|parent| parent.join(&target)).unwrap_or(target);
    }
    ensure!(false, "{} is a symlink that leads nowhere", path.display());
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::credentials::Credentials;
    use image::name::Registry;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use workspace::secret::Secret;

    /// A directory of one test.
    struct Scratch(PathBuf);

    impl Scratch {
        fn make(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("docker-config-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn changed(document: &mut Document) {
        let registry = Registry::parse("localhost").unwrap();
        let credentials = Credentials { user: "AWS".to_owned(), password: Secret::new("secret".to_owned()) };
        document.put(&registry, &credentials);
    }

    #[test]
    fn it_is_made_for_its_owner_alone() {
        let scratch = Scratch::make("made");
        let path = scratch.0.join("new/config.json");
        let mut document = read(&path).unwrap();
        changed(&mut document);
        write(&path, &document).unwrap();
        assert_eq!(read(&path).unwrap(), document);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        write(&path, &document).unwrap();
        assert_eq!(mode(&path), 0o600, "one that others could read is closed");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left behind");
    }

    #[test]
    fn who_owned_it_owns_it() {
        let scratch = Scratch::make("owner");
        let path = scratch.0.join("config.json");
        fs::write(&path, "{}").unwrap();
        // Anybody may give a file to themselves; root, which must not keep what it wrote for another, to anybody.
        let owner = if fs::metadata(&path).unwrap().uid() == 0 { Some(65534) } else { None };
        std::os::unix::fs::chown(&path, owner, owner).unwrap();
        let before = fs::metadata(&path).unwrap();
        write(&path, &read(&path).unwrap()).unwrap();
        let after = fs::metadata(&path).unwrap();
        assert_ne!(after.ino(), before.ino(), "it is another file");
        assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()));
    }

    #[test]
    fn what_a_killed_one_left_behind_is_swept_up() {
        let scratch = Scratch::make("swept");
        let path = scratch.0.join("config.json");
        let (old, new) = (scratch.0.join(".config.json.1-1"), scratch.0.join(".config.json.1-2"));
        for left in [&old, &new, &scratch.0.join("config.json.bak")] {
            fs::write(left, "secret").unwrap();
        }
        let long_ago = SystemTime::now() - 2 * STALE;
        File::options().write(true).open(&old).unwrap().set_modified(long_ago).unwrap();
        write(&path, &read(&path).unwrap()).unwrap();
        assert!(!old.exists());
        assert!(new.exists(), "it may be in the making");
        assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 3);
    }

    #[test]
    fn links_stay_links() {
        let scratch = Scratch::make("links");
        let (real, link, far) =
            (scratch.0.join("dotfiles/real.json"), scratch.0.join("config.json"), scratch.0.join("far"));
        symlink("dotfiles/real.json", &link).unwrap();
        symlink(&link, &far).unwrap();
        let mut document = read(&far).unwrap();
        changed(&mut document);
        // the target of the link does not exist yet
        write(&far, &document).unwrap();
        assert!(link.is_symlink() && far.is_symlink() && !real.is_symlink());
        assert_eq!(read(&real).unwrap(), document);
        symlink("loop", scratch.0.join("loop")).unwrap();
        assert!(write(&scratch.0.join("loop"), &document).is_err());
    }

    #[test]
    fn a_broken_one_is_refused_and_untouched() {
        let scratch = Scratch::make("broken");
        let path = scratch.0.join("config.json");
        fs::write(&path, "{\"auths\": {").unwrap();
        let error = format!("{:#}", read(&path).unwrap_err());
        assert!(error.contains("was left as it is") && error.contains("line 1 column 11"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"auths\": {");
    }

    #[test]
    fn a_failure_leaves_what_was_there() {
        let scratch = Scratch::make("failure");
        let path = scratch.0.join("config.json");
        fs::write(&path, "{}").unwrap();
        let mut document = read(&path).unwrap();
        changed(&mut document);
        // what can't be replaced by a file: the last step fails
        let taken = scratch.0.join("taken");
        fs::create_dir_all(taken.join("inside")).unwrap();
        assert!(write(&taken, &document).is_err());
        assert!(taken.join("inside").is_dir());
        assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 2, "nothing else is left behind");
    }
}
