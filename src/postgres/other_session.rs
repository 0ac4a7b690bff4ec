//! Another session, as the server shows it to our role, and as a person reads it.

use std::fmt;
use std::time::Duration;

use foreign_text::{Text, shortened};
use sqlx::postgres::PgRow;

use crate::postgres::DatabaseError;
use crate::postgres::query::read;
use migration_core::statement::without_literals;
use migration_core::wording;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OtherSession {
    /// Its server process; 0 for a prepared transaction, which has none.
    pub(crate) pid: i32,
    pub(crate) role: Option<Text>,
    pub(crate) application: Option<Text>,
    /// `active`, `idle in transaction`, …
    pub(crate) state: Option<Text>,
    pub(crate) since: Option<Duration>,
    pub(crate) query: Option<Text>,
}

impl OtherSession {
    pub(super) fn all(rows: &[PgRow]) -> Result<Vec<Self>, DatabaseError> {
        type Row = (i32, Option<String>, Option<String>, Option<String>, Option<f64>, Option<String>);
        let text = |text: Option<String>| text.map(Text::from);
        let other = |(pid, role, application, state, since, query): Row| Self {
            pid,
            role: text(role),
            application: text(application),
            state: text(state),
            since: since.map(lasting),
            query: text(query),
        };
        Ok(read(rows)?.into_iter().map(other).collect())
    }
}

/// A duration in seconds by the server's clock, which may have been set back meanwhile.
pub(super) fn lasting(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

impl fmt::Display for OtherSession {
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
            write!(f, " ({})", shortened(&without_literals(query.exact()), SHOWN))?;
        }
        Ok(())
    }
}

/// `pid 7 and pid 8`
pub(crate) fn listed(others: &[OtherSession]) -> String {
    others.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_read_well() {
        let all = OtherSession {
            pid: 7,
            role: Some("site".into()),
            application: Some("web".into()),
            state: Some("idle in transaction".into()),
            since: Some(lasting(12.4)),
            query: Some("UPDATE t SET mail = 'a@b.c' WHERE id = 5".into()),
        };
        let hostile = OtherSession {
            application: Some("a\n\x1b[2J\r##[add-mask]x".into()),
            role: None,
            state: None,
            since: None,
            query: Some("SELECT \"\u{202e}\u{9b}\"".into()),
            ..all.clone()
        };
        assert_eq!(
            hostile.to_string(),
            r#"pid 7, application a\n\u{1b}[2J\r#\u{23}[add-mask]x (SELECT "\u{202e}\u{9b}")"#
        );
        let hidden =
            OtherSession { pid: 8, role: None, application: None, state: None, since: None, query: None };
        assert_eq!(
            listed(&[all, hidden]),
            "pid 7, role site, application web, idle in transaction for 12 s (UPDATE t SET mail = ? WHERE id = ?) and \
             pid 8"
        );
        assert_eq!(lasting(-0.5), Duration::ZERO);
    }
}
