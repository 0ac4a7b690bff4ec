//! `run-migrations --on kubernetes` with the real `xtask` against a scripted API server on the loopback: what it prints,
//! what it asks, and how it exits.

#![expect(clippy::unwrap_used, reason = "a test that unwraps nothing has failed")]

mod ends;
mod faults;
mod fleets;
mod following;
mod foreign_text;
mod manifests;
mod requests;
mod strangers;
mod support;
// `script` is another program elsewhere.
#[cfg(target_os = "linux")]
mod terminal;
