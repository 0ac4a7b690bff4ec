//! Where the history of another tool is, as its bookkeeping says.

use std::fmt;

use foreign_text::shortened;

use crate::postgres::copy::Fields;
use crate::postgres::other_bookkeeping::OtherBookkeeping;
use crate::postgres::sql::quoted_identifier;
use crate::postgres::{DatabaseError, Session};

/// How much of what such a table says is shown, in characters.
const SHOWN: usize = 200;

impl Session {
    /// Where its history is, if the role may read it.
    pub(crate) async fn newest_of(&mut self, other: &OtherBookkeeping) -> Option<String> {
        if other.table.unreadable(&self.info.user).is_some() {
            return None;
        }
        let (order, name) = other.tool.newest();
        // COPY takes a column once.
        let columns: Vec<_> = order.filter(|order| *order != name).into_iter().chain([name]).collect();
        let kind = |column: &&str| other.table.columns.iter().find(|known| known.name == *column);
        let kinds: Vec<_> = columns.iter().map(|column| kind(column).map(|known| known.kind)).collect();
        let columns: Vec<_> = columns.into_iter().map(quoted_identifier).collect();
        let columns: Vec<_> = columns.iter().map(String::as_str).collect();
        let row = |row: &mut Fields<'_>| kinds.iter().map(|kind| value(row, *kind)).collect();
        let mut rows: Vec<Vec<Value>> = self.read_table(&other.table, &columns, row).await.ok()?;
        rows.sort();
        let from = order.map_or(0, |_| rows.len().saturating_sub(1));
        let newest: Vec<_> =
            rows.iter().skip(from).filter_map(|row| row.last()).map(ToString::to_string).collect();
        Some(if newest.is_empty() { "none".to_owned() } else { shortened(&newest.join(", "), SHOWN) })
    }
}

/// What a migration is numbered or called by.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Number(i64),
    Text(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// By the type's number in PostgreSQL's `pg_type.dat`.
fn value(row: &mut Fields<'_>, kind: Option<u32>) -> Result<Value, DatabaseError> {
    match kind.unwrap_or_default() {
        // smallint, integer, bigint; timestamp, timestamptz
        21 => row.short().map(|number| Value::Number(number.into())),
        23 => row.int().map(|number| Value::Number(number.into())),
        20 | 1114 | 1184 => row.long().map(Value::Number),
        // text, character varying, character, name
        25 | 1043 | 1042 | 19 => row.text().map(Value::Text),
        _ => Err(DatabaseError::Distrust("a column of an unexpected type".to_owned())),
    }
}
