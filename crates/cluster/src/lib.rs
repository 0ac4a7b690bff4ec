//! The job in a cluster: the manifest of one run, what its Job and pods are about, and how it ended.
//!
//! `manifest` and `reference` say what is to run, `same_run` and `same_pod` whether a Job or a pod is that; `foreign` is
//! a pod that is not. `pod` reads one pod, `job_state` keeps what was seen of a Job; `phase`, `diagnosis` and `outcome`
//! read from it how far it is, what is in its way and how it ended; `table`, `log_line` and `cursor` read what the job
//! itself said. All of these are pure. `cluster` talks to the API server, `watches` and `logs` listen to it, `outage`
//! bounds how long it may be lost, and `follow` puts it all together; `fleet` does so for many databases.

mod api_error;
pub mod cluster;
#[cfg(test)]
mod conversation_tests;
mod cursor;
pub(crate) mod diagnosis;
#[cfg(test)]
mod fixtures;
pub mod fleet;
pub mod follow;
mod foreign;
mod job_state;
mod log_line;
mod logs;
pub mod manifest;
mod outage;
pub mod outcome;
mod phase;
mod pod;
pub mod reference;
mod same_pod;
mod same_run;
#[cfg(test)]
mod same_run_fixtures;
pub mod table;
mod watches;
