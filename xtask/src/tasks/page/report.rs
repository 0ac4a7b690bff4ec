//! What the job said of its run, read from the text it prints: the steps, how it ended, where the database is.

/// A step that was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) verb: String,
    pub(super) version: String,
    pub(super) description: String,
    pub(super) took: String,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Report {
    /// `upgrade from base to 2: 2 migrations`
    pub(super) heading: Option<String>,
    pub(super) steps: Vec<Step>,
    /// What it ended with, where that was well.
    pub(super) done: Option<String>,
    /// From the first error to the end.
    pub(super) error: Option<String>,
    /// The version and the description of the step that stopped it.
    pub(super) failed: Option<(String, String)>,
    /// Where the database is, in the job's own words.
    pub(super) state: Option<String>,
    /// Nobody followed the Job to its end, and it may go on.
    pub(super) is_left: bool,
}

impl Report {
    /// Whether the job itself said anything, and not only what was to start it.
    pub(super) fn is_the_jobs(&self) -> bool {
        let logged = |error: &String| error.lines().any(|line| line.starts_with("ERROR "));
        self.heading.is_some()
            || !self.steps.is_empty()
            || self.done.is_some()
            || self.failed.is_some()
            || self.state.is_some()
            || self.error.as_ref().is_some_and(logged)
    }
}

pub(super) fn read(text: &str) -> Report {
    let mut report = Report::default();
    let lines: Vec<&str> = text.lines().collect();
    for line in &lines {
        if is_heading(line) {
            // A pod that was replaced begins again; what its predecessor committed stays in the table.
            report.heading = Some((*line).to_owned());
        } else if let Some(step) = step(line) {
            report.steps.push(step);
        } else if line.starts_with("done: ") || line.starts_with("nothing to do: ") {
            report.done = Some((*line).to_owned());
        } else if let Some(state) = line.trim_start().strip_prefix("= state: ") {
            report.state = Some(state.to_owned());
        } else if line.trim_start().starts_with("Detached ") || line.starts_with("error: cannot follow ") {
            report.is_left = true;
        }
    }
    if let Some(done) = &report.done {
        // The pod that came to an end tells of the database; what an earlier one left behind is over.
        report.state =
            done.split_once("the database is ").map(|(_, place)| format!("the database is {place}"));
    } else {
        let first = lines.iter().position(|line| said_as_error(line).is_some());
        report.failed = first.and_then(|first| failed(lines.get(first)?));
        report.error = first.and_then(|first| lines.get(first..)).map(|lines| lines.join("\n"));
    }
    report
}

fn is_heading(line: &str) -> bool {
    ["upgrade from ", "downgrade from "].iter().any(|start| line.starts_with(start))
}

/// `  applied  20260608081522  create contacts      51 ms`
fn step(line: &str) -> Option<Step> {
    let (verb, rest) = ["applied", "taken back"]
        .iter()
        .find_map(|verb| Some((*verb, line.strip_prefix("  ")?.strip_prefix(verb)?.strip_prefix("  ")?)))?;
    let (version, rest) = rest.split_once("  ")?;
    let (rest, unit) = rest.trim_end().rsplit_once(' ')?;
    let (description, number) = rest.rsplit_once("  ")?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (is_number(version) && is_number(number.trim()) && unit == "ms").then(|| Step {
        verb: verb.to_owned(),
        version: version.to_owned(),
        description: description.trim().to_owned(),
        took: format!("{} ms", number.trim()),
    })
}

/// `error: applying 2 (b), statement 2 of 2: …`
fn failed(line: &str) -> Option<(String, String)> {
    let said = said_as_error(line)?;
    let rest = ["applying ", "taking back "].iter().find_map(|verb| said.strip_prefix(verb))?;
    let (version, rest) = rest.split_once(" (")?;
    Some((version.to_owned(), rest.split_once(')')?.0.to_owned()))
}

/// The job's own words, or its log's, as a run in the cluster shows them.
fn said_as_error(line: &str) -> Option<&str> {
    ["error: ", "ERROR "].iter().find_map(|start| line.strip_prefix(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_went_well_is_read() {
        let report = read(
            "     Started migrate-upgrade-0123456789\nupgrade from base to 2: 2 migrations\n  applied  1  create a  b      51 ms\n  \
             applied  2  drop c            9 ms\ndone: 2 migrations in 60 ms; the database is at 2 (head)\n",
        );
        assert_eq!(report.heading.as_deref(), Some("upgrade from base to 2: 2 migrations"));
        let steps: Vec<_> =
            report.steps.iter().map(|step| (&*step.version, &*step.description, &*step.took)).collect();
        assert_eq!(steps, [("1", "create a  b", "51 ms"), ("2", "drop c", "9 ms")]);
        assert_eq!(report.state.as_deref(), Some("the database is at 2 (head)"));
        assert_eq!(report.error, None);
    }

    #[test]
    fn where_the_database_is_the_last_word_says() {
        let stopped = "upgrade from 1 to 2: 1 migration\nERROR waited for a lock\n  = state: it was rolled back; the database is at 1\n";
        for (then, expected) in [
            ("", "it was rolled back; the database is at 1"),
            (
                "upgrade from 1 to 2: 1 migration\nERROR no\n  = state: the database is at 2\n",
                "the database is at 2",
            ),
            (
                "upgrade from 1 to 2: 1 migration\n  applied  2  b      9 ms\ndone: 1 migration in 9 ms; the database is at 2 (head)\n",
                "the database is at 2 (head)",
            ),
            ("nothing to do: the database is at 1 (head)\n", "the database is at 1 (head)"),
        ] {
            let report = read(&format!("{stopped}{then}"));
            assert_eq!(report.state.as_deref(), Some(expected), "{then}");
            assert_eq!(report.error.is_none(), report.done.is_some(), "{then}");
        }
    }

    #[test]
    fn a_failure_says_where_the_database_is() {
        let in_a_cluster =
            read(" INFO waiting\nERROR applying 2 (b): no\nerror: the job ended with exit code 5\n");
        assert_eq!(in_a_cluster.failed, Some(("2".to_owned(), "b".to_owned())));
        let report = read(
            "upgrade from 1 to 2: 1 migration\nerror: applying 2 (b): no\n --> migrations/2_b.up.sql:2:8\n  \
             = state: it was rolled back; the database is at 1\n",
        );
        assert_eq!(report.done, None);
        assert_eq!(report.failed, Some(("2".to_owned(), "b".to_owned())));
        assert_eq!(report.state.as_deref(), Some("it was rolled back; the database is at 1"));
        assert!(report.error.unwrap().starts_with("error: applying 2 (b): no\n"));
    }
}
