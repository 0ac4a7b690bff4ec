//! Migrations as far as they can be known without asking a server: the files of a directory, what a revision names,
//! where a script's statements begin and end, what a run would do, and what it says of itself.
//!
//! Nothing here connects, prints or waits. A directory is read, and no more.

pub mod command;
pub mod disagreement;
pub mod drift;
pub mod excerpt;
pub mod exit_code;
pub mod file_name;
pub mod history;
pub mod plan;
pub mod resume;
pub mod revision;
pub mod script;
pub mod script_problem;
pub mod state;
pub mod statement;
pub mod summary;
pub mod variable;
pub mod version;
pub mod wording;
