//! git, asked so that nothing around it can lie about a commit.

use std::path::Path;
use std::process::Command;

/// What of git's environment says how a remote is reached, who commits, and what is traced. All else says where the
/// repository, its objects or its settings are, or how paths are meant, and would make a commit another one.
const KEPT: [&str; 12] = [
    "GIT_ASKPASS",
    "GIT_AUTHOR_",
    "GIT_COMMITTER_",
    "GIT_CURL_",
    "GIT_EDITOR",
    "GIT_HTTP_",
    "GIT_PROXY_",
    "GIT_SSH",
    "GIT_SSL_",
    "GIT_TERMINAL_PROMPT",
    "GIT_TRACE",
    "GIT_TRANSFER_TRACE",
];

/// git in a directory, in whose repository a commit is what its own bytes say: `refs/replace` and grafts put others in
/// its place or give it other parents.
pub fn git(directory: &Path) -> Command {
    let mut git = Command::new("git");
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(misleads) {
            git.env_remove(name);
        }
    }
    // No file can be there.
    git.env("GIT_NO_REPLACE_OBJECTS", "1").env("GIT_GRAFT_FILE", "/dev/null/none");
    git.arg("-C").arg(directory);
    git
}

fn misleads(variable: &str) -> bool {
    variable.starts_with("GIT_") && !KEPT.iter().any(|start| variable.starts_with(start))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn what_says_where_commits_are_is_not_listened_to() {
        for (variable, expected) in [
            ("GIT_DIR", true),
            ("GIT_WORK_TREE", true),
            ("GIT_INDEX_FILE", true),
            ("GIT_OBJECT_DIRECTORY", true),
            ("GIT_ALTERNATE_OBJECT_DIRECTORIES", true),
            ("GIT_CONFIG", true),
            ("GIT_CONFIG_COUNT", true),
            ("GIT_CONFIG_KEY_0", true),
            ("GIT_CONFIG_GLOBAL", true),
            ("GIT_CONFIG_PARAMETERS", true),
            ("GIT_COMMON_DIR", true),
            ("GIT_NAMESPACE", true),
            ("GIT_SHALLOW_FILE", true),
            ("GIT_EXTERNAL_DIFF", true),
            ("GIT_LITERAL_PATHSPECS", true),
            ("GIT_ATTR_SOURCE", true),
            ("GIT_EXEC_PATH", true),
            ("GIT_SSH_COMMAND", false),
            ("GIT_AUTHOR_NAME", false),
            ("PATH", false),
        ] {
            assert_eq!(misleads(variable), expected, "{variable}");
        }
    }

    /// A repository with two commits of their own, `one` and `two`.
    fn repository() -> (PathBuf, [String; 2]) {
        let directory = std::env::temp_dir().join(format!("workspace-git-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        say(&directory, &["init", "--quiet"]);
        let commits = ["one", "two"].map(|name| {
            say(&directory, &["checkout", "--quiet", "--orphan", name]);
            let who = ["-c", "user.name=test", "-c", "user.email=test@localhost"];
            say(&directory, &[&who[..], &["commit", "--quiet", "--allow-empty", "--message", name]].concat());
            say(&directory, &["rev-parse", "HEAD"])
        });
        (directory, commits)
    }

    fn say(directory: &Path, words: &[&str]) -> String {
        crate::process::output(git(directory).args(words)).unwrap().trim().to_owned()
    }

    #[test]
    fn a_commit_is_what_its_bytes_say() {
        let (directory, [one, two]) = repository();
        say(&directory, &["replace", &one, &two]);
        assert_eq!(say(&directory, &["show", "--no-patch", "--format=%s", &one]), "one");
        std::fs::create_dir_all(directory.join(".git/info")).unwrap();
        std::fs::write(directory.join(".git/info/grafts"), format!("{one} {two}\n")).unwrap();
        assert_eq!(say(&directory, &["rev-list", &one]), one);
        std::fs::remove_dir_all(directory).unwrap();
    }

    /// Whoever calls it in another way is lied to.
    #[test]
    fn nobody_calls_git_in_another_way() {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find(|path| path.join("Cargo.lock").is_file());
        let root = root.unwrap();
        let mut directories = vec![root.join("xtask/src"), root.join("src")];
        for one in std::fs::read_dir(root.join("crates")).unwrap() {
            directories.push(one.unwrap().path().join("src"));
        }
        let mut number = 0;
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    number += 1;
                    let text = std::fs::read_to_string(&path).unwrap();
                    let is_ours = path.ends_with("workspace/src/git.rs");
                    assert!(is_ours || !text.contains("new(\"git\")"), "{} calls git", path.display());
                }
            }
        }
        assert!(number > 100, "{number} files were looked at");
    }
}
