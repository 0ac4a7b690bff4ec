//! What goes into archives, byte for byte the same for the same content: fixed times, owners, modes and order. That is what
//! makes two builds of one tree give the same layers.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, bail};

use crate::sealed::tree::{Origin, Tree};
use workspace::project::Project;

/// 1980-01-01: the first moment every archive format can hold.
const TIME: u64 = 315_532_800;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub path: String,
    pub bytes: Vec<u8>,
    pub mode: u32,
    pub owner: u64,
}

impl File {
    pub fn new(path: &str, bytes: Vec<u8>) -> Self {
        Self { path: path.to_owned(), bytes, mode: 0o644, owner: 0 }
    }
}

/// A tar of the files in the order of their paths, below the directory if one is given.
pub fn pack(directory: Option<&str>, mut files: Vec<File>) -> anyhow::Result<Vec<u8>> {
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut archive = tar::Builder::new(Vec::new());
    let mut append = |path: &str, kind: tar::EntryType, mode: u32, owner: u64, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(owner);
        header.set_gid(owner);
        header.set_mtime(TIME);
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, path, bytes).with_context(|| format!("cannot pack {path}"))
    };
    if let Some(directory) = directory {
        append(&format!("{directory}/"), tar::EntryType::Directory, 0o755, 0, &[])?;
    }
    for File { path, bytes, mode, owner } in &files {
        let path = directory.map_or_else(|| path.clone(), |directory| format!("{directory}/{path}"));
        append(&path, tar::EntryType::Regular, *mode, *owner, bytes)?;
    }
    archive.into_inner().context("cannot finish the archive")
}

/// What the stage `compile` is built from: nothing that a new migration changes. Of what is another program, the
/// manifest alone, which cargo asks for.
pub fn compile(project: &Project) -> anyhow::Result<Vec<u8>> {
    let origin = Origin::Checkout(project.root().to_owned());
    let tree = Tree::read(&origin)?;
    let mut paths: BTreeSet<String> =
        ["Dockerfile", "LICENSE", "Cargo.toml", "Cargo.lock", "xtask/Cargo.toml"].map(str::to_owned).into();
    paths.extend(tree.files.into_keys());
    paths.extend(origin.list("crates")?.into_iter().filter(|path| path.ends_with("/Cargo.toml")));
    pack(None, paths.iter().map(|path| read(project, path)).collect::<anyhow::Result<Vec<_>>>()?)
}

pub(super) fn read(project: &Project, path: &str) -> anyhow::Result<File> {
    let bytes = std::fs::read(project.root().join(path)).with_context(|| format!("cannot read {path}"))?;
    Ok(File::new(path, bytes))
}

/// The SQL files of the directory; the job reads nothing else.
pub(super) fn scripts(directory: &Path) -> anyhow::Result<Vec<File>> {
    let mut files = Vec::new();
    for name in names(directory)?.into_iter().filter(|name| name.ends_with(".sql")) {
        let path = directory.join(&name);
        if path.is_symlink() || !path.is_file() {
            bail!("{} is not a regular file", path.display());
        }
        files.push(File::new(
            &name,
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?,
        ));
    }
    Ok(files)
}

fn names(directory: &Path) -> anyhow::Result<Vec<String>> {
    let listed = || format!("cannot list {}", directory.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).with_context(listed)? {
        let name = entry.with_context(listed)?.file_name();
        names.push(
            name.into_string()
                .map_err(|name| anyhow::anyhow!("the file name {} is not UTF-8", name.display()))?,
        );
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_time_and_owner_do_not_depend_on_the_machine() {
        let (a, b) = (
            File::new("b.sql", b"2".to_vec()),
            File { mode: 0o755, owner: 65532, ..File::new("a", b"1".to_vec()) },
        );
        let packed = pack(Some("migrations"), vec![a.clone(), b.clone()]).unwrap();
        assert_eq!(packed, pack(Some("migrations"), vec![b, a]).unwrap());
        let mut archive = tar::Archive::new(packed.as_slice());
        let entries: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let header = entry.header();
                assert_eq!(header.mtime().unwrap(), TIME);
                (
                    entry.path().unwrap().display().to_string(),
                    header.mode().unwrap(),
                    header.uid().unwrap(),
                    header.size().unwrap(),
                )
            })
            .collect();
        let expected = [
            ("migrations/", 0o755, 0, 0),
            ("migrations/a", 0o755, 65532, 1),
            ("migrations/b.sql", 0o644, 0, 1),
        ];
        assert_eq!(entries, expected.map(|(path, mode, owner, size)| (path.to_owned(), mode, owner, size)));
    }

    #[test]
    fn long_names_are_packed() {
        let name = format!("20260101000000_{}.up.sql", "a".repeat(150));
        let packed = pack(Some("migrations"), vec![File::new(&name, vec![])]).unwrap();
        let paths: Vec<_> = tar::Archive::new(packed.as_slice())
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().into_owned())
            .collect();
        assert_eq!(paths[1].display().to_string(), format!("migrations/{name}"));
    }
}
