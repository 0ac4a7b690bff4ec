//! What the tests share.

pub(crate) mod api;
pub(crate) mod http;
pub(crate) mod outcome;
pub(crate) mod program;
mod serve;
