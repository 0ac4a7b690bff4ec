//! Where an image comes from: labels and environment of its config, never bytes of the binary, so that a commit that
//! leaves the code alone leaves the layers alone.

use workspace::git::git;
use workspace::process;
use workspace::project::Project;

/// Read from git; what git can't tell is said to be unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    pub(super) version: String,
    pub(super) revision: String,
    /// RFC 3339.
    pub(super) created: Option<String>,
    pub source: String,
}

impl Provenance {
    pub fn read(project: &Project) -> Self {
        let ask = |arguments: &[&str]| {
            process::output(git(project.root()).args(arguments)).ok().map(|said| said.trim().to_owned())
        };
        let unknown = || "unknown".to_owned();
        let dirty = ask(&["status", "--porcelain"]).is_some_and(|changes| !changes.is_empty());
        let mark = if dirty { "-dirty" } else { "" };
        Self {
            version: ask(&["describe", "--tags", "--always"]).map_or_else(unknown, |version| version + mark),
            revision: ask(&["rev-parse", "HEAD"]).map_or_else(unknown, |revision| revision + mark),
            // The commit's time, not the clock's: the same tree gives the same config.
            created: ask(&["show", "--no-patch", "--format=%cI", "HEAD"]),
            source: ask(&["remote", "get-url", "origin"]).map_or_else(unknown, |url| public_address(&url)),
        }
    }
}

/// A remote's address as a browser wants it, without the credentials it may hold.
fn public_address(url: &str) -> String {
    let url = url.strip_suffix(".git").unwrap_or(url);
    if let Some((scheme, rest)) = url.split_once("://") {
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let host = authority.rsplit('@').next().unwrap_or(authority);
        return match scheme {
            "ssh" | "git" => format!("https://{}/{path}", host.split(':').next().unwrap_or(host)),
            _ => format!("{scheme}://{host}/{path}"),
        };
    }
    match url.split_once(':') {
        Some((authority, path)) if !authority.contains('/') => {
            format!("https://{}/{path}", authority.rsplit('@').next().unwrap_or(authority))
        }
        // A path says nothing to anyone else.
        _ => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn addresses_hold_no_credentials() {
        for (url, address) in [
            ("https://github.com/site/run-migrations.git", "https://github.com/site/run-migrations"),
            ("https://me:token@github.com/site/run-migrations", "https://github.com/site/run-migrations"),
            ("git@github.com:site/run-migrations.git", "https://github.com/site/run-migrations"),
            ("ssh://git@github.com:22/site/run-migrations.git", "https://github.com/site/run-migrations"),
            ("/srv/git/run-migrations.git", "unknown"),
            ("../elsewhere", "unknown"),
        ] {
            assert_eq!(super::public_address(url), address, "{url}");
        }
    }
}
