//! What an image is made of and what it is called. Nothing in here talks to Docker.

pub mod archive;
pub mod binary;
pub mod context;
pub mod ecr_host;
mod elf;
pub mod identity;
pub mod inputs;
pub mod manifest;
pub mod name;
pub mod platform;
pub mod provenance;
pub mod reference;
pub mod sealed;
