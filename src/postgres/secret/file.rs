//! POSTGRES_PASSWORD_FILE.

use std::path::Path;

use super::{LONGEST, Lack, Password, written};
use crate::file;

/// Reads the password that a file holds.
///
/// # Errors
/// What is wrong with the file.
pub fn read(path: &Path) -> Result<Password, Lack> {
    let bytes = file::read(path, LONGEST).map_err(Lack::ForNow)?;
    written(bytes, &path.display().to_string())
}
