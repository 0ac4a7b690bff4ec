//! Queries of our own. Each has an end, whatever the server says or does not say: it may be stopped,
//! it may be no PostgreSQL, and sqlx takes for granted that it is one.

use std::cell::Cell;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Column as _, Either, FromRow, PgConnection, Row as _, raw_sql};

use crate::postgres::DatabaseError;
use migration_core::wording;

/// How long a second connection may take, or what is asked over it.
pub(crate) const CANCEL_GRACE: Duration = Duration::from_secs(5);

/// More than this is no answer to anything that we ask.
pub(super) const LONGEST_ANSWER: usize = 16 << 20;

/// More commands than any message of ours has.
const MOST_COMMANDS: usize = 1000;

/// What sqlx keeps of a column besides its name and value; of its name it keeps two copies.
const OF_A_COLUMN: usize = 256;

thread_local! {
    static BELIEVING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread reads what a server sent, so that a panic is about that and no defect of ours.
pub(crate) fn is_believing_a_server() -> bool {
    BELIEVING.get()
}

/// A query that failed, and how many of its commands had completed before.
#[derive(Debug)]
pub(crate) struct FailedQuery {
    pub(crate) commands: usize,
    pub(crate) error: DatabaseError,
}

pub(super) async fn rows(
    connection: &mut PgConnection,
    patience: Duration,
    sql: String,
) -> Result<Vec<Vec<PgRow>>, FailedQuery> {
    let mut done = Vec::new();
    let mut open = Vec::new();
    let mut size = 0;
    let reading = async {
        let mut results = raw_sql(AssertSqlSafe(sql)).fetch_many(connection);
        loop {
            match results.try_next().await? {
                Some(Either::Left(_)) => done.push(std::mem::take(&mut open)),
                Some(Either::Right(row)) => {
                    size += length(&row);
                    open.push(row);
                }
                None => return Ok(()),
            }
            if size > LONGEST_ANSWER || done.len() > MOST_COMMANDS {
                return Err(DatabaseError::Cut("the server's answer has no end".to_owned()));
            }
        }
    };
    match answered(patience, reading).await {
        Ok(()) => Ok(done),
        Err(error) => Err(FailedQuery { commands: done.len(), error }),
    }
}

/// What a row may take, with the description of its columns: each may have its own.
fn length(row: &PgRow) -> usize {
    let columns = row.columns().iter().map(|column| OF_A_COLUMN + 2 * column.name().len());
    let values = (0..row.len()).filter_map(|index| row.try_get_raw(index).ok());
    let values = values.filter_map(|value| Some(value.as_bytes().ok()?.len()));
    size_of::<PgRow>() + columns.sum::<usize>() + values.sum::<usize>()
}

/// Runs statements and takes the first value that the last one gives.
pub(super) async fn value<T>(
    connection: &mut PgConnection,
    patience: Duration,
    sql: String,
) -> Result<T, DatabaseError>
where
    (T,): for<'r> FromRow<'r, PgRow>,
{
    let results = rows(connection, patience, sql).await.map_err(|failed| failed.error)?;
    let first: Option<(T,)> = results.last().map(|rows| read(rows)).transpose()?.and_then(first);
    first.map(|(value,)| value).ok_or_else(|| DatabaseError::Cut("the server answered nothing".to_owned()))
}

pub(super) fn first<T>(rows: Vec<T>) -> Option<T> {
    rows.into_iter().next()
}

pub(super) fn read<T: for<'r> FromRow<'r, PgRow>>(rows: &[PgRow]) -> Result<Vec<T>, DatabaseError> {
    believing(|| rows.iter().map(T::from_row).collect::<Result<_, _>>())?.map_err(DatabaseError::from)
}

/// Runs statements for their effect, and says how many commands that were.
pub(super) async fn execute(
    connection: &mut PgConnection,
    patience: Duration,
    sql: impl Into<Arc<String>>,
) -> Result<usize, FailedQuery> {
    let mut commands = 0;
    let reading = async {
        let mut results = raw_sql(AssertSqlSafe(sql.into())).fetch_many(connection);
        while let Some(result) = results.try_next().await? {
            commands += usize::from(result.is_left());
        }
        Ok(())
    };
    match answered(patience, reading).await {
        Ok(()) => Ok(commands),
        Err(error) => Err(FailedQuery { commands, error }),
    }
}

/// Waits for an answer, for so long; zero is without end. Where there is none in time, the connection is of
/// no more use: the answer may still come.
pub(super) async fn answered<T>(
    patience: Duration,
    reading: impl Future<Output = Result<T, DatabaseError>>,
) -> Result<T, DatabaseError> {
    let reading = pin!(believed(reading));
    if patience.is_zero() {
        return reading.await?;
    }
    match tokio::time::timeout(patience, reading).await {
        Ok(read) => read?,
        Err(_) => Err(DatabaseError::Cut(format!(
            "the server did not answer within {}",
            wording::duration(patience)
        ))),
    }
}

/// sqlx panics at messages that are shorter than they have to be.
async fn believed<T>(reading: impl Future<Output = T>) -> Result<T, DatabaseError> {
    let mut reading = pin!(reading);
    poll_fn(|context| match believing(|| reading.as_mut().poll(context)) {
        Ok(Poll::Ready(read)) => Poll::Ready(Ok(read)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(error) => Poll::Ready(Err(error)),
    })
    .await
}

fn believing<T>(read: impl FnOnce() -> T) -> Result<T, DatabaseError> {
    let before = BELIEVING.replace(true);
    let result = catch_unwind(AssertUnwindSafe(read));
    BELIEVING.set(before);
    result.map_err(|_| DatabaseError::Cut("the server's answer makes no sense".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_makes_no_sense_is_an_outage_and_no_defect() {
        let nonsense = async { Ok::<u8, DatabaseError>(Vec::new()[usize::from(is_believing_a_server())]) };
        let error = answered(Duration::ZERO, nonsense).await.unwrap_err();
        assert!(error.is_outage() && !is_believing_a_server(), "{error}");
    }

    #[tokio::test]
    async fn nobody_is_waited_for_without_end() {
        let silence = std::future::pending::<Result<(), DatabaseError>>();
        let error = answered(Duration::from_millis(10), silence).await.unwrap_err();
        assert_eq!(error.to_string(), "the server did not answer within 10 ms");
    }
}
