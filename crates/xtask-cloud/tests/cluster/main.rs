//! The end-to-end suite of `cargo xtask test --kubernetes`: the real `xtask` and image against a real cluster and a real
//! PostgreSQL. Each test has a namespace of its own under the restricted standard, and a database of its own.

#![expect(clippy::unwrap_used, reason = "a test that unwraps nothing has failed")]

mod attacks;
mod by_hand;
mod disturbed;
mod failures;
mod fleets;
mod policy;
mod rights;
mod runs;
mod support;
