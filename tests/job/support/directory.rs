//! A temporary directory with `migrations/` in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Removed when the test is over. The job runs in it, so messages name `migrations/…`.
pub(crate) struct Directory(PathBuf);

impl Directory {
    /// A directory without `migrations/`.
    pub(crate) fn bare() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("run-migrations-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Scripts by file name.
    pub(crate) fn with(scripts: &[(&str, &str)]) -> Self {
        let directory = Self::bare();
        fs::create_dir(directory.migrations()).unwrap();
        for (name, text) in scripts {
            directory.write(name, text);
        }
        directory
    }

    /// The scripts of another directory.
    pub(crate) fn copy_of(scripts: &Path) -> Self {
        let directory = Self::with(&[]);
        for entry in fs::read_dir(scripts).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), directory.migrations().join(entry.file_name())).unwrap();
        }
        directory
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn migrations(&self) -> PathBuf {
        self.0.join("migrations")
    }

    /// Writes or replaces a script.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.migrations().join(name), text).unwrap();
    }

    /// Removes a script.
    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.migrations().join(name)).unwrap();
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What can't be removed is in the temporary directory of the machine, which cleans up.
        let _ = fs::remove_dir_all(&self.0);
    }
}
