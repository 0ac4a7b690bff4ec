//! cargo's home without its configuration: what it has downloaded is used, what it was told about building is not.
//!
//! cargo has no switch that ignores a configuration file. So it is started where no directory above has one, with a home
//! of its own that borrows the downloads of the user's, and of whose configuration only the part stays that says where
//! crates come from. Every crate is checked against `Cargo.lock`, so that part can't change what is built.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use toml::{Table, Value};

/// What is taken over, as links: downloads, their locks, and credentials.
const SHARED: [&str; 6] =
    ["git", "registry", ".global-cache", ".package-cache", ".package-cache-mutate", "credentials.toml"];

/// Tables that only say how crates are downloaded, and how progress is shown.
const KEPT: [&str; 7] = ["credential-alias", "http", "net", "registries", "registry", "source", "term"];

/// The user's own.
pub(crate) fn of_user() -> anyhow::Result<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = set("CARGO_HOME").or_else(|| set("HOME").map(|home| home.join(".cargo")));
    let home = home.context("neither CARGO_HOME nor HOME is set")?;
    std::path::absolute(&home).with_context(|| format!("cannot resolve {}", home.display()))
}

/// Makes the sealed one, or brings it up to date.
pub(crate) fn seal(user: &Path, sealed: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(sealed).with_context(|| format!("cannot make {}", sealed.display()))?;
    for name in SHARED {
        let (from, to) = (user.join(name), sealed.join(name));
        if name == "registry" || name == "git" {
            std::fs::create_dir_all(&from).with_context(|| format!("cannot make {}", from.display()))?;
        }
        if std::fs::read_link(&to).is_ok_and(|old| old == from) {
            continue;
        }
        let _ = std::fs::remove_file(&to);
        // Another process may have been faster.
        let linked = link(&from, &to);
        if !std::fs::read_link(&to).is_ok_and(|now| now == from) {
            linked.with_context(|| format!("cannot link {}", to.display()))?;
        }
    }
    let mut kept = Table::new();
    // cargo reads the old name first where both are there.
    if let Some(path) =
        ["config", "config.toml"].map(|name| user.join(name)).into_iter().find(|path| path.is_file())
    {
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        kept = reduce(&text).with_context(|| format!("{} can't be used", path.display()))?;
    }
    write(&sealed.join("config.toml"), kept.to_string().as_bytes())
}

#[cfg(unix)]
fn link(from: &Path, to: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(from, to)
}

/// What may stay of a configuration.
pub(super) fn reduce(text: &str) -> anyhow::Result<Table> {
    let mut table: Table = text.parse().context("it is not valid TOML")?;
    table.retain(|name, _| KEPT.contains(&name));
    let sources = table.get("source").and_then(Value::as_table);
    for (name, source) in sources.into_iter().flatten() {
        if source.get("directory").is_some() {
            bail!(
                "`source.{name}.directory` replaces crates by files that cargo does not compare with Cargo.lock; an \
                 image is built from downloaded crates alone"
            );
        }
    }
    Ok(table)
}

/// Refuses a configuration that cargo finds whatever is done: the one at the root of the file system, even where that is
/// the user's own home.
pub(super) fn check_root(directory: &Path) -> anyhow::Result<()> {
    for name in ["config", "config.toml"] {
        let path = directory.join(".cargo").join(name);
        if !path.is_file() {
            continue;
        }
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let whole: Table = text.parse().with_context(|| format!("{} is not valid TOML", path.display()))?;
        let kept = reduce(&text).with_context(|| format!("{} can't be used", path.display()))?;
        if let Some(key) = whole.keys().find(|key| !kept.contains_key(*key)) {
            bail!(
                "{} has the key `{key}`, which may change what is built; remove it to build an image",
                path.display()
            );
        }
    }
    Ok(())
}

/// Writes a file where its content is another; whole, or not at all.
pub(super) fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if std::fs::read(path).is_ok_and(|known| known == bytes) {
        return Ok(());
    }
    let written = || -> std::io::Result<()> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}", std::process::id()));
        std::fs::write(&name, bytes)?;
        std::fs::rename(&name, path)
    };
    written().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Before, `$CARGO_HOME/config.toml` and that of every parent directory changed the binary, and the identity not.
    #[test]
    fn only_downloads_are_configured() {
        let text = "
            include = 'more.toml'
            paths = ['/elsewhere/ring']
            net.offline = true
            [build]
            rustflags = ['-Copt-level=0']
            rustc-wrapper = 'wrapper'
            [env]
            CFLAGS = '-DEVIL'
            [patch.crates-io]
            ring = { path = '/elsewhere/ring' }
            [profile.job]
            opt-level = 0
            [target.x86_64-unknown-linux-gnu]
            linker = 'evil'
            [unstable]
            build-std = ['std']
            [source.crates-io]
            replace-with = 'mirror'
            [source.mirror]
            registry = 'sparse+https://mirror.example/'
        ";
        let kept = reduce(text).unwrap();
        assert_eq!(kept.keys().collect::<Vec<_>>(), ["net", "source"]);
        assert!(kept.to_string().contains("mirror.example"));
        let error = reduce("[source.vendored]\ndirectory = 'vendor'").unwrap_err().to_string();
        assert!(error.starts_with("`source.vendored.directory` replaces crates"), "{error}");
        assert!(reduce("[http").is_err());
    }

    #[test]
    fn a_configuration_that_cannot_be_avoided_is_refused() {
        let root = std::env::temp_dir().join(format!("xtask-home-{}", std::process::id()));
        let file = root.join(".cargo/config.toml");
        std::fs::create_dir_all(root.join(".cargo")).unwrap();
        std::fs::write(&file, "[net]\noffline = true\n").unwrap();
        check_root(&root).unwrap();
        std::fs::write(&file, "[build]\nrustc-wrapper = 'evil'\n").unwrap();
        let error = check_root(&root).unwrap_err().to_string();
        assert!(error.contains("config.toml has the key `build`"), "{error}");
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn downloads_are_shared_and_settings_are_not() {
        let root = std::env::temp_dir().join(format!("xtask-sealed-home-{}", std::process::id()));
        let (user, sealed) = (root.join("user"), root.join("sealed"));
        std::fs::create_dir_all(user.join("registry/src")).unwrap();
        std::fs::write(user.join("config.toml"), "[build]\njobs = 1\n[net]\noffline = true\n").unwrap();
        for _ in 0..2 {
            seal(&user, &sealed).unwrap();
            assert!(sealed.join("registry/src").is_dir());
            let config = std::fs::read_to_string(sealed.join("config.toml")).unwrap();
            assert_eq!(config, "[net]\noffline = true\n");
        }
        std::fs::remove_dir_all(root).unwrap();
    }
}
