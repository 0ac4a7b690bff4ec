//! Another session, as the server shows it to our role, and as a person reads it.

use std::fmt;
use std::time::Duration;

use sqlx::postgres::PgRow;

use super::DatabaseError;
use super::query::read;
use crate::statement::without_literals;
use crate::wording;

/// Another session, as far as our role may see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Other {
    /// Its server process; 0 for a prepared transaction, which has none.
    pub pid: i32,
    /// Its role.
    pub role: Option<String>,
    /// Its application.
    pub application: Option<String>,
    /// `active`, `idle in transaction`, …
    pub state: Option<String>,
    /// For how long it has been so.
    pub since: Option<Duration>,
    /// Its query.
    pub query: Option<String>,
}

impl Other {
    /// Rows of these columns, the duration in seconds.
    pub(super) fn all(rows: &[PgRow]) -> Result<Vec<Self>, DatabaseError> {
        let other = |(pid, role, application, state, since, query): (_, _, _, _, Option<f64>, _)| Self {
            pid,
            role,
            application,
            state,
            since: since.map(lasting),
            query,
        };
        Ok(read(rows)?.into_iter().map(other).collect())
    }
}

/// A duration in seconds by the server's clock, which may have been set back meanwhile.
pub(super) fn lasting(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

impl fmt::Display for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 80;
        match self.pid {
            0 => f.write_str("a prepared transaction (see pg_prepared_xacts)")?,
            pid => write!(f, "pid {pid}")?,
        }
        for (name, value) in [("role", &self.role), ("application", &self.application)] {
            if let Some(value) = value {
                write!(f, ", {name} {value}")?;
            }
        }
        if let Some(state) = &self.state {
            write!(f, ", {state}")?;
        }
        if let Some(since) = self.since {
            write!(f, " for {}", wording::whole_seconds(since))?;
        }
        if let Some(query) = &self.query {
            let short: String = without_literals(query).chars().take(SHOWN).collect();
            write!(f, " ({short})")?;
        }
        Ok(())
    }
}

/// `pid 7 and pid 8`
pub fn listed(others: &[Other]) -> String {
    others.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_read_well() {
        let all = Other {
            pid: 7,
            role: Some("site".to_owned()),
            application: Some("web".to_owned()),
            state: Some("idle in transaction".to_owned()),
            since: Some(lasting(12.4)),
            query: Some("UPDATE t SET mail = 'a@b.c' WHERE id = 5".to_owned()),
        };
        let hidden = Other { pid: 8, role: None, application: None, state: None, since: None, query: None };
        assert_eq!(
            listed(&[all, hidden]),
            "pid 7, role site, application web, idle in transaction for 12 s (UPDATE t SET mail = ? WHERE id = ?) and \
             pid 8"
        );
        assert_eq!(lasting(-0.5), Duration::ZERO);
    }
}
