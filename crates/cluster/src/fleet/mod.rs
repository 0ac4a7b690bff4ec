//! One image, many databases: a Job for each, made from the same template.
//!
//! `databases` reads who they are, `schedule` decides which is next and when to stop, `status` is how they stand; these
//! are pure. `drive` starts and watches the Jobs.

pub mod databases;
pub mod drive;
pub mod schedule;
pub mod status;
