//! What a static program is made of beside crates: Rust's standard library, the libc, and the compiler's own library.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use docker::Docker;
use image::name::Digest;
use image::platform::Platform;
use image::sealed::{Toolchain, environment};
use workspace::process;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RuntimePart {
    pub(super) name: &'static str,
    pub(super) version: String,
    pub(super) licence: &'static str,
    pub(super) location: String,
    /// The archive that was linked.
    pub(super) file: String,
    pub(super) digest: Option<Digest>,
    /// What it says of itself.
    pub(super) says: String,
}

/// An archive, and what is in it.
struct StaticArchive {
    name: String,
    bytes: Vec<u8>,
}

impl StaticArchive {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.file_name().unwrap_or_default().display().to_string();
        Ok(Self { name, bytes })
    }
}

/// Of the compiler here.
pub(super) fn of_host(toolchain: &Toolchain, target: &str) -> anyhow::Result<Vec<RuntimePart>> {
    let rustc = |words: &[&str]| process::output(toolchain.rustc().args(words));
    let libraries = rustc(&["--print", "target-libdir", "--target", target])?;
    let libraries = PathBuf::from(libraries.trim());
    let std = standard_library(&libraries)?;
    let mut parts = vec![rust(&rustc(&["-vV"])?, Some(&std))];
    if target.ends_with("musl") {
        parts.push(musl(&StaticArchive::read(&libraries.join("self-contained/libc.a"))?));
        return Ok(parts);
    }
    let said = |word: &str| {
        let mut cc = Command::new("cc");
        process::output(environment::scrub(&mut cc).current_dir("/").arg(word))
            .map(|said| said.trim().to_owned())
    };
    parts.push(glibc(&StaticArchive::read(Path::new(&said("-print-file-name=libc.a")?))?));
    let unwinder = StaticArchive::read(Path::new(&said("-print-file-name=libgcc_eh.a")?))?;
    parts.push(libgcc(&said("-dumpfullversion")?, &unwinder));
    Ok(parts)
}

/// Of the stage `compile`, from the image that it has become.
pub(super) async fn of_stage(
    docker: &Docker,
    image: &str,
    platform: Platform,
) -> anyhow::Result<Vec<RuntimePart>> {
    let text = docker.file_of(image, platform.name(), "/toolchain.txt").await?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let (gcc, rustc) = text.split_once('\n').context("the stage does not say what it compiles with")?;
    let place = format!("/usr/lib/{}-linux-gnu/libc.a", platform.rust());
    let libc = StaticArchive {
        name: "libc.a".to_owned(),
        bytes: docker.file_of(image, platform.name(), &place).await?,
    };
    let place = format!(
        "/usr/lib/gcc/{}-linux-gnu/{}/libgcc_eh.a",
        platform.rust(),
        gcc.split('.').next().unwrap_or(gcc)
    );
    let unwinder = StaticArchive {
        name: "libgcc_eh.a".to_owned(),
        bytes: docker.file_of(image, platform.name(), &place).await?,
    };
    Ok(vec![rust(rustc, None), glibc(&libc), libgcc(gcc, &unwinder)])
}

fn standard_library(directory: &Path) -> anyhow::Result<StaticArchive> {
    let listed = || format!("cannot list {}", directory.display());
    for entry in std::fs::read_dir(directory).with_context(listed)? {
        let path = entry.with_context(listed)?.path();
        let name = path.file_name().unwrap_or_default().display().to_string();
        if name.starts_with("libstd-") && name.ends_with(".rlib") {
            return StaticArchive::read(&path);
        }
    }
    anyhow::bail!("{} holds no standard library", directory.display())
}

/// From what `rustc -vV` says.
fn rust(said: &str, archive: Option<&StaticArchive>) -> RuntimePart {
    let field = |name: &str| {
        said.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            .unwrap_or("unknown")
            .to_owned()
    };
    RuntimePart {
        name: "rust-std",
        version: field("release"),
        licence: "MIT OR Apache-2.0",
        location: format!("git+https://github.com/rust-lang/rust@{}#library", field("commit-hash")),
        file: archive.map_or_else(|| "libstd.rlib".to_owned(), |archive| archive.name.clone()),
        digest: archive.map(|archive| Digest::of(&archive.bytes)),
        says: said.lines().next().unwrap_or_default().to_owned(),
    }
}

fn glibc(archive: &StaticArchive) -> RuntimePart {
    let banner = text_at(&archive.bytes, b"GNU C Library (").unwrap_or_default();
    let version = banner.rsplit("version ").next().map(|version| version.trim_end_matches('.'));
    RuntimePart {
        name: "glibc",
        version: version.filter(|version| !version.is_empty()).unwrap_or("unknown").to_owned(),
        licence: "LGPL-2.1-or-later",
        location: "https://ftp.gnu.org/gnu/glibc/".to_owned(),
        file: archive.name.clone(),
        digest: Some(Digest::of(&archive.bytes)),
        says: banner,
    }
}

fn musl(archive: &StaticArchive) -> RuntimePart {
    RuntimePart {
        name: "musl",
        version: musl_version(&archive.bytes).unwrap_or_else(|| "unknown".to_owned()),
        licence: "MIT",
        location: "https://musl.libc.org/releases/".to_owned(),
        file: archive.name.clone(),
        digest: Some(Digest::of(&archive.bytes)),
        says: "the libc that comes with Rust's target".to_owned(),
    }
}

fn libgcc(version: &str, archive: &StaticArchive) -> RuntimePart {
    RuntimePart {
        name: "libgcc",
        version: version.to_owned(),
        licence: "GPL-3.0-or-later WITH GCC-exception-3.1",
        location: "https://ftp.gnu.org/gnu/gcc/".to_owned(),
        file: archive.name.clone(),
        digest: Some(Digest::of(&archive.bytes)),
        says: "unwinding, for panics".to_owned(),
    }
}

/// The printable text that begins so, to the end of its line.
fn text_at(bytes: &[u8], start: &[u8]) -> Option<String> {
    let at = bytes.windows(start.len()).position(|window| window == start)?;
    let text = bytes.get(at..)?.iter().take(200).take_while(|byte| (b' '..=b'~').contains(byte));
    Some(text.map(|byte| char::from(*byte)).collect())
}

/// A C string that is nothing but a version, such as 1.2.5: musl holds one.
fn musl_version(bytes: &[u8]) -> Option<String> {
    bytes.split(|byte| *byte == 0).find_map(|text| {
        let text = std::str::from_utf8(text).ok()?;
        let parts: Vec<_> = text.split('.').collect();
        let are_numbers =
            parts.iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
        (parts.len() == 3 && text.starts_with("1.") && are_numbers).then(|| text.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_tell_their_version() {
        let archive = |bytes: &[u8]| StaticArchive { name: "libc.a".to_owned(), bytes: bytes.to_vec() };
        let said = b"\x7fELF\0\0GNU C Library (Debian GLIBC 2.36-9+deb12u14) stable release version 2.36.\nCopyright";
        let part = glibc(&archive(said));
        assert_eq!((part.version.as_str(), part.name), ("2.36", "glibc"));
        assert!(part.says.ends_with("stable release version 2.36."), "{}", part.says);
        assert_eq!(glibc(&archive(b"nothing")).version, "unknown");
        assert_eq!(musl(&archive(b"\0x.1.2\0 1.2.3\x001.2.5\0")).version, "1.2.5");
    }

    #[test]
    fn rust_is_told_by_version_and_commit() {
        let said = "rustc 1.95.0 (59807616e 2026-04-14)\nbinary: rustc\ncommit-hash: 59807616e1fa\nrelease: 1.95.0\n";
        let part = rust(said, None);
        assert_eq!(part.version, "1.95.0");
        assert_eq!(part.location, "git+https://github.com/rust-lang/rust@59807616e1fa#library");
    }
}
