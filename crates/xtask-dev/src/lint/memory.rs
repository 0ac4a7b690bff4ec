//! The pod's memory suits the biggest script: a run that is killed for want of memory is tried again, and killed again.

use std::fs;

use super::finding::Finding;
use super::tree::ProjectFiles;

const MANIFEST: &str = "k8s/base/job.yaml";

/// What the job takes without a script, and how often one is in memory at most: as it was read, as it is sent, and in the
/// driver's buffer; with some room. Of a 10 MB script a run took 42 MiB.
const BASE: u64 = 16 << 20;
const TIMES: u64 = 4;

pub(super) fn look(tree: &ProjectFiles) -> Vec<Finding> {
    let scripts = tree.matching(|path| path.starts_with("migrations/") && path.ends_with(".sql"));
    let size = |path: &String| fs::metadata(tree.root.join(path)).map_or(0, |file| file.len());
    let biggest = scripts.iter().map(|path| (size(path), path)).max();
    let manifest = tree.text(MANIFEST);
    let Some((line, limit)) = limit(&manifest) else { return Vec::new() };
    let too_big = biggest.filter(|(size, _)| BASE + TIMES * size > limit);
    let finding = too_big.map(|(size, path)| Finding {
        path: MANIFEST.to_owned(),
        line,
        message: format!(
            "{path} has {} MiB, and a run of it takes up to {} MiB; raise the limit, or split the script",
            size.div_ceil(1 << 20),
            (BASE + TIMES * size).div_ceil(1 << 20)
        ),
    });
    finding.into_iter().collect()
}

/// The line of the memory's limit, and the limit in bytes.
fn limit(manifest: &str) -> Option<(usize, u64)> {
    let mut lines = manifest.lines().zip(1..).skip_while(|(line, _)| line.trim() != "limits:");
    let (line, number) = lines.find(|(line, _)| line.trim_start().starts_with("memory:"))?;
    let amount = line.split_once(':')?.1.trim();
    let unit = amount.trim_start_matches(|c: char| c.is_ascii_digit());
    let bytes: u64 = amount.strip_suffix(unit)?.parse().ok()?;
    let times = match unit {
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "" => 1,
        _ => return None,
    };
    Some((number, bytes * times))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_limit_is_found() {
        let manifest = |limit: &str| {
            format!(
                "requests:\n  memory: 16Mi\nlimits:\n  # why\n  cpu: \"1\"\n  memory: {limit}\nother: 1\n"
            )
        };
        for (limit, expected) in
            [("64Mi", Some(64 << 20)), ("1Gi", Some(1 << 30)), ("1000", Some(1000)), ("much", None)]
        {
            assert_eq!(super::limit(&manifest(limit)), expected.map(|bytes| (6, bytes)), "{limit}");
        }
        assert_eq!(super::limit("kind: Job\n"), None);
    }
}
