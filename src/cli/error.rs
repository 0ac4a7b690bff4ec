//! Everything that ends the program early.

use std::io;

use foreign_text::{lines, one_line};
use migration_core::WrongSettings;

use crate::engine::Error as EngineError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{}", one_line(.0))]
    Usage(String),
    #[error(transparent)]
    Settings(#[from] WrongSettings),
    #[error("the result could not be written: {0}; nothing was changed")]
    Unwritten(io::Error),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("a defect in this program: {}; please report it", lines(.0))]
    Defect(String),
}
