//! Reading what an image would be made from, here and now.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use super::binary::Compiler;
use super::identity::Inputs;
use crate::process;
use crate::project::Project;
use crate::settings::Platform;

/// Files that shape the binary or the image. What packs and builds is among them.
const FILES: [&str; 9] = [
    ".cargo/config.toml",
    "Cargo.lock",
    "Cargo.toml",
    "Dockerfile",
    "LICENSE",
    "rust-toolchain.toml",
    "xtask/Cargo.toml",
    "xtask/src/docker/build.rs",
    "xtask/src/tasks/build_image.rs",
];

/// All of it, for git.
#[cfg(feature = "cloud")]
pub(crate) const PATHS: [&str; 13] = [
    ".cargo/config.toml",
    "Cargo.lock",
    "Cargo.toml",
    "Dockerfile",
    "LICENSE",
    "crates",
    "migrations/*.sql",
    "rust-toolchain.toml",
    "src",
    "xtask/Cargo.toml",
    "xtask/src/docker/build.rs",
    "xtask/src/image",
    "xtask/src/tasks/build_image.rs",
];

/// Variables that cargo, rustc and C compilers read on top of files; also with `_` and more behind.
const VARIABLES: [&str; 10] = [
    "AR",
    "CARGO_BUILD",
    "CARGO_PROFILE",
    "CARGO_TARGET_AARCH64",
    "CARGO_TARGET_X86_64",
    "CC",
    "CFLAGS",
    "LDFLAGS",
    "RUSTC",
    "RUSTFLAGS",
];

/// Files, toolchain, platform, libc, linker, flags: what decides how the image comes out.
pub(crate) fn read(
    project: &Project,
    platform: Platform,
    compiler: &Compiler,
    builder_base: Option<&str>,
) -> anyhow::Result<Inputs> {
    let mut inputs = Inputs::default();
    let mut add = |path: &Path| -> anyhow::Result<()> {
        let name = path.strip_prefix(project.root()).unwrap_or(path).display().to_string();
        inputs.add(name, &std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?);
        Ok(())
    };
    for path in FILES {
        add(&project.root().join(path))?;
    }
    for directory in ["crates", "src", "xtask/src/image"] {
        files(&project.root().join(directory), &mut add)?;
    }
    let is_script = |path: &Path| path.extension().is_some_and(|extension| extension == "sql");
    files(&project.migrations(), &mut |path| if is_script(path) { add(path) } else { Ok(()) })?;
    inputs.add("platform", platform.name().as_bytes());
    match compiler {
        Compiler::Host { target } => on_host(&mut inputs, project, target)?,
        Compiler::Docker { .. } => {
            let Some(base) = builder_base else { bail!("the image the binary is compiled in is not known") };
            inputs.add("stage", b"compile");
            inputs.add("base of the stage", base.as_bytes());
        }
    }
    Ok(inputs)
}

fn on_host(inputs: &mut Inputs, project: &Project, target: &str) -> anyhow::Result<()> {
    let said = |program: &str, words: &[&str]| {
        process::output(Command::new(program).args(words).current_dir(project.root()))
    };
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    inputs.add("stage", b"host");
    inputs.add("target", target.as_bytes());
    inputs.add("rustc", said(&rustc, &["-vV"]).context("cannot ask rustc for its version")?.as_bytes());
    // A musl target brings its libc and starts files with the toolchain; glibc's come from the system.
    let cc = if target.ends_with("musl") { "musl-gcc" } else { "cc" };
    inputs
        .add("C compiler", said(cc, &["--version"]).with_context(|| format!("cannot ask {cc}"))?.as_bytes());
    let linker = said("ld", &["--version"]).unwrap_or_default();
    inputs.add("linker", linker.as_bytes());
    let libc = PathBuf::from(said(cc, &["-print-file-name=libc.a"]).unwrap_or_default().trim());
    inputs.add("libc", &std::fs::read(&libc).unwrap_or_default());
    let mut variables: Vec<_> = std::env::vars()
        .filter(|(name, _)| VARIABLES.iter().any(|variable| is_or_extends(name, variable)))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    variables.sort();
    inputs.add("variables", variables.join("\n").as_bytes());
    Ok(())
}

fn is_or_extends(name: &str, variable: &str) -> bool {
    name.strip_prefix(variable).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

fn files(directory: &Path, each: &mut impl FnMut(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let listed = || format!("cannot list {}", directory.display());
    for entry in std::fs::read_dir(directory).with_context(listed)? {
        let path = entry.with_context(listed)?.path();
        if path.is_dir() {
            files(&path, each)?;
        } else {
            each(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "cloud")]
    #[test]
    fn git_is_told_the_same() {
        let directories = ["crates", "src", "xtask/src/image", "migrations/*.sql"];
        let mut paths: Vec<_> = FILES.into_iter().chain(directories).collect();
        paths.sort_unstable();
        assert_eq!(paths, PATHS);
    }

    #[test]
    fn variables_are_told_apart() {
        for (name, counts) in [
            ("CC", true),
            ("CC_x86_64_unknown_linux_gnu", true),
            ("CCACHE_DIR", false),
            ("RUSTC_WRAPPER", true),
            ("PATH", false),
        ] {
            assert_eq!(VARIABLES.iter().any(|variable| is_or_extends(name, variable)), counts, "{name}");
        }
    }

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
}
