//! Migrations as far as they can be known without asking a server: the files of a directory, what a revision names,
//! where a script's statements begin and end, what a run would do, and what it says of itself.
//!
//! Nothing here connects, prints or waits. A directory is read, and no more.

pub mod command;
pub mod command_line;
pub mod database_url;
pub mod disagreement;
pub mod drift;
pub mod excerpt;
pub mod exit_code;
pub mod file_name;
pub mod history;
pub mod log_record;
pub mod other_tool;
pub mod plan;
pub mod resume;
pub mod revision;
pub mod script;
pub mod script_problem;
pub mod state;
pub mod statement;
pub mod suggestion;
pub mod summary;
pub mod variable;
pub mod verdict;
pub mod version;
pub mod wording;

pub use command::Command;
pub use disagreement::{Disagreement, PartiallyApplied};
pub use excerpt::Excerpt;
pub use exit_code::ExitCode;
pub use history::{History, Migration};
pub use plan::{Group, OutOfOrder, PlanError, Step, Transaction};
pub use revision::{Position, Range, Revision};
pub use script::Prepared;
pub use state::{Applied, BOOKKEEPING, State};
pub use statement::Statement;
pub use summary::{Bookkeeping, Report, StepReport, StepStatus};
pub use variable::{Mistake, WrongSettings};
pub use version::{Checksum, Direction, Version};
