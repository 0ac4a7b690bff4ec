//! The server, and the only user of sqlx.

mod activity;
mod connect;
mod copy;
mod error;
mod guard;
pub mod judgement;
mod leftover;
mod lock;
mod look;
mod other;
pub mod path;
mod pooling;
mod query;
mod session;
mod table;
mod trusted;
mod watcher;
mod wire;

pub use activity::Clearing;
pub use connect::{Backend, CANCEL_GRACE, cancel, connect};
pub use error::{DatabaseError, ServerError};
pub use judgement::{NOT_ORDINARY, write_only_if_ordinary};
pub use leftover::Index;
pub use lock::{RunLock, unlock_and_lock_again};
pub use look::Facts;
pub use other::{Other, listed};
pub use pooling::refuse_transaction_pooling;
pub use query::{Completed, is_believing_a_server};
pub use session::Session;
pub use table::Table;
pub use watcher::{Progress, Sight, Watcher};

use crate::migration::Checksum;

/// sqlx's bookkeeping table.
pub const BOOKKEEPING: &str = "_sqlx_migrations";

/// Our own table, which exists while a no-transaction script is under way.
pub const PROGRESS: &str = "_run_migrations_progress";

/// A checksum as our tables hold it.
fn recorded(hex: &str) -> Result<Checksum, DatabaseError> {
    Checksum::from_hex(hex).ok_or_else(|| DatabaseError::Cut(format!("{hex:?} is no checksum")))
}

/// An identifier in double quotes.
pub fn quoted_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A string literal. Backslashes go in as they are: `standard_conforming_strings` is on wherever
/// one is used.
pub fn quoted_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
