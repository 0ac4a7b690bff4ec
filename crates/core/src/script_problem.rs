//! What is wrong with scripts, all of it at once.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use foreign_text::one_line;

use crate::wording::{self, counted, list};

/// A script that can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptProblem {
    /// The file or directory.
    pub path: PathBuf,
    /// The line, where the problem has one.
    pub line: Option<usize>,
    /// What is wrong and what to do.
    pub problem: String,
}

impl ScriptProblem {
    /// A problem of a whole file.
    pub fn file(path: &Path, problem: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: None, problem: problem.into() }
    }
}

impl fmt::Display for ScriptProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&wording::path(&self.path))?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, " {}", one_line(&self.problem))
    }
}

/// Scripts that can't be used; all of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} unusable:{}", counted(files(.0), "script is", "scripts are"), list(.0))]
pub struct UnusableScripts(pub Vec<ScriptProblem>);

/// How many there are problems in.
fn files(problems: &[ScriptProblem]) -> usize {
    problems.iter().map(|problem| &problem.path).collect::<BTreeSet<_>>().len()
}
