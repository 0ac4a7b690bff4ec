//! Variables of libpq, which have no effect here: whoever sets one expects that it has.

use crate::cli::Environment;

/// Each with what has its effect: <https://www.postgresql.org/docs/current/libpq-envars.html>.
const VARIABLES: [(&str, &str); 34] = [
    ("PGHOST", "POSTGRES_HOST"),
    ("PGHOSTADDR", "POSTGRES_HOST"),
    ("PGPORT", "POSTGRES_PORT"),
    ("PGDATABASE", "POSTGRES_DB"),
    ("PGUSER", "POSTGRES_USER"),
    ("PGPASSWORD", "POSTGRES_PASSWORD"),
    ("PGPASSFILE", "POSTGRES_PASSWORD_FILE"),
    ("PGSERVICE", "POSTGRES_HOST and the others"),
    ("PGSERVICEFILE", "POSTGRES_HOST and the others"),
    ("PGSYSCONFDIR", "POSTGRES_HOST and the others"),
    ("PGTARGETSESSIONATTRS", "POSTGRES_HOST"),
    ("PGLOADBALANCEHOSTS", "POSTGRES_HOST"),
    ("PGOPTIONS", "ALTER ROLE … SET"),
    ("PGAPPNAME", "RUN_MIGRATIONS_VERSION"),
    ("PGSSLMODE", "POSTGRES_SSLMODE"),
    ("PGREQUIRESSL", "POSTGRES_SSLMODE"),
    ("PGSSLNEGOTIATION", "POSTGRES_SSLMODE"),
    ("PGGSSENCMODE", "POSTGRES_SSLMODE"),
    ("PGSSLMINPROTOCOLVERSION", "POSTGRES_SSLMODE (TLS 1.2 is the least)"),
    ("PGSSLMAXPROTOCOLVERSION", "POSTGRES_SSLMODE (TLS 1.2 is the least)"),
    ("PGSSLCERT", "POSTGRES_SSLCERT"),
    ("PGSSLCERTMODE", "POSTGRES_SSLCERT"),
    ("PGSSLKEY", "POSTGRES_SSLKEY"),
    ("PGSSLROOTCERT", "POSTGRES_SSLROOTCERT"),
    ("PGSSLCRL", "POSTGRES_SSLCRL"),
    ("PGSSLCRLDIR", "POSTGRES_SSLCRL"),
    ("PGREQUIREAUTH", "POSTGRES_REQUIRE_AUTH"),
    ("PGREQUIREPEER", "POSTGRES_REQUIRE_AUTH"),
    ("PGCHANNELBINDING", "POSTGRES_CHANNEL_BINDING"),
    ("PGCONNECT_TIMEOUT", "CONNECT_TIMEOUT"),
    ("PGCLIENTENCODING", "scripts in UTF-8"),
    ("PGTZ", "ALTER ROLE … SET"),
    ("PGDATESTYLE", "ALTER ROLE … SET"),
    ("PGGEQO", "ALTER ROLE … SET"),
];

pub(crate) fn without_effect(environment: &Environment) -> Option<String> {
    let set: Vec<_> = VARIABLES.iter().filter(|(name, _)| environment.has(name)).collect();
    let names: Vec<_> = set.iter().map(|(name, _)| *name).collect();
    let mut ours: Vec<&str> = Vec::new();
    for (_, effective) in &set {
        if !ours.contains(effective) {
            ours.push(effective);
        }
    }
    let verb = if names.len() == 1 { "has" } else { "have" };
    (!names.is_empty())
        .then(|| format!("{} {verb} no effect here; use {}", names.join(", "), ours.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_are_set_are_named_once() {
        for (set, said) in [
            (&[("POSTGRES_HOST", "x"), ("PGHOST", "")][..], None),
            (&[("PGHOST", "x")], Some("PGHOST has no effect here; use POSTGRES_HOST")),
            (
                &[("PGOPTIONS", "secret"), ("PGHOST", "x"), ("PGHOSTADDR", "y")],
                Some(
                    "PGHOST, PGHOSTADDR, PGOPTIONS have no effect here; use POSTGRES_HOST, ALTER ROLE … SET",
                ),
            ),
        ] {
            let environment = set.iter().copied().collect();
            assert_eq!(without_effect(&environment).as_deref(), said);
        }
    }
}
