//! A place in a file and what is wrong there, read from what the tools print, for annotations of a pull request.

use std::fmt;
use std::path::Path;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) path: String,
    pub(super) line: usize,
    pub(super) message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// Reads two shapes: `path:line[:column][:] message`, and rustc's, which squawk and zizmor share, of a headline and
/// `--> path:line:column` below it. Paths below the root are made relative to it.
pub(super) fn parse(output: &str, root: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut headline = None;
    for line in output.lines() {
        let place = ["--> ", "╭▸ "].iter().find_map(|arrow| Some(line.split_once(arrow)?.1));
        if let Some(place) = place {
            if let (Some((path, number, _)), Some(message)) = (place_of(place, root), headline.take()) {
                findings.push(Finding { path, line: number, message });
            }
        } else if is_headline(line) {
            headline = Some(line.to_owned());
        } else if let Some((path, number, message)) = place_of(line, root)
            && !message.is_empty()
        {
            findings.push(Finding { path, line: number, message });
        }
    }
    findings
}

fn is_headline(line: &str) -> bool {
    ["error", "warning", "help", "info"]
        .iter()
        .any(|level| line.strip_prefix(level).is_some_and(|rest| rest.starts_with([':', '['])))
}

/// `path:line[:column][:] message`, where the path is one of a file.
fn place_of<'a>(text: &'a str, root: &Path) -> Option<(String, usize, String)> {
    let (path, rest) = text.split_once(':')?;
    let path = Path::new(path.trim());
    let path: &'a Path = path.strip_prefix(root).unwrap_or(path);
    let path = path.to_str().filter(|path| !path.is_empty() && !path.contains(' '))?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let number = rest.get(..digits)?.parse().ok()?;
    let message = rest.get(digits..)?.trim_start_matches(|c: char| c == ':' || c.is_ascii_digit());
    Some((path.trim_start_matches("./").to_owned(), number, message.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_read() {
        for (output, expected) in [
            (
                "error: unused variable: `a`\n  --> src/main.rs:3:9\n   |\n3 |     let a = 1;\n",
                Some(("src/main.rs", 3, "error: unused variable: `a`")),
            ),
            (
                "warning[require-concurrent-index-creation]: no writes\n  ╭▸ migrations/1_a.up.sql:2:1\n",
                Some(("migrations/1_a.up.sql", 2, "warning[require-concurrent-index-creation]: no writes")),
            ),
            ("Dockerfile:29 DL3020 error: Use COPY", Some(("Dockerfile", 29, "DL3020 error: Use COPY"))),
            (
                "/project/.github/workflows/ci.yaml:5:7: unexpected key [syntax-check]",
                Some((".github/workflows/ci.yaml", 5, "unexpected key [syntax-check]")),
            ),
            ("    Finished in 12:30 minutes", None),
            ("error: could not compile `a`", None),
        ] {
            let expected = expected.map(|(path, line, message): (&str, usize, &str)| Finding {
                path: path.to_owned(),
                line,
                message: message.to_owned(),
            });
            assert_eq!(parse(output, Path::new("/project")), Vec::from_iter(expected), "{output}");
        }
    }
}
