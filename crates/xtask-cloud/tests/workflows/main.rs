//! The workflows, run with `act` on this machine. What they call is real: git, `cargo xtask`, the job, PostgreSQL, the
//! emulator of ECR. What needs GitHub, AWS or a cluster themselves is stood in for by `actions`, `gh.py`, `cluster.py`.
//!
//! act passes over environments, permissions, concurrency and jobs for runners it has no label of, without a word: what
//! happened is asserted, not only that nothing failed.

#![expect(clippy::unwrap_used, reason = "a test that unwraps nothing has failed")]

mod attacks;
mod ci;
mod delivery;
mod hardening;
mod registry;
mod release;
mod stage;
#[path = "../ecr/support/mod.rs"]
mod support;
mod whole;
