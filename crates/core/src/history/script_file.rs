//! A script, read from its file.

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;

use super::directory::unreadable;
use crate::script_problem::ScriptProblem;

/// The first line that takes a script out of its transaction. As in sqlx, whatever follows it
/// on the line is comment.
const NO_TRANSACTION: &str = "-- no-transaction";

/// More of them than this is data, and no history.
pub(super) const MOST: u64 = 256 << 20;

/// One SQL file, read.
#[derive(Clone, Debug)]
pub struct Script {
    /// Where it stands, as messages name it.
    pub path: PathBuf,
    /// What it holds.
    pub text: String,
}

impl Script {
    pub(super) fn read(path: PathBuf, most: u64) -> Result<Self, ScriptProblem> {
        let unreadable = |error| ScriptProblem::file(&path, unreadable(&error));
        let file = fs::File::open(&path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        // Asked first, so that nothing is read in vain; but what says that it has no length may have one.
        if file.metadata().map_err(unreadable)?.len() > most
            || file.take(most + 1).read_to_end(&mut bytes).map_err(unreadable)? as u64 > most
        {
            return Err(ScriptProblem::file(
                &path,
                format!(
                    "is too large: all scripts together may have {} MiB; load data by other means",
                    MOST >> 20
                ),
            ));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self { path, text }),
            Err(error) => {
                let good = error.utf8_error().valid_up_to();
                let line = error.as_bytes()[..good].iter().filter(|&&byte| byte == b'\n').count() + 1;
                Err(ScriptProblem {
                    line: Some(line),
                    ..ScriptProblem::file(&path, "is not UTF-8; save it as UTF-8")
                })
            }
        }
    }

    /// Whether the script runs inside a transaction together with its bookkeeping.
    pub fn is_transactional(&self) -> bool {
        !self.text.starts_with(NO_TRANSACTION)
    }
}
