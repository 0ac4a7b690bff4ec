//! No code: a feature that one of the tools wants of a crate that another one uses too. cargo takes the features of what
//! it is asked to build, so without this the same crates would be compiled once for `xtask`, once for `xtask-cloud`, and
//! once for the tests.
