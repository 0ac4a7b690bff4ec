//! The migration job: SQL scripts in a directory, a PostgreSQL database, and the one safe way from
//! where the database is to where it should be.
//!
//! ```text
//! arguments + environment → Config → History (files) ┐
//!                            └→ Database (applied) ──┴→ Plan → run → Report → exit code
//! ```

pub mod cli;
pub mod config;
pub mod database;
pub mod drift;
pub mod error;
pub mod failure;
pub mod file;
pub mod interrupt;
pub mod job;
pub mod log;
pub mod message;
pub mod migration;
pub mod offline;
pub mod pem;
pub mod plan;
pub mod report;
pub mod resume;
pub mod revision;
pub mod row_values;
pub mod run;
pub mod script;
pub mod secret;
pub mod standing;
pub mod statement;
pub mod supervise;
pub mod verdict;
pub mod watch;
mod wording;
