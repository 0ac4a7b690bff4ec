//! A new migration comes after those of the branch it goes into; databases that have these would get it out of order.

use std::time::{SystemTime, UNIX_EPOCH};

use super::finding::Finding;
use super::tree::ProjectFiles;
use xtask::order::misplaced;

pub(super) fn look(tree: &ProjectFiles) -> Vec<Finding> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let finding = |path: String, message| Finding { path, line: 1, message };
    match misplaced(&tree.root, now) {
        Ok(found) => found
            .into_iter()
            .map(|one| {
                let rename = one.command();
                finding(
                    one.path,
                    format!("{}; `{rename}` (or `cargo xtask new-migration --renumber`)", one.why),
                )
            })
            .collect(),
        Err(error) => vec![finding("migrations".to_owned(), format!("{error:#}"))],
    }
}
