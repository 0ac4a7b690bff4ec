//! The tests that failed, read from what libtest prints, for the annotations and the page of a workflow's job.

use std::fmt::Write as _;

use foreign_text::markdown;

use workspace::github::{Annotation, annotate};

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Failures {
    names: Vec<String>,
    /// Path, line and what was said there.
    panics: Vec<(String, usize, String)>,
    /// Where a panic was, until the next line says why.
    place: Option<(String, usize)>,
}

impl Failures {
    /// Takes a line such as `test a::b ... FAILED` or `thread 'a::b' panicked at src/a.rs:3:9:`.
    pub(super) fn read(&mut self, line: &str) {
        if let Some((path, line_number)) = self.place.take() {
            self.panics.push((path, line_number, line.to_owned()));
        }
        self.place = panic(line);
        let name = line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... "));
        if let Some((name, result)) = name
            && result.contains("FAILED")
        {
            self.names.push(name.to_owned());
        }
    }

    /// Shows them beside the change, once the runner takes commands again.
    pub(super) fn annotate(&mut self) {
        for (path, line, message) in self.panics.drain(..) {
            annotate(&Annotation { path: &path, line, title: "test", message: &message });
        }
    }

    pub(super) fn page(&self) -> String {
        let mut text = String::new();
        for name in &self.names {
            let _ = writeln!(text, "- ❌ {}", markdown::code(name));
        }
        text
    }
}

fn panic(line: &str) -> Option<(String, usize)> {
    let place = line.strip_prefix("thread '")?.split_once(" panicked at ")?.1;
    let mut parts = place.trim_end_matches(':').rsplitn(3, ':');
    let (_column, line) = (parts.next()?, parts.next()?.parse().ok()?);
    // What lies outside of the checkout can't be shown beside a change.
    let path = parts.next().filter(|path| !path.starts_with('/'))?;
    Some((path.to_owned(), line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_are_read() {
        for (line, expected) in [
            ("thread 'a::b' (17) panicked at src/a.rs:3:9:", Some(("src/a.rs".to_owned(), 3))),
            ("thread 'main' panicked at /usr/lib/std.rs:3:9:", None),
            ("panicked at nowhere", None),
        ] {
            assert_eq!(panic(line), expected, "{line}");
        }
    }

    #[test]
    fn the_failed_are_listed() {
        let mut failures = Failures::default();
        for line in ["test a::b ... ok", "test a::c ... FAILED", "    a::c"] {
            failures.read(line);
        }
        assert_eq!(failures.page(), "- ❌ `a::c`\n");
    }
}
