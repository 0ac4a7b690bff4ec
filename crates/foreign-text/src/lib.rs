//! Text that others wrote: a server, a script, a role's name, a file's name, a pod. It is kept as it came and shown so
//! that whoever reads it, a person, a terminal, a CI runner or a Markdown renderer, reads text and nothing else.
//!
//! One rule for characters ([`character`]), applied once, where text is shown:
//!
//! | shown | with |
//! |---|---|
//! | inside a sentence or a row | [`Text`]'s `Display`, [`one_line`] |
//! | as lines of its own | [`lines`] |
//! | a whole report with colours of our own | [`styled`] |
//! | JSON that is written already | [`json`] |
//! | Markdown | [`markdown`] |
//! | GitHub's runner | [`runner`] for annotations and fences; every function here takes the meaning from commands |
//!
//! Data for machines is not changed: JSON is escaped by JSON's own rules.

#![warn(missing_docs)]

pub mod character;
mod escape;
mod json;
pub mod markdown;
pub mod runner;
mod text;

pub use escape::{lines, one_line, shortened, styled};
pub use json::json;
pub use text::Text;
