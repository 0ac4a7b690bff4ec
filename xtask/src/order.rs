//! Whether the migrations of a branch come after those of the branch it goes into, and their new names if not.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, bail};

use migration_core::file_name::FileName;
use workspace::git::git;
use workspace::process::{output, quoted};

use crate::version::next;

/// A script that needs another version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misplaced {
    pub path: String,
    pub why: String,
    pub to: String,
    pub(crate) is_tracked: bool,
}

/// A version and the rest of the name without its ending, which up and down script share.
type Migration = (i64, String);

impl Misplaced {
    /// The line that renames it.
    pub fn command(&self) -> String {
        let program = if self.is_tracked { "git mv" } else { "mv" };
        format!("{program} {} {}", quoted(&self.path), quoted(&self.to))
    }
}

/// The scripts to rename, oldest first.
pub fn misplaced(root: &Path, now: u64) -> anyhow::Result<Vec<Misplaced>> {
    let tracked = list(root, &["ls-files", "-z", "--cached"])?;
    let untracked = list(root, &["ls-files", "-z", "--others", "--exclude-standard"])?;
    let here = |path: &&String| root.join(path).is_file();
    let paths: BTreeSet<_> = tracked.iter().chain(&untracked).filter(here).cloned().collect();
    let tree = migrations(&paths);
    let (base, forked): (BTreeSet<Migration>, BTreeSet<Migration>) = match base(root)? {
        Some(base) => {
            let forked = output(git(root).args(["merge-base", "HEAD", &base]));
            // Unrelated branches have none.
            let forked =
                forked.map(|commit| at(root, commit.trim())).unwrap_or_else(|_| Ok(BTreeSet::new()))?;
            // What the branch removes is gone when it is merged.
            (
                at(root, &base)?
                    .into_iter()
                    .filter(|one| tree.contains(one) || !forked.contains(one))
                    .collect(),
                forked,
            )
        }
        None => Default::default(),
    };
    let mut versions: BTreeSet<i64> = base.iter().chain(&tree).map(|(version, _)| *version).collect();
    let mut found = Vec::new();
    for (migration, why) in reasons(&tree, &base, &forked) {
        let version = next(versions.last().copied().unwrap_or(0), now);
        versions.insert(version);
        for path in paths.iter().filter(|path| parse(path).as_ref() == Some(&migration)) {
            let Some((_, rest)) = path.split_once('_') else { continue };
            let to = format!("migrations/{version}_{rest}");
            let is_tracked = tracked.contains(path);
            found.push(Misplaced { path: path.clone(), why: why.clone(), to, is_tracked });
        }
    }
    Ok(found)
}

/// The migrations to rename. New ones behind the first of them move too, so that their order stays.
fn reasons(
    tree: &BTreeSet<Migration>,
    base: &BTreeSet<Migration>,
    forked: &BTreeSet<Migration>,
) -> Vec<(Migration, String)> {
    let newest = base.last();
    let mut found = Vec::new();
    for one in tree {
        let (version, name) = one;
        let is_new = !base.contains(one);
        let clash = base.union(tree).find(|other| {
            let other_is_new = !base.contains(*other);
            other.0 == *version && (other_is_new, &other.1) < (is_new, name)
        });
        let is_late = is_new && !forked.iter().any(|(known, _)| known == version);
        let why = match (clash, newest) {
            (Some((_, other)), _) => format!("has the same version as {version}_{other}"),
            (None, Some((newest, other))) if is_late && version < newest => {
                format!("sorts before {newest}_{other} of the base branch")
            }
            _ if is_new && !found.is_empty() => "has to stay behind the migration before it".to_owned(),
            _ => continue,
        };
        found.push((one.clone(), why));
    }
    found
}

/// The branch that this one goes into: GitHub names it for a pull request.
fn base(root: &Path) -> anyhow::Result<Option<String>> {
    let named = std::env::var("GITHUB_BASE_REF").ok().filter(|name| !name.is_empty());
    let branch = named.as_deref().unwrap_or("main");
    let name = format!("refs/remotes/origin/{branch}");
    let known = output(git(root).args(["for-each-ref", "--format=%(refname)", &name]))?;
    if known.lines().any(|line| line == name) {
        return Ok(Some(name));
    }
    if named.is_some() {
        bail!("this clone lacks the base branch {name}; fetch it (actions/checkout: `fetch-depth: 0`)");
    }
    Ok(None)
}

fn at(root: &Path, commit: &str) -> anyhow::Result<BTreeSet<Migration>> {
    Ok(migrations(&list(root, &["ls-tree", "-z", "--name-only", commit])?))
}

fn list(root: &Path, words: &[&str]) -> anyhow::Result<BTreeSet<String>> {
    let listed = output(git(root).args(words).args(["--", "migrations/"]));
    let listed = listed.context("git does not list the migrations")?;
    Ok(listed.split_terminator('\0').map(str::to_owned).collect())
}

fn migrations(paths: &BTreeSet<String>) -> BTreeSet<Migration> {
    paths.iter().filter_map(|path| parse(path)).collect()
}

fn parse(path: &str) -> Option<Migration> {
    let name = path.strip_prefix("migrations/").filter(|name| !name.contains('/'))?;
    let FileName { version, description, .. } = FileName::parse(name).ok()?;
    Some((version.0, description.replace(' ', "_")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    struct Repository(PathBuf);

    impl Repository {
        /// A clone whose `origin/main` has 10_a and 20_b, and whose branch grew from 10_a.
        fn new(name: &str) -> Self {
            let root = std::env::temp_dir().join(format!("xtask-order-{name}-{}", std::process::id()));
            std::fs::create_dir_all(root.join("migrations")).unwrap();
            let this = Self(root);
            this.git(&["init", "--quiet", "--initial-branch", "main"]);
            this.commit(&["10_a.up.sql", "10_a.down.sql"]);
            this.git(&["branch", "topic"]);
            this.commit(&["20_b.sql"]);
            this.git(&["update-ref", "refs/remotes/origin/main", "HEAD"]);
            this.git(&["checkout", "--quiet", "topic"]);
            this
        }

        fn git(&self, words: &[&str]) {
            let who = ["-c", "user.name=test", "-c", "user.email=test@localhost"];
            output(git(&self.0).args(who).args(words)).unwrap();
        }

        fn write(&self, name: &str) {
            std::fs::write(self.0.join("migrations").join(name), format!("SELECT '{name}';\n")).unwrap();
        }

        fn commit(&self, names: &[&str]) {
            names.iter().for_each(|name| self.write(name));
            self.git(&["add", "migrations"]);
            self.git(&["commit", "--quiet", "--message", "scripts"]);
        }

        fn told(&self) -> Vec<String> {
            let found = misplaced(&self.0, 0).unwrap();
            found.iter().map(|one| format!("{}: {}", one.command(), one.why)).collect()
        }
    }

    impl Drop for Repository {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// Two people wrote a migration each; the other one was merged first.
    #[test]
    fn a_new_migration_comes_after_those_of_the_base_branch() {
        let repository = Repository::new("late");
        assert_eq!(repository.told(), [""; 0]);
        repository.commit(&["15_c.up.sql", "15_c.down.sql"]);
        repository.write("30_d.sql");
        let expected = [
            "git mv migrations/15_c.down.sql migrations/19700101000000_c.down.sql: \
             sorts before 20_b of the base branch",
            "git mv migrations/15_c.up.sql migrations/19700101000000_c.up.sql: \
             sorts before 20_b of the base branch",
            "mv migrations/30_d.sql migrations/19700101000001_d.sql: has to stay behind the migration before it",
        ];
        assert_eq!(repository.told(), expected);
        repository.git(&["rebase", "--quiet", "refs/remotes/origin/main"]);
        assert_eq!(repository.told(), expected);
        for one in misplaced(&repository.0, 0).unwrap() {
            std::fs::rename(repository.0.join(one.path), repository.0.join(one.to)).unwrap();
        }
        assert_eq!(repository.told(), [""; 0]);
    }

    #[test]
    fn no_two_migrations_have_one_version() {
        let repository = Repository::new("same");
        repository.commit(&["20_c.sql"]);
        let expected =
            ["git mv migrations/20_c.sql migrations/19700101000000_c.sql: has the same version as 20_b"];
        assert_eq!(repository.told(), expected);
        repository.git(&["rebase", "--quiet", "refs/remotes/origin/main"]);
        assert_eq!(repository.told(), expected);
        // Nobody's base, but still two of one version.
        repository.git(&["update-ref", "-d", "refs/remotes/origin/main"]);
        assert_eq!(repository.told(), expected);
    }

    #[test]
    fn a_branch_may_rename_or_replace_the_scripts_it_grew_from() {
        let repository = Repository::new("replaced");
        repository.git(&["rebase", "--quiet", "refs/remotes/origin/main"]);
        repository.git(&["mv", "migrations/10_a.up.sql", "migrations/10_z.up.sql"]);
        repository.git(&["mv", "migrations/10_a.down.sql", "migrations/10_z.down.sql"]);
        assert_eq!(repository.told(), [""; 0]);
        repository.git(&["rm", "--quiet", "--force", "-r", "migrations"]);
        std::fs::create_dir_all(repository.0.join("migrations")).unwrap();
        repository.commit(&["1_own.sql"]);
        assert_eq!(repository.told(), [""; 0]);
    }
}
