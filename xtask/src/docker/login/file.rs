//! docker's config.json on disk: the old content or the new one, never something between, whatever kills us.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};

use super::document::Document;

/// Reads it; one that does not exist is empty, one that is broken is an error and stays as it is.
pub(crate) fn read(path: &Path) -> anyhow::Result<Document> {
    match fs::read_to_string(path) {
        Ok(text) => Document::parse(&text).with_context(|| {
            format!("{} is not usable and was left as it is; mend it or move it away", path.display())
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Document::parse(""),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Writes beside the file, then puts the new one in the place of the old one. A symlink stays one.
pub(crate) fn write(path: &Path, document: &Document) -> anyhow::Result<()> {
    let path = behind_links(path)?;
    let unwritable = || format!("cannot write {}", path.display());
    let directory = path.parent().with_context(unwritable)?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).with_context(unwritable)?;
    // A name of our own, whatever a killed process of the same number has left behind.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let beside = directory.join(format!(".config.json.{}-{now}", std::process::id()));
    let mut options = File::options();
    let mut file = options.write(true).create_new(true).mode(0o600).open(&beside).with_context(unwritable)?;
    let temporary = Temporary(beside);
    file.write_all(document.text()?.as_bytes()).and_then(|()| file.sync_all()).with_context(unwritable)?;
    fs::rename(&temporary.0, &path).with_context(unwritable)
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
    use crate::docker::login::credentials::Credentials;
    use crate::image::name::Registry;
    use crate::secret::Secret;
    use std::os::unix::fs::{PermissionsExt, symlink};

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
