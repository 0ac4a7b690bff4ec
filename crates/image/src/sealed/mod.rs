//! The job sealed off from the rest: a workspace of its own that holds what the job is built from and nothing else, built
//! by cargo with an environment and a configuration that are the same wherever it runs.
//!
//! So what can't be seen in there can't shape the binary, and an image's identity has to look at nothing else.

pub mod closure;
pub mod environment;
pub(crate) mod home;
pub(crate) mod lock;
pub(crate) mod manifest;
pub(crate) mod tree;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use lock::Lock;
use tree::{Origin, Tree};
use workspace::process;
use workspace::project::Project;

/// What the path below a registry is called everywhere: a mirror's crates stand in a directory of another name.
const CRATES_IO: &str = "index.crates.io-1949cf8c6b5b557f";

#[derive(Debug)]
pub struct Sealed {
    directory: PathBuf,
    toolchain: Toolchain,
    pub tree: Tree,
    /// What cargo has made of the tree's lock file: the same crates, but for those that only others use.
    lock: Lock,
}

/// rustc and cargo of one toolchain, and the home the latter works with.
#[derive(Debug, Clone)]
pub struct Toolchain {
    rustc: PathBuf,
    cargo: PathBuf,
    home: PathBuf,
    target_directory: PathBuf,
}

impl Toolchain {
    /// The one that the checkout asks for.
    pub fn find(project: &Project) -> anyhow::Result<Self> {
        let mut rustc = Command::new("rustc");
        environment::scrub(&mut rustc).current_dir(project.root()).args(["--print", "sysroot"]);
        let sysroot = process::output(&mut rustc).context("cannot find the Rust toolchain")?;
        let program = |name: &str| {
            let path = Path::new(sysroot.trim()).join("bin").join(name);
            if path.is_file() { path } else { PathBuf::from(name) }
        };
        let target_directory = match std::env::var_os("CARGO_TARGET_DIR").filter(|value| !value.is_empty()) {
            Some(directory) => project.root().join(directory),
            None => project.target(),
        };
        let home = target_directory.join("xtask/cargo-home");
        Ok(Self { rustc: program("rustc"), cargo: program("cargo"), home, target_directory })
    }

    /// rustc, at the root of the file system, where no configuration reaches it.
    pub fn rustc(&self) -> Command {
        let mut command = Command::new(&self.rustc);
        environment::scrub(&mut command).current_dir("/");
        command
    }

    /// cargo, likewise, with the configuration's part about downloads.
    pub fn cargo(&self) -> anyhow::Result<Command> {
        let user = home::of_user()?;
        home::check_root(Path::new("/"))?;
        home::seal(&user, &self.home)?;
        let mut command = Command::new(&self.cargo);
        environment::scrub(&mut command)
            .current_dir("/")
            .env("CARGO_HOME", &self.home)
            .env("RUSTC", &self.rustc);
        Ok(command)
    }

    /// What rustc is told on top of the profile, as CARGO_ENCODED_RUSTFLAGS takes it: a static program, and no path of
    /// this machine in it.
    pub fn flags(&self) -> anyhow::Result<String> {
        let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned()];
        // Of several that fit the last one counts.
        let mut remap =
            |from: &Path, to: &str| flags.push(format!("--remap-path-prefix={}={to}", from.display()));
        remap(&self.target_directory, "./target");
        remap(&self.home, "/cargo");
        let sources = self.home.join("registry/src");
        let mut names: Vec<_> = std::fs::read_dir(&sources).into_iter().flatten().flatten().collect();
        names.sort_by_key(std::fs::DirEntry::file_name);
        for name in names.iter().filter(|name| name.file_name() != CRATES_IO) {
            remap(&sources.join(name.file_name()), &format!("/cargo/registry/src/{CRATES_IO}"));
        }
        Ok(flags.join("\u{1f}"))
    }

    pub fn target_directory(&self) -> &Path {
        &self.target_directory
    }
}

impl Sealed {
    pub fn of(project: &Project) -> anyhow::Result<Self> {
        let directory = project.target().join("xtask/sealed");
        Self::make(project, &Origin::Checkout(project.root().to_owned()), directory)
    }

    /// Of a commit, for as long as it is looked at.
    pub fn elsewhere<T>(
        project: &Project,
        origin: &Origin,
        look: impl FnOnce(&Self) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let directory = project.target().join(format!("xtask/sealed-{}", std::process::id()));
        let seen = Self::make(project, origin, directory.clone()).and_then(|sealed| look(&sealed));
        for left in [directory.with_extension("lock"), directory.with_extension("guard")] {
            let _ = std::fs::remove_file(left);
        }
        let _ = std::fs::remove_dir_all(directory);
        seen
    }

    /// Makes the workspace, or brings it up to date: what is the same is not written again, so cargo does not build it
    /// again. One process at a time.
    fn make(project: &Project, origin: &Origin, directory: PathBuf) -> anyhow::Result<Self> {
        let toolchain = Toolchain::find(project)?;
        let tree = Tree::read(origin)?;
        std::fs::create_dir_all(&directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        let guard = directory.with_extension("guard");
        let guard =
            std::fs::File::create(&guard).with_context(|| format!("cannot write {}", guard.display()))?;
        guard.lock().context("cannot wait for another process that seals the job")?;
        let kept: BTreeSet<PathBuf> = tree.files.keys().map(|path| directory.join(path)).collect();
        remove_others(&directory, &kept, &directory.join("Cargo.lock"))?;
        for (path, bytes) in &tree.files {
            home::write(&directory.join(path), bytes)?;
        }
        let lock = resolve(&toolchain, &tree, &directory)?;
        Ok(Self { directory, toolchain, tree, lock })
    }

    pub fn cargo(&self, subcommand: &str) -> anyhow::Result<Command> {
        let mut command = self.toolchain.cargo()?;
        command.arg(subcommand).arg("--manifest-path").arg(self.directory.join("Cargo.toml")).arg("--locked");
        Ok(command)
    }

    /// Makes sure that cargo builds from what Cargo.lock holds, to be asked before anything is compiled.
    pub fn check(&self) -> anyhow::Result<()> {
        self.lock.check_within(&self.tree.lock)
    }

    pub fn toolchain(&self) -> &Toolchain {
        &self.toolchain
    }
}

/// Has cargo strike out of the lock file what tests and other programs use alone.
fn resolve(toolchain: &Toolchain, tree: &Tree, directory: &Path) -> anyhow::Result<Lock> {
    let file = directory.join("Cargo.lock");
    let stamp = directory.with_extension("lock");
    let manifests = tree.files.iter().filter(|(path, _)| path.ends_with("Cargo.toml"));
    let manifests: String = manifests.map(|(_, bytes)| String::from_utf8_lossy(bytes)).collect();
    let asked = format!("{}\n{}\n{manifests}", toolchain.cargo.display(), tree.unresolved);
    let is_known = file.is_file() && std::fs::read_to_string(&stamp).is_ok_and(|known| known == asked);
    if !is_known {
        home::write(&file, tree.unresolved.as_bytes())?;
        let mut cargo = toolchain.cargo()?;
        cargo.args(["tree", "--quiet", "--depth", "0", "--manifest-path"]).arg(directory.join("Cargo.toml"));
        process::output(&mut cargo).context("cargo does not resolve what the job is built from")?;
    }
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let lock = Lock::parse(&text)?;
    if !is_known {
        home::write(&stamp, asked.as_bytes())?;
    }
    Ok(lock)
}

/// What was part of the job once.
fn remove_others(directory: &Path, kept: &BTreeSet<PathBuf>, lock: &Path) -> anyhow::Result<()> {
    let listed = || format!("cannot list {}", directory.display());
    for entry in std::fs::read_dir(directory).with_context(listed)? {
        let path = entry.with_context(listed)?.path();
        let is_directory = path.symlink_metadata().is_ok_and(|it| it.is_dir());
        if is_directory && kept.iter().any(|file| file.starts_with(&path)) {
            remove_others(&path, kept, lock)?;
        } else if is_directory {
            std::fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        } else if !kept.contains(&path) && path != lock {
            std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}
