//! Which database a run on this machine is for, as the environment says it: the job's own variables, or DATABASE_URL.

use std::collections::BTreeMap;

use migration_core::database_url;
use migration_core::variable::{SetBy, VARIABLES};
use workspace::given::Mistakes;

const URL: &str = "DATABASE_URL";
const HOST: &str = "POSTGRES_HOST";

/// The names of the variables that say which database it is, and how to log in.
pub(super) fn database() -> impl Iterator<Item = &'static str> {
    settings().filter(|name| name.starts_with("POSTGRES_"))
}

/// The names of what the job reads besides. Of the rest, xtask decides.
pub(super) fn handed_on() -> impl Iterator<Item = &'static str> {
    let ours = [URL, "COMMAND", "REVISION", "MIGRATIONS_DIR", "LOG_FORMAT"];
    let others = settings().filter(move |name| !name.starts_with("POSTGRES_") && !ours.contains(name));
    others.chain(["CLICOLOR_FORCE", "TERM", "COLUMNS"])
}

fn settings() -> impl Iterator<Item = &'static str> {
    VARIABLES.iter().filter(|variable| variable.set_by == SetBy::Operator).map(|variable| variable.name)
}

/// The variables of the configured database, by name; none where the local one is meant.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Given(BTreeMap<&'static str, String>);

impl Given {
    /// From variables of the environment that are not empty. Half a configuration is a mistake: the run would go to the
    /// local database without a word.
    pub(super) fn read(set: impl Fn(&str) -> Option<String>, mistakes: &mut Mistakes) -> Self {
        let of_environment = || database().filter_map(|name| Some((name, set(name)?)));
        match (set(URL), set(HOST)) {
            (Some(_), Some(_)) => mistakes.add(URL, "is set, and so is POSTGRES_HOST; keep one"),
            (None, Some(_)) => return Self(of_environment().collect()),
            (Some(url), None) => match database_url::settings(url.trim()) {
                Ok(of_url) => return Self(of_environment().chain(of_url).collect()),
                Err(problem) => mistakes.add(URL, problem),
            },
            (None, None) => {
                let local = "or unset it, which means the local PostgreSQL";
                if set("POSTGRES_DB").is_some() {
                    mistakes.add(
                        "POSTGRES_DB",
                        format!("is set without {HOST}; set {HOST} to the server, {local}"),
                    );
                }
                if let Some(host) = set("PGHOST") {
                    mistakes.add("PGHOST", format!("is not read here; set {HOST}={host}, {local}"));
                }
            }
        }
        Self::default()
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn variables(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.0.iter().map(|(name, value)| (*name, value.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_configuration_is_no_local_database() {
        for (set, host, mistake) in [
            (&[][..], None, None),
            (&[("POSTGRES_PASSWORD", "x")], None, None),
            (&[("POSTGRES_HOST", "db"), ("POSTGRES_DB", "app"), ("PGHOST", "x")], Some("db"), None),
            (&[(URL, "postgres://o:p@db/app")], Some("db"), None),
            (&[(URL, "mysql://o@db/app")], None, Some("DATABASE_URL: is not a URL of PostgreSQL; ")),
            (
                &[(URL, "postgres://o@db/app"), (HOST, "db")],
                None,
                Some("DATABASE_URL: is set, and so is POSTGRES_HOST; keep one"),
            ),
            (&[("POSTGRES_DB", "app")], None, Some("POSTGRES_DB: is set without POSTGRES_HOST; set ")),
            (&[("PGHOST", "db")], None, Some("PGHOST: is not read here; set POSTGRES_HOST=db, or unset it")),
        ] {
            let value = |name: &str| {
                set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            };
            let mut mistakes = Mistakes::default();
            let given = Given::read(value, &mut mistakes);
            assert_eq!(given.get(HOST), host, "{set:?}");
            let told = mistakes.or(Some(())).err().map(|error| error.to_string()).unwrap_or_default();
            assert_eq!(told.is_empty(), mistake.is_none(), "{set:?}: {told}");
            assert!(told.contains(mistake.unwrap_or_default()), "{set:?}: {told}");
        }
    }
}
