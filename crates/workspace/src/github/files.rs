//! Files that are handed to gh: in a fresh directory of this user alone, so that nobody else on this machine reads them
//! or puts others in their place, and gone afterwards.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;

#[derive(Debug)]
pub struct Files {
    directory: PathBuf,
}

impl Files {
    pub fn below(parent: &Path) -> anyhow::Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let directory = parent.join(format!("gh-{}-{now}", std::process::id()));
        let unwritable = || format!("cannot make {}", directory.display());
        std::fs::create_dir_all(parent).with_context(unwritable)?;
        // Fails if there is one already, or a link.
        std::fs::DirBuilder::new().mode(0o700).create(&directory).with_context(unwritable)?;
        Ok(Self { directory })
    }

    /// The path of a new file with this text.
    pub fn write(&self, name: &str, text: &str) -> anyhow::Result<String> {
        let path = self.directory.join(name);
        let mut options = std::fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path.display().to_string())
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // What is left behind holds no secret.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::project::Project;

    #[test]
    fn files_are_new_private_and_gone_afterwards() {
        let target = Project::find().unwrap().target();
        let files = Files::below(&target).unwrap();
        let path = files.write("manifest.json", "{}").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&files.directory), mode(Path::new(&path))), (0o700, 0o600));
        std::os::unix::fs::symlink("elsewhere", files.directory.join("link")).unwrap();
        assert!(files.write("link", "{}").is_err(), "no link is followed");
        assert!(files.write("manifest.json", "{}").is_err(), "nothing is written over");
        let other = Files::below(&target).unwrap();
        assert_ne!(other.directory, files.directory);
        let directory = files.directory.clone();
        drop(files);
        assert!(!directory.exists());
    }
}
