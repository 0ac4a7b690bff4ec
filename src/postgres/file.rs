//! Files that settings name, read with limits: what never ends, or waits for somebody to write, must not hold up a run.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

/// All of a file, and no more than a byte past `longest`.
pub(crate) fn read(path: &Path, longest: usize) -> Result<Vec<u8>, String> {
    let unreadable = |error| format!("{} can't be read: {error}", path.display());
    let kind = fs::metadata(path).map_err(unreadable)?.file_type();
    if kind.is_fifo() || kind.is_socket() {
        return Err(format!(
            "{} is a pipe or socket; it has to be a file, which is read again and again",
            path.display()
        ));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(longest as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}
