//! The files of the job, and no others: as they are in a checkout, or in a commit of its history.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use toml::Table;

use super::lock::Lock;
use super::manifest;
use workspace::git::git;
use workspace::process;

/// Where files are read from.
#[derive(Debug, Clone)]
pub enum Origin {
    Checkout(PathBuf),
    /// A commit, in the repository at the path.
    Commit(PathBuf, String),
}

/// The packages that the job is built from.
#[derive(Debug)]
pub struct Tree {
    /// By path below the root, manifests as they are built from.
    pub files: BTreeMap<String, Vec<u8>>,
    pub lock: Lock,
    /// Of the lock file, what the packages may reach, as cargo is to resolve it.
    pub(super) unresolved: String,
    /// The same, checksums included: more than what they are built from, but not less.
    pub reached: Vec<super::lock::Locked>,
}

/// Of a package below `crates`, what builds nothing.
const ASIDE: [&str; 5] = ["benches", "examples", "target", "tests", "Cargo.toml"];

impl Origin {
    pub fn read(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        match self {
            Self::Checkout(root) => {
                refuse_links(root, path)?;
                std::fs::read(root.join(path)).with_context(|| format!("cannot read {path}"))
            }
            Self::Commit(root, commit) => {
                let mut git = git(root);
                git.args(["cat-file", "blob", &format!("{commit}:{path}")]);
                let output = git.output().context("cannot run git")?;
                anyhow::ensure!(output.status.success(), "{commit} has no file {path}");
                Ok(output.stdout)
            }
        }
    }

    fn text(&self, path: &str) -> anyhow::Result<String> {
        String::from_utf8(self.read(path)?).with_context(|| format!("{path} is not UTF-8"))
    }

    fn table(&self, path: &str) -> anyhow::Result<Table> {
        self.text(path)?.parse().with_context(|| format!("{path} is not understood"))
    }

    /// The files below a path, or the file at it; empty where there is none.
    pub fn list(&self, path: &str) -> anyhow::Result<Vec<String>> {
        match self {
            Self::Checkout(root) => {
                refuse_links(root, path)?;
                let mut found = Vec::new();
                walk(root, path, &mut found)?;
                Ok(found)
            }
            Self::Commit(root, commit) => {
                let mut git = git(root);
                git.args(["ls-tree", "-r", "-z", "--full-tree", commit, "--", path]);
                process::output(&mut git)?.split_terminator('\0').map(regular).collect()
            }
        }
    }
}

/// A line `100644 blob 1b2c… \tpath` of `git ls-tree`.
fn regular(line: &str) -> anyhow::Result<String> {
    let (about, path) = line.split_once('\t').with_context(|| format!("git lists {line:?}"))?;
    if !about.starts_with("100") {
        bail!(NOT_REGULAR.replace("PATH", path));
    }
    Ok(path.to_owned())
}

const NOT_REGULAR: &str =
    "PATH is a link or a submodule; an image is built from files that stand where they are reviewed";

/// In a commit a link is its target's name, in a checkout the target's content: two trees would look alike.
fn refuse_links(root: &Path, path: &str) -> anyhow::Result<()> {
    let mut whole = root.to_owned();
    for part in Path::new(path) {
        whole.push(part);
        if whole.is_symlink() {
            bail!(NOT_REGULAR.replace("PATH", path));
        }
    }
    Ok(())
}

fn walk(root: &Path, path: &str, found: &mut Vec<String>) -> anyhow::Result<()> {
    refuse_links(root, path)?;
    let whole = root.join(path);
    if whole.is_file() {
        found.push(path.to_owned());
    }
    if !whole.is_dir() {
        return Ok(());
    }
    let listed = || format!("cannot list {}", whole.display());
    for entry in std::fs::read_dir(&whole).with_context(listed)? {
        let name = entry.with_context(listed)?.file_name();
        let name = name.to_str().with_context(|| format!("the file name {} is not UTF-8", name.display()))?;
        walk(root, &format!("{path}/{name}"), found)?;
    }
    Ok(())
}

impl Tree {
    /// Follows the manifests from the job's.
    pub fn read(origin: &Origin) -> anyhow::Result<Self> {
        let root = origin.table("Cargo.toml")?;
        let mut packages = BTreeMap::from([(String::new(), root.clone())]);
        let mut next = vec![String::new()];
        while let Some(package) = next.pop() {
            let manifest = packages.get(&package).unwrap_or(&root);
            for found in manifest::path_dependencies(&package, manifest, &root) {
                if !packages.contains_key(&found) {
                    packages.insert(found.clone(), origin.table(&format!("{found}/Cargo.toml"))?);
                    next.push(found);
                }
            }
        }
        let mut files = BTreeMap::new();
        for (package, manifest) in &packages {
            for path in sources(origin, package)? {
                files.insert(path.clone(), origin.read(&path)?);
            }
            if !package.is_empty() {
                files.insert(
                    format!("{package}/Cargo.toml"),
                    manifest::reduce(manifest).to_string().into_bytes(),
                );
            }
        }
        let reduced = manifest::reduce_root(&root, &packages.iter().collect::<Vec<_>>());
        files.insert("Cargo.toml".to_owned(), reduced.to_string().into_bytes());
        let lock = Lock::parse(&origin.text("Cargo.lock")?)?;
        let names = packages.values().filter_map(|manifest| manifest.get("package")?.get("name")?.as_str());
        let reached = lock.reached(&names.collect::<Vec<_>>());
        Ok(Self {
            files,
            unresolved: lock.only(&reached),
            reached: reached.into_iter().cloned().collect(),
            lock,
        })
    }
}

/// What a package may be compiled from, but for its manifest.
fn sources(origin: &Origin, package: &str) -> anyhow::Result<Vec<String>> {
    if package.is_empty() {
        return Ok([origin.list("src")?, origin.list("build.rs")?].concat());
    }
    let prefix = format!("{package}/");
    let is_aside = |path: &String| {
        let rest = path.strip_prefix(&prefix).unwrap_or(path);
        ASIDE.contains(&rest.split('/').next().unwrap_or(rest))
    };
    Ok(origin.list(package)?.into_iter().filter(|path| !is_aside(path)).collect())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// A reviewer saw a text file change; the script that pointed to it was another one, under the same identity.
    #[test]
    fn links_are_refused() {
        let root = std::env::temp_dir().join(format!("xtask-links-{}", std::process::id()));
        std::fs::create_dir_all(root.join("migrations")).unwrap();
        std::fs::create_dir_all(root.join("docs")).unwrap();
        std::fs::write(root.join("docs/a.txt"), "SELECT 1;").unwrap();
        std::fs::write(root.join("migrations/1_a.sql"), "SELECT 1;").unwrap();
        let origin = Origin::Checkout(root.clone());
        assert_eq!(origin.list("migrations").unwrap(), ["migrations/1_a.sql"]);
        for (target, link) in [("../docs/a.txt", "migrations/2_b.sql"), ("docs", "crates")] {
            std::os::unix::fs::symlink(target, root.join(link)).unwrap();
            let first = link.split('/').next().unwrap();
            let error = origin.list(first).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{link} is a link")), "{error}");
        }
        assert!(origin.read("crates/a.txt").is_err());
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn only_files_of_a_commit_are_taken() {
        assert_eq!(regular("100644 blob 1b2c\tsrc/a b.rs").unwrap(), "src/a b.rs");
        assert_eq!(regular("100755 blob 1b2c\tbuild.rs").unwrap(), "build.rs");
        for line in ["120000 blob 1b2c\tsrc/a.rs", "160000 commit 1b2c\tcrates/b", "src/a.rs"] {
            assert!(regular(line).is_err(), "{line}");
        }
    }
}
