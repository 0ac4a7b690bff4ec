//! The job's promises, one module each, kept by the real binary against a real server.
//!
//! Run by `cargo xtask test`, which starts the server and names it in the environment.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on has failed")]
#![expect(clippy::print_stdout, reason = "shown where a test has failed")]

mod statement_by_statement;
mod support;

mod any_directory;
mod any_script;
mod any_server;
mod bookkeeping;
mod configuration;
mod connection;
mod downgrade;
mod drift_and_stamp;
mod foreign_text;
mod history_and_current;
mod honesty;
mod hostile_schemas;
mod json;
mod locks;
mod login;
mod no_transaction;
mod offline_sql;
mod on_a_live_site;
mod other_tools;
mod passwords;
mod planted;
mod privileges;
mod resolve;
mod revisions;
mod row_values;
mod scripts;
mod session_state;
mod signals;
mod sqlx_oracle;
mod table_owners;
mod tls;
mod transactions;
mod upgrade;
mod verdict;
mod watching;
mod website;
mod whose_failure;
