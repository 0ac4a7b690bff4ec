//! What a record of the job's JSON log says of its progress, for whoever follows it.

/// The field that holds one of the following.
pub const PROGRESS: &str = "progress";

/// A migration begins. The report tells of it once it is committed.
pub const STEP: &str = "step";

/// The run waits, or has not got on for a while.
pub const WAITS: &str = "waits";

/// The field that holds a whole error, as people read it.
pub const RENDERED: &str = "rendered";
