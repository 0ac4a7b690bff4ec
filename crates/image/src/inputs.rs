//! Reading what an image would be made from, here and now.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, bail};

use super::binary::Compiler;
use super::identity::Inputs;
use crate::platform::Platform;
use crate::sealed::closure::Which;
use crate::sealed::tree::{Origin, Tree};
use crate::sealed::{Sealed, environment};
use workspace::process;
use workspace::project::Project;

/// What shapes the binary or the image, beside the job itself and its scripts: how both are built and packed.
const FILES: [&str; 11] = [
    "Dockerfile",
    "LICENSE",
    "rust-toolchain.toml",
    "crates/docker/src/build.rs",
    "crates/image/src/archive.rs",
    "crates/image/src/binary.rs",
    "crates/image/src/context.rs",
    "crates/image/src/inputs.rs",
    "crates/image/src/provenance.rs",
    "crates/image/src/sealed",
    "xtask/src/tasks/build_image.rs",
];

/// The crates that packing is done with: a layer's bytes are theirs.
const PACKERS: [&str; 2] = ["flate2", "tar"];

/// What a C compiler links into a static program beside what it is given.
const LINKED: [&str; 15] = [
    "Scrt1.o",
    "crt1.o",
    "crtbegin.o",
    "crtbeginS.o",
    "crtbeginT.o",
    "crtend.o",
    "crtendS.o",
    "crti.o",
    "crtn.o",
    "libc.a",
    "libgcc.a",
    "libgcc_eh.a",
    "libm.a",
    "libpthread.a",
    "rcrt1.o",
];

/// Files, crates, toolchain, platform, libc, linker: what decides how the image comes out.
pub fn read(
    project: &Project,
    platform: Platform,
    compiler: &Compiler,
    builder_base: Option<&str>,
) -> anyhow::Result<Inputs> {
    let sealed = Sealed::of(project)?;
    let mut inputs = files(&Origin::Checkout(project.root().to_owned()), &sealed.tree)?;
    inputs.add("crates", crates(&sealed, platform)?.as_bytes());
    inputs.add("platform", platform.name().as_bytes());
    match compiler {
        Compiler::Host { target } => on_host(&mut inputs, &sealed, target)?,
        Compiler::Docker { .. } => {
            let Some(base) = builder_base else { bail!("the image the binary is compiled in is not known") };
            inputs.add("stage", b"compile");
            inputs.add("base of the stage", base.as_bytes());
        }
    }
    Ok(inputs)
}

/// Whether two commits of this repository have the same inputs, as far as they stand in the repository.
pub fn are_alike(project: &Project, one: &str, other: &str) -> anyhow::Result<bool> {
    let origins = [one, other].map(|commit| Origin::Commit(project.root().to_owned(), commit.to_owned()));
    let [one, other] = [Tree::read(&origins[0])?, Tree::read(&origins[1])?];
    if files(&origins[0], &one)? != files(&origins[1], &other)? {
        return Ok(false);
    }
    if one.reached == other.reached {
        return Ok(true);
    }
    for platform in [Platform::Amd64, Platform::Arm64] {
        let [one, other] = origins
            .each_ref()
            .map(|origin| Sealed::elsewhere(project, origin, |sealed| crates(sealed, platform)));
        if one? != other? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What of the checkout is not as its last commit has it. git itself can be told to overlook files.
pub fn uncommitted(project: &Project) -> anyhow::Result<Vec<String>> {
    let checkout = Origin::Checkout(project.root().to_owned());
    let commit = Origin::Commit(project.root().to_owned(), "HEAD".to_owned());
    let of = |origin: &Origin| {
        let mut inputs = files(origin, &Tree::read(origin)?)?;
        inputs.add("Cargo.lock", &origin.read("Cargo.lock")?);
        anyhow::Ok(inputs)
    };
    let (now, then) = (of(&checkout)?, of(&commit)?);
    Ok(now.differences(&then).into_iter().map(str::to_owned).collect())
}

/// What stands in the repository, but for the lock file.
fn files(origin: &Origin, tree: &Tree) -> anyhow::Result<Inputs> {
    let mut inputs = Inputs::default();
    for (path, bytes) in &tree.files {
        inputs.add(path, bytes);
    }
    for path in FILES {
        for path in origin.list(path)? {
            inputs.add(&path, &origin.read(&path)?);
        }
    }
    for path in origin.list("migrations")?.into_iter().filter(|path| path.ends_with(".sql")) {
        inputs.add(&path, &origin.read(&path)?);
    }
    inputs.add("packing", lines(tree.lock.reached(&PACKERS).into_iter().map(ToString::to_string)).as_bytes());
    Ok(inputs)
}

/// Every crate that has a hand in the build, as it is locked, and with its features.
fn crates(sealed: &Sealed, platform: Platform) -> anyhow::Result<String> {
    let targets = ["gnu", "musl"].map(|libc| format!("{}-unknown-linux-{libc}", platform.rust()));
    let closure = sealed.closure(Which::Built, &targets)?;
    let described = closure
        .crates
        .iter()
        .map(|one| Ok(format!("{} {}", sealed.locked(&one.name, &one.version)?, one.features)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    Ok(lines(described.into_iter()))
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().join("\n")
}

fn on_host(inputs: &mut Inputs, sealed: &Sealed, target: &str) -> anyhow::Result<()> {
    let said = |program: &str, words: &[&str]| {
        process::output(environment::scrub(&mut Command::new(program)).current_dir("/").args(words))
    };
    let rustc = process::output(sealed.toolchain().rustc().arg("-vV"));
    inputs.add("stage", b"host");
    inputs.add("target", target.as_bytes());
    inputs.add("rustc", rustc.context("cannot ask rustc for its version")?.as_bytes());
    inputs.add("cargo", process::output(sealed.toolchain().cargo()?.arg("-vV"))?.as_bytes());
    // A musl target brings its libc and starts files with the toolchain; glibc's come from the system.
    let cc = if target.ends_with("musl") { "musl-gcc" } else { "cc" };
    inputs
        .add("C compiler", said(cc, &["--version"]).with_context(|| format!("cannot ask {cc}"))?.as_bytes());
    // Something else of that name, such as a wrapper, may say the same of itself.
    for program in [cc, "ar", "as", "ld"] {
        let bytes = process::find(program).and_then(|path| std::fs::read(path).ok()).unwrap_or_default();
        inputs.add(format!("program {program}"), &bytes);
    }
    for name in LINKED {
        let path = said(cc, &[&format!("-print-file-name={name}")]).unwrap_or_default();
        inputs.add(format!("linked {name}"), &std::fs::read(PathBuf::from(path.trim())).unwrap_or_default());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_to_a_script_alone_is_another_identity() {
        let project = Project::find().unwrap();
        let compiler = Compiler::Docker { why: String::new() };
        let read = |base: &str| read(&project, Platform::Amd64, &compiler, Some(base)).unwrap();
        assert_eq!(read("sha256:1"), read("sha256:1"));
        assert_ne!(read("sha256:1").identity(), read("sha256:2").identity());
        let mut changed = read("sha256:1");
        changed.add("migrations/99990101000000_a.up.sql", b"SELECT 1;");
        assert_ne!(changed.identity(), read("sha256:1").identity());
        assert!(super::read(&project, Platform::Amd64, &compiler, None).is_err());
    }

    #[test]
    fn what_packs_is_where_it_is_looked_for() {
        let origin = Origin::Checkout(Project::find().unwrap().root().to_owned());
        for path in FILES {
            assert_ne!(origin.list(path).unwrap(), Vec::<String>::new(), "{path}");
        }
        let tree = Tree::read(&origin).unwrap();
        for packer in PACKERS {
            assert_ne!(tree.lock.reached(&[packer]).len(), 0, "{packer}");
        }
    }
}
