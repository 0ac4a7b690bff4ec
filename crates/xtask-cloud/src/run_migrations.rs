//! `cargo xtask run-migrations --on kubernetes`.

mod fleet;
mod kubernetes;

pub(crate) use kubernetes::run;
