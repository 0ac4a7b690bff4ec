//! How the job ends: the codes, their one word in JSON, and what they mean.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How the process ends; stable, because Kubernetes' `podFailurePolicy` reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExitCode {
    /// Done, or nothing to do.
    Done = 0,
    /// The result did not reach stdout.
    Unwritten = 1,
    /// Usage, configuration, revision, unusable scripts.
    Usage = 2,
    /// The server can't be reached, or the outcome of a commit could not be learnt.
    Unreachable = 3,
    /// The run lock or a table lock was not granted in time.
    Locked = 4,
    /// A migration failed and was rolled back.
    Failed = 5,
    /// A no-transaction script is partially applied.
    #[serde(rename = "halfway")]
    PartiallyApplied = 6,
    /// History and database disagree.
    Disagreement = 7,
    /// The server refused.
    Refused = 8,
    /// `current --check`: migrations are pending.
    Pending = 9,
    /// A defect in this program.
    Defect = 70,
    /// SIGINT.
    Interrupted = 130,
    /// SIGTERM.
    Terminated = 143,
}

impl ExitCode {
    /// All of them, in order.
    pub const ALL: [Self; 13] = [
        Self::Done,
        Self::Unwritten,
        Self::Usage,
        Self::Unreachable,
        Self::Locked,
        Self::Failed,
        Self::PartiallyApplied,
        Self::Disagreement,
        Self::Refused,
        Self::Pending,
        Self::Defect,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The one word for it in JSON.
    pub fn name(self) -> &'static str {
        self.described().0
    }

    /// What it means, in a few words.
    pub fn meaning(self) -> &'static str {
        self.described().1
    }

    fn described(self) -> (&'static str, &'static str) {
        match self {
            Self::Done => ("done", "done, or nothing to do"),
            Self::Unwritten => ("unwritten", "the result wasn't written"),
            Self::Usage => ("usage", "usage, settings, scripts"),
            Self::Unreachable => ("unreachable", "server unreachable"),
            Self::Locked => ("locked", "lock not granted in time"),
            Self::Failed => ("failed", "a migration failed"),
            Self::PartiallyApplied => ("halfway", "a script is partially applied"),
            Self::Disagreement => ("disagreement", "history and database disagree"),
            Self::Refused => ("refused", "refused by the server, or not trusted"),
            Self::Pending => ("pending", "--check: migrations are pending"),
            Self::Defect => ("defect", "a defect in the program"),
            Self::Interrupted => ("interrupted", "interrupted (SIGINT)"),
            Self::Terminated => ("terminated", "terminated (SIGTERM)"),
        }
    }

    /// The one that has this number.
    pub fn of(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.code() == code)
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.code())
    }
}

/// The code as its number in JSON, where it is one of ours.
pub(crate) mod number {
    use super::{Deserialize, Deserializer, ExitCode, Serialize, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
    pub(crate) fn serialize<S: Serializer>(code: &Option<ExitCode>, out: S) -> Result<S::Ok, S::Error> {
        code.map(ExitCode::code).serialize(out)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(given: D) -> Result<Option<ExitCode>, D::Error> {
        let Some(code) = Option::<u8>::deserialize(given)? else { return Ok(None) };
        let unknown = || serde::de::Error::custom(format!("{code} is no exit code of the job"));
        ExitCode::of(code).map(Some).ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_in_json_is_the_name() {
        for code in ExitCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.name());
            assert_eq!(ExitCode::of(code.code()), Some(code));
        }
        assert_eq!(ExitCode::of(101), None);
    }
}
