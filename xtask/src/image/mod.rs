//! What an image is made of. Nothing in here talks to Docker.

pub(crate) mod binary;
pub(crate) mod context;
mod elf;
pub(crate) mod provenance;
