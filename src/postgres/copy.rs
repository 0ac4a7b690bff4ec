//! Reads a table by `COPY … TO STDOUT`. Anybody who may create in a schema can change what a name means, or what hangs on
//! a table of theirs, between a look and a query. COPY of a table plans nothing and calls nothing but the output
//! functions of its columns' types; it refuses views, and tables whose rows a policy would hide where `row_security` is
//! off. So nobody's code runs, whatever the name means by then.
//!
//! The binary format: <https://www.postgresql.org/docs/current/sql-copy.html>.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use sqlx::PgConnection;

use migration_core::Checksum;

use crate::postgres::DatabaseError;
use crate::postgres::query::{LONGEST_ANSWER, answered};

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

pub(super) async fn copy_out(
    connection: &mut PgConnection,
    patience: Duration,
    statement: &str,
) -> Result<Vec<u8>, DatabaseError> {
    answered(patience, async {
        let mut all = Vec::new();
        let mut parts = connection.copy_out_raw(statement).await?;
        while let Some(part) = parts.try_next().await? {
            if all.len() + part.len() > LONGEST_ANSWER {
                return Err(DatabaseError::Cut("the server's answer has no end".to_owned()));
            }
            all.extend_from_slice(&part);
        }
        Ok(all)
    })
    .await
}

fn nonsense() -> DatabaseError {
    DatabaseError::Distrust("what the server copied is not PostgreSQL's binary format".to_owned())
}

/// Reads every row of `columns` columns.
pub(super) fn rows<T>(
    copied: &[u8],
    columns: usize,
    mut row: impl FnMut(&mut Fields<'_>) -> Result<T, DatabaseError>,
) -> Result<Vec<T>, DatabaseError> {
    let mut rest = Rest(copied.strip_prefix(SIGNATURE).ok_or_else(nonsense)?);
    rest.take(4)?;
    let extension = rest.length()?.ok_or_else(nonsense)?;
    rest.take(extension)?;
    let mut rows = Vec::new();
    loop {
        match i16::from_be_bytes(rest.array()?) {
            -1 if rest.0.is_empty() => return Ok(rows),
            count if usize::try_from(count).is_ok_and(|count| count == columns) => {}
            _ => return Err(nonsense()),
        }
        let fields: Result<Vec<_>, _> = (0..columns).map(|_| rest.field()).collect();
        rows.push(row(&mut Fields(fields?.into_iter()))?);
    }
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], DatabaseError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(nonsense)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DatabaseError> {
        self.take(N)?.try_into().map_err(|_| nonsense())
    }

    /// A length, or `None` for the -1 of a null.
    fn length(&mut self) -> Result<Option<usize>, DatabaseError> {
        match i32::from_be_bytes(self.array()?) {
            -1 => Ok(None),
            length => usize::try_from(length).map(Some).map_err(|_| nonsense()),
        }
    }

    fn field(&mut self) -> Result<Option<&'a [u8]>, DatabaseError> {
        self.length()?.map(|length| self.take(length)).transpose()
    }
}

pub(super) struct Fields<'a>(std::vec::IntoIter<Option<&'a [u8]>>);

impl<'a> Fields<'a> {
    pub(super) fn is_null(&mut self) -> bool {
        self.0.next().flatten().is_none()
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], DatabaseError> {
        self.0.next().flatten().ok_or_else(|| unexpected("a null"))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DatabaseError> {
        self.bytes()?.try_into().map_err(|_| unexpected("a value of another type"))
    }

    pub(super) fn long(&mut self) -> Result<i64, DatabaseError> {
        self.array().map(i64::from_be_bytes)
    }

    pub(super) fn int(&mut self) -> Result<i32, DatabaseError> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn short(&mut self) -> Result<i16, DatabaseError> {
        self.array().map(i16::from_be_bytes)
    }

    pub(super) fn truth(&mut self) -> Result<bool, DatabaseError> {
        self.array().map(|[byte]| byte != 0)
    }

    pub(super) fn text(&mut self) -> Result<String, DatabaseError> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| unexpected("text that is not UTF-8"))
    }

    pub(super) fn checksum(&mut self) -> Result<Checksum, DatabaseError> {
        self.bytes().map(|bytes| Checksum::from_bytes(bytes.to_vec()))
    }

    /// A `timestamptz` as `2026-11-05T09:00:00Z`.
    pub(super) fn moment(&mut self) -> Result<String, DatabaseError> {
        self.long().map(moment)
    }
}

fn unexpected(what: &str) -> DatabaseError {
    DatabaseError::Distrust(format!("a row holds {what} where the bookkeeping has none"))
}

/// Of microseconds since 2000.
fn moment(microseconds: i64) -> String {
    match microseconds {
        i64::MAX => return "infinity".to_owned(),
        i64::MIN => return "-infinity".to_owned(),
        _ => {}
    }
    let seconds = microseconds.div_euclid(1_000_000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days since the first of March of the year 0, from where the leap day is a year's last.
    let days = days + 730_425;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copied(rows: &[u8]) -> Vec<u8> {
        [SIGNATURE, &[0; 8], rows].concat()
    }

    #[test]
    fn rows_are_read_field_by_field() {
        let row = b"\0\x03\0\0\0\x08\0\0\0\0\0\0\0\x07\0\0\0\x01a\xff\xff\xff\xff";
        let read = |fields: &mut Fields<'_>| Ok((fields.long()?, fields.text()?, fields.is_null()));
        let all = copied(&[&row[..], row, b"\xff\xff"].concat());
        let expected = (7, "a".to_owned(), true);
        assert_eq!(rows(&all, 3, read).unwrap(), [expected.clone(), expected]);
        assert_eq!(rows(&copied(b"\xff\xff"), 3, read).unwrap(), []);
        // However it is cut off.
        for end in 0..all.len() {
            assert!(rows(&all[..end], 3, read).is_err(), "{end}");
        }
    }

    #[test]
    fn what_is_not_the_format_is_refused() {
        fn number(fields: &mut Fields<'_>) -> Result<i64, DatabaseError> {
            fields.long()
        }
        for said in [
            b"PGCOPY".to_vec(),
            [SIGNATURE, b"\0\0\0\0\x7f\xff\xff\xff"].concat(),
            [SIGNATURE, b"\0\0\0\0\xff\xff\xff\xff\xff\xff"].concat(),
            copied(b"\0\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
            copied(b"\0\x01\x7f\xff\xff\xffa"),
            copied(b"\0\x01\xff\xff\xff\xfe"),
            copied(b"\0\x01\0\0\0\x04\0\0\0\x01\xff\xff"),
            copied(b"\0\x01\xff\xff\xff\xff\xff\xff"),
            copied(b"\xff\xff\0"),
        ] {
            assert!(matches!(rows(&said, 1, number), Err(DatabaseError::Distrust(_))), "{said:?}");
        }
    }

    #[test]
    fn moments_are_written_as_the_server_does() {
        for (seconds, written) in [
            (0, "2000-01-01T00:00:00Z"),
            (-1, "1999-12-31T23:59:59Z"),
            (5_097_600, "2000-02-29T00:00:00Z"),
            (36_806_400, "2001-03-02T00:00:00Z"),
            (847_184_400, "2026-11-05T09:00:00Z"),
            (3_160_857_599, "2100-02-28T23:59:59Z"),
            (3_160_857_600, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(moment(seconds * 1_000_000), written);
        }
        assert_eq!((moment(i64::MAX), moment(i64::MIN)), ("infinity".to_owned(), "-infinity".to_owned()));
    }
}
