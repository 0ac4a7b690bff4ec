//! The tasks of ECR with the real `xtask` against the emulator; no Docker daemon is needed: `cargo xtask test`.

#![expect(clippy::unwrap_used, reason = "a test that unwraps nothing has failed")]

mod credentials;
mod evidence;
mod helpers;
mod images;
mod login;
mod promotion;
mod release;
mod secrets;
mod settings;
mod setup;
mod support;
