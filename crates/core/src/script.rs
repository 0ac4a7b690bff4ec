//! The scripts of a plan, read and checked before anything runs.

use crate::excerpt::Place;
use crate::history::Script;
use crate::plan::Step;
use crate::script_problem::{ScriptProblem, UnusableScripts};
use crate::statement::{self, Forbidden, Statement, Unterminated};
use crate::version::Checksum;

/// A step with its script, which is known to be usable.
#[derive(Debug)]
pub struct Prepared<'a> {
    /// What to do.
    pub step: Step<'a>,
    /// With what.
    pub script: Script,
    /// Its checksum.
    pub checksum: Checksum,
    /// How many statements that is.
    pub statements: usize,
    /// How many of its statements change the schema: each takes lock slots.
    pub schema_changes: usize,
    /// The statement to go on with, from 0, where an earlier run began this script.
    pub resumes_at: Option<usize>,
}

impl Prepared<'_> {
    /// Whether it is nothing but plain DDL, which queues no deferred check.
    pub fn is_plain_ddl(&self) -> bool {
        self.schema_changes == self.statements
    }

    /// Its statements, oldest first.
    pub fn split(&self) -> Vec<Statement<'_>> {
        // Splitting worked when the step was prepared, and the text is the same.
        statement::split(&self.script.text).unwrap_or_default()
    }
}

/// Reads and checks every script of a plan.
/// [`UnusableScripts`] with everything that is wrong.
pub fn prepare<'a>(steps: &[Step<'a>]) -> Result<Vec<Prepared<'a>>, UnusableScripts> {
    let mut problems = Vec::new();
    let mut prepared = Vec::with_capacity(steps.len());
    for &step in steps {
        match one(step) {
            Ok(usable) => prepared.push(usable),
            Err(UnusableScripts(mut found)) => problems.append(&mut found),
        }
    }
    if problems.is_empty() { Ok(prepared) } else { Err(UnusableScripts(problems)) }
}

/// Reads and checks the script of one step.
/// [`UnusableScripts`] with everything that is wrong with it.
pub fn one(step: Step<'_>) -> Result<Prepared<'_>, UnusableScripts> {
    let script = step.migration.script(step.direction).map_err(|problem| UnusableScripts(vec![problem]))?;
    let statements = check(&script).map_err(UnusableScripts)?;
    let schema_changes = statements.iter().filter(|statement| statement.is_plain_ddl()).count();
    let statements = statements.len();
    let checksum = Checksum::of(&script.text);
    Ok(Prepared { step, script, checksum, statements, schema_changes, resumes_at: None })
}

fn check(script: &Script) -> Result<Vec<Statement<'_>>, Vec<ScriptProblem>> {
    let text = &script.text;
    let at = |offset: usize, problem: String| ScriptProblem {
        path: script.path.clone(),
        line: Some(Place::of_byte(text, offset).line),
        problem,
    };
    if text.starts_with('\u{feff}') {
        return Err(vec![at(
            0,
            "begins with a byte order mark, which PostgreSQL takes for SQL; save it without".into(),
        )]);
    }
    if let Some(offset) = text.find('\0') {
        return Err(vec![at(offset, "holds a NUL byte, which can't be sent; remove it".into())]);
    }
    let statements = statement::split(text).map_err(|Unterminated { what, offset }| {
        vec![at(offset, format!("has a {what} that starts here and never ends"))]
    })?;
    if statements.is_empty() {
        return Err(vec![ScriptProblem::file(
            &script.path,
            "holds no statement; write one, SELECT 1 if there is nothing to do",
        )]);
    }
    let problems: Vec<_> = statements
        .iter()
        .filter_map(|statement| Some((statement, statement.forbidden()?)))
        .map(|(statement, forbidden)| at(statement.offset, refusal(statement, forbidden)))
        .collect();
    if problems.is_empty() { Ok(statements) } else { Err(problems) }
}

fn refusal(statement: &Statement<'_>, forbidden: Forbidden) -> String {
    let what = statement.summary(3);
    match forbidden {
        Forbidden::TransactionControl => {
            format!("has {what:?}: the job itself begins and ends transactions; remove it")
        }
        Forbidden::CopyIn => {
            format!("has {what:?}: there is no data on the connection to copy; use INSERT … VALUES")
        }
        Forbidden::CopyOut => {
            format!(
                "has {what:?}: nobody reads what it sends on the connection; remove it, or copy to a file"
            )
        }
        Forbidden::Encoding => {
            format!("has {:?}: scripts are read as UTF-8; remove it", statement.summary(6))
        }
        Forbidden::StringSyntax => {
            format!(
                "has {what:?}: scripts are read with standard_conforming_strings on; write E'…' for backslashes"
            )
        }
        Forbidden::PsqlCommand => {
            let line = statement.text.lines().find(|line| line.contains('\\')).unwrap_or("\\").trim();
            if line.starts_with("\\restrict") || line.starts_with("\\unrestrict") {
                return "has a `\\restrict` or `\\unrestrict` of pg_dump's, which is for psql; remove both lines".to_owned();
            }
            format!("has `{line}`: a backslash command is psql's, the server knows none")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn refuses_with_the_line() {
        for (text, expected) in [
            (
                "\u{feff}SELECT 1;",
                "m.sql:1 begins with a byte order mark, which PostgreSQL takes for SQL; save it without",
            ),
            ("SELECT 1;\nSELECT '\0';", "m.sql:2 holds a NUL byte, which can't be sent; remove it"),
            ("-- nothing\n;\n", "m.sql holds no statement; write one, SELECT 1 if there is nothing to do"),
            ("SELECT 1;\n\nSELECT 'x;\n", "m.sql:3 has a quoted string that starts here and never ends"),
            ("SELECT 1;\nCOMMIT;\n", "m.sql:2 has \"COMMIT\": the job itself begins and ends transactions"),
            ("COPY t (a)\nFROM STDIN;", "m.sql:1 has \"COPY t (a)\": there is no data on the connection"),
            ("SELECT 1;\n\\i x.sql\nSELECT 2;\n", "m.sql:2 has `\\i x.sql`: a backslash command is psql's"),
        ] {
            let script = Script { path: PathBuf::from("m.sql"), text: text.to_owned() };
            let problems = check(&script).unwrap_err();
            assert_eq!(problems.len(), 1, "{text:?}");
            let problem = problems[0].to_string();
            assert!(problem.starts_with(expected), "{problem}");
        }
    }

    #[test]
    fn every_forbidden_statement_is_named() {
        let text = "BEGIN;\nCREATE TABLE a ();\nCOMMIT;\n".to_owned();
        let problems = check(&Script { path: PathBuf::from("m.sql"), text }).unwrap_err();
        assert_eq!(problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [Some(1), Some(3)]);
    }
}
