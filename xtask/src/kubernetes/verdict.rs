//! What the job left as its last word: the JSON of its termination message.

use serde::Deserialize;

/// Everything may be missing: a job that is killed leaves nothing, an older image leaves less.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Verdict {
    pub(crate) exit_code: Option<u8>,
    pub(crate) command: Option<String>,
    pub(crate) database: Option<String>,
    pub(crate) from: Option<Position>,
    pub(crate) to: Option<Position>,
    pub(crate) current: Option<Position>,
    pub(crate) head: Option<i64>,
    pub(crate) steps: usize,
    pub(crate) done: usize,
    /// The last rows of the table, as many as fitted.
    pub(crate) migrations: Vec<Row>,
    pub(crate) omitted: usize,
    pub(crate) message: String,
}

/// `base`, or a version.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Position {
    At(i64),
    Named(String),
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::At(version) => write!(f, "{version}"),
            Self::Named(name) => f.write_str(name),
        }
    }
}

/// One step that was reached.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Row {
    pub(crate) version: i64,
    pub(crate) description: String,
    pub(crate) status: String,
    pub(crate) milliseconds: Option<u64>,
}

impl Verdict {
    /// Nothing, if the message is none of the job's.
    pub(crate) fn parse(message: &str) -> Option<Self> {
        serde_json::from_str(message).ok().filter(|verdict: &Self| verdict.exit_code.is_some())
    }
}
