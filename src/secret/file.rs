//! POSTGRES_PASSWORD_FILE.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use super::{LONGEST, Lack, Password, written};

/// Reads the password that a file holds.
///
/// # Errors
/// What is wrong with the file.
pub fn read(path: &Path) -> Result<Password, Lack> {
    let place = path.display().to_string();
    // What a shell hands over may be a pipe, and have no end.
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map(|file| file.take(LONGEST as u64 + 1));
    file.and_then(|mut file| file.read_to_end(&mut bytes))
        .map_err(|error| Lack::ForNow(format!("{place} can't be read: {error}")))?;
    written(bytes, &place)
}
