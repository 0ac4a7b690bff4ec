//! The page of a workflow's job: every check in a line, then what was found.

use std::fmt::Write as _;
use std::time::Duration;

use foreign_text::markdown;

use super::checks::Check;
use super::perform::{CheckResult, without_colours};
use workspace::github::cell;

pub(super) fn page(results: &[(&Check, CheckResult, Duration)]) -> String {
    let failed =
        results.iter().filter(|(_, outcome, _)| matches!(outcome, CheckResult::Failed { .. })).count();
    let mut text = match failed {
        0 => format!("## ✅ Lint: all {} checks passed\n\n", results.len()),
        _ => format!("## ❌ Lint: {failed} of {} checks failed\n\n", results.len()),
    };
    text.push_str("| | check | looks at | took |\n|---|---|---|--:|\n");
    for (check, outcome, took) in results {
        let mark = match outcome {
            CheckResult::Passed => "✅",
            CheckResult::Nothing | CheckResult::NotInstalled(_) => "–",
            CheckResult::Failed { .. } => "❌",
        };
        let (name, mut what) = (cell(check.name), cell(&check.what));
        if let CheckResult::NotInstalled(_) = outcome {
            what.push_str(" (not installed)");
        }
        let _ = writeln!(text, "| {mark} | {name} | {what} | {:.1} s |", took.as_secs_f64());
    }
    for (check, outcome, _) in results {
        if let CheckResult::Failed { output, .. } = outcome {
            let output = without_colours(output);
            let _ = write!(text, "\n### {}\n\n{}", check.name, markdown::block(&output));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::checks::Work;
    use super::*;

    #[test]
    fn what_failed_is_told_in_full() {
        let check = |name| Check { name, what: "all".to_owned(), fixable: false, work: Work::Nothing };
        let (a, b, c) = (check("a"), check("b"), check("c"));
        let failed = CheckResult::Failed {
            output: "x.sql:1: \u{1b}[1mno\u{1b}[0m\n".to_owned(),
            findings: Vec::new(),
        };
        let second = Duration::from_secs(1);
        let results =
            [(&a, CheckResult::Passed, second), (&b, failed, second), (&c, CheckResult::Nothing, second)];
        assert_eq!(
            page(&results),
            "## ❌ Lint: 1 of 3 checks failed\n\n| | check | looks at | took |\n|---|---|---|--:|\n\
             | ✅ | a | all | 1.0 s |\n| ❌ | b | all | 1.0 s |\n| – | c | all | 1.0 s |\n\
             \n### b\n\n````text\nx.sql:1: no\n````\n"
        );
    }
}
