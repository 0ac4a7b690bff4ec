//! The checksum of a script, read in parts: most commands want nothing else of it, and it may be long.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use sha2::{Digest as _, Sha384};

use super::directory::unreadable;
use super::script_file::Script;
use crate::script_problem::ScriptProblem;
use crate::version::Checksum;

const PART: usize = 64 << 10;

/// The checksum of a script that can be used as text, and its length in bytes, of which it may have so many.
pub(super) fn of_file(path: &Path, most: u64) -> Result<(Checksum, u64), ScriptProblem> {
    let failed = |error| ScriptProblem::file(path, unreadable(&error));
    // Says what is wrong with the whole.
    let refuse = || Err(Script::read(path.to_owned(), most).err().unwrap_or_else(|| changing(path)));
    let mut file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.len() > most {
        return refuse();
    }
    let (mut digest, mut length) = (Sha384::new(), 0);
    let mut part = vec![0; PART];
    // The beginning of a character that the next part ends.
    let mut kept = 0;
    loop {
        let read = file.read(&mut part[kept..]).map_err(failed)?;
        length += read as u64;
        if length > most || (read == 0 && kept > 0) {
            return refuse();
        }
        if read == 0 {
            return Ok((Checksum::from_bytes(digest.finalize().to_vec()), length));
        }
        digest.update(&part[kept..kept + read]);
        let filled = kept + read;
        kept = match std::str::from_utf8(&part[..filled]) {
            Ok(_) => 0,
            Err(error) if error.error_len().is_none() => {
                part.copy_within(error.valid_up_to()..filled, 0);
                filled - error.valid_up_to()
            }
            Err(_) => return refuse(),
        };
    }
}

fn changing(path: &Path) -> ScriptProblem {
    ScriptProblem::file(path, "changes while it is read; run again")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A character of four bytes at every place of a part's end.
    #[test]
    fn parts_make_the_whole() {
        let path = std::env::temp_dir().join(format!("checksum-{}.sql", std::process::id()));
        for length in (PART - 5)..(PART + 5) {
            let text = format!("{}😀{}", "x".repeat(length), "ü".repeat(PART));
            std::fs::write(&path, &text).unwrap();
            assert_eq!(of_file(&path, 1 << 20), Ok((Checksum::of(&text), text.len() as u64)), "{length}");
        }
        for (bytes, problem) in [
            (&b"x\n\xff"[..], ":2 is not UTF-8"),
            (b"x\xf0\x9f", ":1 is not UTF-8"),
            (b"xxxxx", "is too large"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let told = of_file(&path, 4).unwrap_err().to_string();
            assert!(told.contains(problem), "{told}");
        }
        std::fs::remove_file(&path).unwrap();
    }
}
