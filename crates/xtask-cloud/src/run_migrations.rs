//! `cargo xtask run-migrations --on kubernetes`.

mod fleet;
mod kubernetes;
mod reviewed;
mod terminal;

pub(crate) use kubernetes::run;
