//! What an image is made of and what it is called. Nothing in here talks to Docker.

pub(crate) mod archive;
pub(crate) mod binary;
pub(crate) mod context;
pub(crate) mod ecr_host;
mod elf;
#[cfg(feature = "cloud")]
pub(crate) mod identity;
#[cfg(feature = "cloud")]
pub(crate) mod inputs;
#[cfg(feature = "cloud")]
pub(crate) mod manifest;
#[cfg_attr(not(feature = "cloud"), expect(dead_code, reason = "for the tasks of the build with the feature"))]
pub(crate) mod name;
pub(crate) mod provenance;
pub(crate) mod reference;
