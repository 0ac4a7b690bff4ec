//! DATABASE_URL in place of the variables that it stands for.

use migration_core::Mistake;
use migration_core::database_url::settings;

use crate::cli::Environment;
use crate::cli::config::server::port_is_service_link;
use crate::cli::environment::Value;

pub(super) const URL: &str = "DATABASE_URL";

/// With either one nothing else may say where the database is.
const ADDRESS: [&str; 4] = ["POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_DB", "POSTGRES_USER"];

/// The environment with the variables that the URL stands for, and what is wrong with the URL.
pub(super) fn expand(environment: &Environment) -> (Environment, Option<Mistake>) {
    let wrong = |problem: String| Some(Mistake { name: URL.to_owned(), problem });
    let url = match environment.get(URL) {
        Value::Missing => return (environment.clone(), None),
        Value::NotUnicode => return (environment.clone(), wrong("is not UTF-8".to_owned())),
        Value::Text(url) => url.trim(),
    };
    let of_url = settings(url);
    let is_given = |name: &str| of_url.iter().flatten().any(|(given, _)| *given == name);
    let is_set =
        |name: &str| environment.has(name) && !(name == "POSTGRES_PORT" && port_is_service_link(environment));
    let mut both: Vec<_> = ADDRESS.into_iter().filter(|name| is_set(name)).collect();
    both.extend(
        of_url.iter().flatten().map(|(name, _)| *name).filter(|name| !ADDRESS.contains(name) && is_set(name)),
    );
    for other in ["POSTGRES_PASSWORD_FILE", "POSTGRES_PASSWORD_COMMAND"] {
        both.extend((is_given("POSTGRES_PASSWORD") && is_set(other)).then_some(other));
    }
    match of_url {
        Err(problem) => (environment.clone(), wrong(problem)),
        Ok(_) if !both.is_empty() => {
            let are = if both.len() == 1 { "is" } else { "are" };
            (environment.clone(), wrong(format!("is set, and so {are} {}; keep one", both.join(", "))))
        }
        Ok(settings) => (environment.with(settings), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_the_two_names_the_database() {
        let url = (URL, "postgres://o:p@db/app");
        for (more, problem) in [
            (&[][..], None),
            (&[("POSTGRES_PORT", "tcp://10.0.0.1:5432")], None),
            (&[("POSTGRES_PORT", "5432")], Some("is set, and so is POSTGRES_PORT; keep one")),
            (
                &[("POSTGRES_HOST", "db"), ("POSTGRES_PASSWORD_FILE", "/p")],
                Some("is set, and so are POSTGRES_HOST, POSTGRES_PASSWORD_FILE; keep one"),
            ),
        ] {
            let environment: Environment = more.iter().copied().chain([url]).collect();
            let (expanded, mistake) = expand(&environment);
            assert_eq!(mistake.map(|mistake| mistake.problem).as_deref(), problem, "{more:?}");
            if problem.is_none() {
                assert_eq!(expanded.text("POSTGRES_HOST"), Some("db"));
            }
        }
        let without_password: Environment =
            [(URL, "postgres://o@db/app"), ("POSTGRES_PASSWORD_FILE", "/p")].into_iter().collect();
        assert_eq!(expand(&without_password).1, None);
    }
}
