//! The scripts of a plan, read and checked before anything runs.

use crate::excerpt::Place;
use crate::history::Script;
use crate::plan::Step;
use crate::script_problem::{ScriptProblem, UnusableScripts};
use crate::statement::{self, Forbidden, Statement, Statements, Unterminated};
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
    let mut script =
        step.migration.script(step.direction).map_err(|problem| UnusableScripts(vec![problem]))?;
    let checksum = Checksum::of(&script.text);
    blank_own_transaction(&mut script);
    let Counted { statements, schema_changes } = check(&script).map_err(UnusableScripts)?;
    Ok(Prepared { step, script, checksum, statements, schema_changes, resumes_at: None })
}

/// Takes the `BEGIN` out of a script that runs in one transaction, and the `COMMIT` at its very end: it is in that
/// transaction already. Spaces take their place, so that every other place stays what it is.
fn blank_own_transaction(script: &mut Script) {
    if !script.is_transactional() {
        return;
    }
    let mut own = Vec::new();
    let mut last = None;
    for statement in Statements::of(&script.text) {
        let Ok(statement) = statement else { return };
        let range = statement.offset..statement.offset + statement.text.len();
        if statement.only_begins() {
            own.push(range.clone());
        }
        last = statement.only_commits().then_some(range);
    }
    own.extend(last);
    for range in own {
        let blank = |byte| if byte == b'\n' { '\n' } else { ' ' };
        let blank: String = script.text[range.clone()].bytes().map(blank).collect();
        script.text.replace_range(range, &blank);
    }
}

/// What a usable script holds.
#[derive(Debug, Default)]
struct Counted {
    statements: usize,
    schema_changes: usize,
}

fn check(script: &Script) -> Result<Counted, Vec<ScriptProblem>> {
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
    let mut counted = Counted::default();
    let mut problems = Vec::new();
    for statement in Statements::of(text) {
        let statement = statement.map_err(|Unterminated { what, offset }| {
            vec![at(offset, format!("has a {what} that starts here and never ends"))]
        })?;
        counted.statements += 1;
        counted.schema_changes += usize::from(statement.is_plain_ddl());
        if let Some(forbidden) = statement.forbidden() {
            problems.push(at(statement.offset, refusal(&statement, forbidden)));
        }
    }
    if problems.is_empty() { Ok(counted) } else { Err(problems) }
}

fn refusal(statement: &Statement<'_>, forbidden: Forbidden) -> String {
    let what = statement.summary(3);
    match forbidden {
        Forbidden::TransactionControl => {
            format!(
                "has {what:?}: the job itself begins and ends transactions, one for each script; remove it, or split the script \
                 there"
            )
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
        let text = "BEGIN;\nCREATE TABLE a ();\nCOMMIT;\nBEGIN;\nROLLBACK;\n".to_owned();
        let problems = check(&Script { path: PathBuf::from("m.sql"), text }).unwrap_err();
        let lines: Vec<_> = problems.iter().filter_map(|problem| problem.line).collect();
        assert_eq!(lines, [1, 3, 4, 5]);
    }

    /// sqlx runs such scripts, and where they are applied they can't be edited.
    #[test]
    fn a_transaction_of_the_script_s_own_is_the_one_it_runs_in() {
        for (text, expected) in [
            ("BEGIN;\nSELECT 1;\nCOMMIT;\n", "     ;\nSELECT 1;\n      ;\n"),
            ("begin work; SELECT 1; END TRANSACTION", "          ; SELECT 1;                "),
            ("-- x\nSTART TRANSACTION;\nSELECT 1;", "-- x\n                 ;\nSELECT 1;"),
            ("SELECT 1;\nCOMMIT;", "SELECT 1;\n      ;"),
            ("BEGIN", "     "),
            ("BEGIN /* ü */ WORK; SELECT 1; COMMIT;", "                   ; SELECT 1;       ;"),
            // In the middle, with a level of its own, or not a COMMIT.
            ("BEGIN; SELECT 1; COMMIT; SELECT 2;", "     ; SELECT 1; COMMIT; SELECT 2;"),
            ("BEGIN ISOLATION LEVEL SERIALIZABLE;", "BEGIN ISOLATION LEVEL SERIALIZABLE;"),
            ("SELECT 1; COMMIT AND CHAIN;", "SELECT 1; COMMIT AND CHAIN;"),
            ("SELECT 1; ROLLBACK;", "SELECT 1; ROLLBACK;"),
            ("-- no-transaction\nBEGIN; COMMIT;", "-- no-transaction\nBEGIN; COMMIT;"),
        ] {
            let mut script = Script { path: PathBuf::from("m.sql"), text: text.to_owned() };
            blank_own_transaction(&mut script);
            assert_eq!(script.text, expected);
        }
    }
}
