//! `requirements.txt` is generated from `requirements.in`: everything asked for is pinned, and pinned with hashes.

use super::finding::Finding;
use super::tree::ProjectFiles;

const WANTED: &str = "xtask/tools/requirements.in";
const PINNED: &str = "xtask/tools/requirements.txt";

pub(super) fn look(tree: &ProjectFiles) -> Vec<Finding> {
    stale(&tree.text(WANTED), &tree.text(PINNED))
}

fn stale(wanted: &str, pinned: &str) -> Vec<Finding> {
    let names = wanted.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty() && !line.starts_with('#'));
    let missing =
        names.filter(|(name, _)| !pinned.lines().any(|line| line.starts_with(&format!("{}==", name.trim()))));
    let missing = missing.map(|(name, line)| Finding {
        path: WANTED.to_owned(),
        line,
        message: format!("{name} is not in {PINNED}; the command above writes it"),
    });
    let lines: Vec<_> = pinned.lines().collect();
    let bare = lines.iter().zip(1..).filter(|(line, number)| {
        line.contains("==") && !lines.get(*number).is_some_and(|next| next.contains("--hash="))
    });
    let bare = bare.map(|(pin, line)| Finding {
        path: PINNED.to_owned(),
        line,
        message: format!("{} has no hash", pin.trim_end_matches(['\\', ' '])),
    });
    missing.chain(bare).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_missing_is_named() {
        for (wanted, pinned, expected) in [
            ("# tools\na\n", "a==1 \\\n    --hash=sha256:00\n", ""),
            (
                "a\nb\n",
                "a==1 \\\n    --hash=sha256:00\n",
                "b is not in xtask/tools/requirements.txt; the command above writes it",
            ),
            ("a\n", "a==1\n", "a==1 has no hash"),
        ] {
            let found: Vec<_> =
                super::stale(wanted, pinned).into_iter().map(|finding| finding.message).collect();
            assert_eq!(found.join("\n"), expected);
        }
    }
}
