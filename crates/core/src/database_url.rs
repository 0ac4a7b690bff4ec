//! A connection URL as the settings it stands for. The form is libpq's, and a driver's name behind the scheme is allowed
//! as SQLAlchemy writes it: <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS>.

use percent_encoding::percent_decode_str;

/// Parameters, each with the setting it stands for.
const PARAMETERS: [(&str, &str); 14] = [
    ("host", "POSTGRES_HOST"),
    ("port", "POSTGRES_PORT"),
    ("dbname", "POSTGRES_DB"),
    ("user", "POSTGRES_USER"),
    ("password", "POSTGRES_PASSWORD"),
    ("sslmode", "POSTGRES_SSLMODE"),
    ("ssl-mode", "POSTGRES_SSLMODE"),
    ("sslrootcert", "POSTGRES_SSLROOTCERT"),
    ("sslcrl", "POSTGRES_SSLCRL"),
    ("sslcert", "POSTGRES_SSLCERT"),
    ("sslkey", "POSTGRES_SSLKEY"),
    ("channel_binding", "POSTGRES_CHANNEL_BINDING"),
    ("require_auth", "POSTGRES_REQUIRE_AUTH"),
    ("connect_timeout", "CONNECT_TIMEOUT"),
];

const ENCODE: &str = "write /, ?, : and @ of a user, password or database as %2F, %3F, %3A and %40";

/// The settings that a URL stands for, by their variables. The error says what is wrong with it, and quotes nothing of
/// it: a password may be anywhere.
pub fn settings(url: &str) -> Result<Vec<(&'static str, String)>, String> {
    let expected = "expected postgresql://user:password@host:port/database";
    let (scheme, rest) = url.split_once("://").ok_or(expected)?;
    if !["postgresql", "postgres"].contains(&scheme.split('+').next().unwrap_or_default()) {
        return Err(format!("is not a URL of PostgreSQL; {expected}"));
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    if database.contains(['@', '/', ':']) {
        return Err(format!("has more behind the host than the name of a database; {ENCODE}"));
    }
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    // The colons of an IPv6 address are in brackets.
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (host, ""),
    };
    let mut settings: Vec<(&'static str, String)> = Vec::new();
    let parts =
        [("host", host), ("port", port), ("user", user), ("password", password), ("dbname", database)];
    let parameters = query.split('&').filter(|parameter| !parameter.is_empty());
    let parameters = parameters.map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")));
    for (name, value) in parts.into_iter().filter(|(_, value)| !value.is_empty()).chain(parameters) {
        let known = PARAMETERS.iter().find(|(parameter, _)| *parameter == name);
        // Its name may be the half of a password that holds a question mark.
        let (_, setting) = known.ok_or_else(|| {
            let known = PARAMETERS.map(|(parameter, _)| parameter).join(", ");
            format!("has a parameter that has no setting here; those that have one are {known}; {ENCODE}")
        })?;
        if settings.iter().any(|(given, _)| given == setting) {
            return Err(format!("says {name} twice"));
        }
        let value = percent_decode_str(value).decode_utf8();
        let mut value = value.map_err(|_| format!("has a {name} that is not UTF-8"))?.into_owned();
        if *setting == "CONNECT_TIMEOUT" {
            value.push('s');
        }
        settings.push((setting, value));
    }
    for (part, setting) in [("host", "POSTGRES_HOST"), ("user", "POSTGRES_USER"), ("database", "POSTGRES_DB")]
    {
        if !settings.iter().any(|(given, _)| *given == setting) {
            return Err(format!("names no {part}; {expected}"));
        }
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    #[test]
    fn urls_become_settings() {
        for (url, expected) in [
            ("postgres://owner@db/app", Ok("POSTGRES_HOST=db POSTGRES_USER=owner POSTGRES_DB=app")),
            (
                "postgresql+psycopg2://o%40x:p%2Fw:d@[::1]:5433/my%20app?sslmode=verify-full",
                Ok("POSTGRES_HOST=[::1] POSTGRES_PORT=5433 POSTGRES_USER=o@x POSTGRES_PASSWORD=p/w:d \
                    POSTGRES_DB=my app POSTGRES_SSLMODE=verify-full"),
            ),
            (
                "postgresql:///app?host=/var/run/postgresql&user=o&connect_timeout=5",
                Ok("POSTGRES_DB=app POSTGRES_HOST=/var/run/postgresql POSTGRES_USER=o CONNECT_TIMEOUT=5s"),
            ),
            (
                "postgres://o:p@ss@db/app",
                Ok("POSTGRES_HOST=db POSTGRES_USER=o POSTGRES_PASSWORD=p@ss POSTGRES_DB=app"),
            ),
            (
                "postgres://o@db/app?options=-c%20x",
                Err("has a parameter that has no setting here; those that have"),
            ),
            ("postgres://o:hunter?2=x@db/app", Err("has a parameter that has no setting here; ")),
            ("postgres://o:p@hunter/2@db/app", Err("has more behind the host than the name of a database; ")),
            ("postgres://o@db/app?user=p", Err("says user twice")),
            ("postgres://o@db/", Err("names no database; ")),
            ("postgres://db/app", Err("names no user; ")),
            ("postgres://o@/app", Err("names no host; ")),
            ("mysql://o@db/app", Err("is not a URL of PostgreSQL; ")),
            ("db.example.com", Err("expected postgresql://")),
            ("postgres://o:%ff@db/app", Err("has a password that is not UTF-8")),
        ] {
            let settings = super::settings(url).map(|settings| {
                settings.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
            });
            match (settings, expected) {
                (Ok(settings), Ok(expected)) => assert_eq!(settings, expected, "{url}"),
                (Err(problem), Err(expected)) => {
                    assert!(problem.starts_with(expected), "{url}: {problem}");
                    assert!(!problem.contains("hunter"), "{problem}");
                }
                (found, _) => panic!("{url}: {found:?}"),
            }
        }
    }
}
