//! No file of the project names the machine it was written on, or a mirror of a registry that others do not reach.

use std::path::Path;

use super::finding::Finding;
use super::tree::ProjectFiles;

pub(super) fn look(tree: &ProjectFiles) -> Vec<Finding> {
    let home = std::env::var("HOME").unwrap_or_default();
    let ours = own_paths(&tree.root, Path::new(&home));
    let paths = tree.matching(|_| true);
    paths.iter().flat_map(|path| leaks(path, &tree.text(path), &ours)).collect()
}

/// What can be nothing but a path of this machine. A root as short as `/src` may well be somebody else's too.
fn own_paths(root: &Path, home: &Path) -> Vec<String> {
    let telling = |path: &&Path| path.components().count() > 2;
    let mut paths: Vec<_> =
        [root].iter().filter(|path| telling(path)).map(|path| path.display().to_string()).collect();
    if home.components().count() > 1 {
        paths.push(format!("{}/", home.display()));
    }
    paths
}

fn leaks(path: &str, text: &str, ours: &[String]) -> Vec<Finding> {
    let found = text.lines().zip(1..).filter_map(|(line, number)| {
        let message = leak(path, line, ours)?;
        Some(Finding { path: path.to_owned(), line: number, message })
    });
    found.collect()
}

fn leak(path: &str, line: &str, ours: &[String]) -> Option<String> {
    if let Some(ours) = ours.iter().find(|ours| line.contains(ours.as_str())) {
        return Some(format!("names {ours}, a path of this machine"));
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    let word = line.trim_start();
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| word.starts_with(prefix));
    let is_foreign = match name {
        "Cargo.lock" => {
            word.starts_with("source = ")
                && !line.contains("registry+https://github.com/rust-lang/crates.io-index")
        }
        "config.toml" => starts(&["[source", "[registries", "[registry", "replace-with"]),
        "requirements.txt" | "requirements.in" => {
            starts(&["--index-url", "--extra-index-url", "--find-links", "-i ", "-f "])
                || line.contains("file://")
        }
        _ => false,
    };
    is_foreign.then(|| "names a source of packages other than crates.io and PyPI".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaks_are_found() {
        let ours = own_paths(Path::new("/builds/ann/site"), Path::new("/users/ann"));
        for (path, text, lines) in [
            ("README.md", "cd site\ncd /builds/ann/site\n", &[2][..]),
            ("a.rs", "// /users/ann/.cargo\n// /users/anna\n", &[1]),
            ("Cargo.lock", "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n", &[]),
            ("Cargo.lock", "source = \"sparse+https://mirror.example/\"\n", &[1]),
            (".cargo/config.toml", "[alias]\n[source.crates-io]\nreplace-with = \"m\"\n", &[2, 3]),
            ("xtask/tools/requirements.txt", "a==1\n--index-url https://mirror.example\n", &[2]),
        ] {
            let found: Vec<_> = leaks(path, text, &ours).iter().map(|finding| finding.line).collect();
            assert_eq!(found, lines, "{path}: {text}");
        }
        assert!(own_paths(Path::new("/src"), Path::new("/")).is_empty());
    }
}
