//! The checkout, the programs that are run in it, and the terminal: what every task needs, whatever system it talks to.

pub mod cargo;
pub mod changelog;
pub mod git;
pub mod github;
pub mod given;
pub mod kubectl;
pub mod process;
pub mod project;
pub mod python;
pub mod secret;
pub mod ui;
pub mod yaml;
