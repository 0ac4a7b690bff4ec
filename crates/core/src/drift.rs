//! What a changed file and its recorded checksum still tell about the change.

use crate::history::Migration;
use crate::state::Applied;
use crate::version::{Checksum, Direction};

/// Says how an applied migration's file differs from what was applied. The bookkeeping keeps only
/// a checksum, so harmless changes are found by undoing them and comparing.
pub fn explain(migration: &Migration, applied: &Applied) -> String {
    let text = migration.script(Direction::Up).map(|script| script.text).unwrap_or_default();
    explained(&text, migration, applied)
}

fn explained(text: &str, migration: &Migration, applied: &Applied) -> String {
    let was = |candidate: &str| Checksum::of(candidate) == applied.checksum;
    let with_lf = text.replace("\r\n", "\n");
    let with_crlf = with_lf.replace('\n', "\r\n");
    let shapes = [
        (with_lf.as_str(), "only its line endings changed: LF when applied, CRLF now"),
        (with_crlf.as_str(), "only its line endings changed: CRLF when applied, LF now"),
    ];
    for (shape, what) in shapes {
        if was(shape) {
            return what.to_owned();
        }
        let trimmed = shape.trim_end();
        if [trimmed, &format!("{trimmed}\n"), &format!("{trimmed}\r\n"), &format!("{trimmed}\n\n")]
            .iter()
            .any(|text| was(text))
        {
            return "only white space at its end changed".to_owned();
        }
        if shape.strip_prefix('\u{feff}').is_some_and(was) || was(&format!("\u{feff}{shape}")) {
            return "only its byte order mark changed".to_owned();
        }
        if without_leading_comments(shape).any(was) {
            return "only comments at its top were added".to_owned();
        }
        if without_trailing_comments(shape).any(was) {
            return "only comments at its end were added".to_owned();
        }
    }
    let short = |checksum: &Checksum| checksum.to_string().chars().take(12).collect::<String>();
    format!(
        "its text changed since it was applied on {} (checksum {}…, now {}…)",
        applied.installed_on,
        short(&applied.checksum),
        short(&migration.checksum),
    )
}

fn is_comment(line: &str) -> bool {
    line.trim().is_empty() || line.trim_start().starts_with("--")
}

/// The text without its first line, its first two, … as long as these are comments.
fn without_leading_comments(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (line, after) = rest.split_once('\n')?;
        is_comment(line).then(|| {
            rest = after;
            after
        })
    })
}

/// The text without its last line, its last two, … as long as these are comments.
fn without_trailing_comments(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let body = rest.strip_suffix('\n').unwrap_or(rest);
        let at = body.rfind('\n')?;
        is_comment(&body[at + 1..]).then(|| {
            rest = &body[..=at];
            rest
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::History;
    use crate::state::row;

    #[test]
    fn explains() {
        for (then, now, expected) in [
            ("a;\nb;\n", "a;\r\nb;\r\n", "only its line endings changed: LF when applied, CRLF now"),
            ("a;\r\nb;\r\n", "a;\nb;\n", "only its line endings changed: CRLF when applied, LF now"),
            ("a;", "a;\n", "only white space at its end changed"),
            ("\u{feff}a;\n", "a;\n", "only its byte order mark changed"),
            ("a;\n", "-- why\n-- so\na;\n", "only comments at its top were added"),
            ("a;\n", "a;\n\n-- why\n", "only comments at its end were added"),
            ("a;\n", "b;\n", "its text changed since it was applied on 2026-11-05T09:00:00Z"),
        ] {
            let mut migration = History::of(&[(1, "x")]).migrations()[0].clone();
            migration.checksum = Checksum::of(now);
            let applied = Applied { checksum: Checksum::of(then), ..row(1) };
            let explanation = explained(now, &migration, &applied);
            assert!(explanation.starts_with(expected), "{then:?} → {now:?}: {explanation}");
        }
    }
}
