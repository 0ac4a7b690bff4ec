//! GitHub Actions, seen from inside a step: annotations, the page of the job, outputs. Elsewhere nothing is written.

pub mod cli;
pub mod fence;
pub mod files;
pub mod repository;
pub mod tag;

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::ensure;
use foreign_text::{markdown, runner};

use crate::ui;

/// A message at a line of a file, which GitHub shows beside the change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation<'a> {
    pub path: &'a str,
    pub line: usize,
    pub title: &'a str,
    pub message: &'a str,
}

impl Annotation<'_> {
    fn command(&self) -> String {
        let (path, title) = (runner::property(self.path), runner::property(self.title));
        format!("::error file={path},line={},title={title}::{}", self.line, runner::message(self.message))
    }
}

pub fn is_running() -> bool {
    std::env::var("GITHUB_ACTIONS").is_ok_and(|value| value == "true")
}

/// On stderr, as the end of a fence before it: the runner reads stdout from another pipe, in whatever order.
pub fn annotate(annotation: &Annotation<'_>) {
    if is_running() {
        ui::command(&annotation.command());
    }
}

/// Adds Markdown to the page of the job.
pub fn summarize(markdown: &str) -> anyhow::Result<()> {
    append("GITHUB_STEP_SUMMARY", &format!("{}\n\n", markdown.trim_end()))
}

/// Sets outputs of the step; their values are single lines.
pub fn set_outputs(outputs: &[(&str, &str)]) -> anyhow::Result<()> {
    for (name, value) in outputs {
        ensure!(!value.contains(['\n', '\r']), "the output {name} would be more than a line: {value:?}");
    }
    let lines: String = outputs.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    append("GITHUB_OUTPUT", &lines)
}

fn append(variable: &str, text: &str) -> anyhow::Result<()> {
    let path = std::env::var_os(variable).filter(|path| is_running() && !path.is_empty()).map(PathBuf::from);
    let Some(path) = path else { return Ok(()) };
    let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}, which {variable} names", path.display()))
}

/// Text for a cell of a Markdown table, or a heading: no more than text, whatever it holds.
pub fn cell(text: &str) -> String {
    markdown::text(&text.replace('\n', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_annotation_is_one_line() {
        let annotation = Annotation { path: "a,b", line: 1, title: "x", message: "100 %\nsure" };
        assert_eq!(annotation.command(), "::error file=a%2Cb,line=1,title=x::100 %25%0Asure");
    }

    #[test]
    fn a_cell_stays_one() {
        assert_eq!(cell("a|b\n<c>"), "a\\|b &lt;c>");
        assert_eq!(cell("[a](https://b) @all"), "\\[a\\](https:<!-- -->//b) @<!-- -->all");
    }
}
