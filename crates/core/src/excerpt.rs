//! A place in a text, with the line that is there and a caret below it.

use foreign_text::lines;
use serde::{Deserialize, Serialize};
use unicode_width::UnicodeWidthChar as _;

/// A place for people: line and column from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
}

impl Place {
    /// The place of a byte offset in `text`.
    pub fn of_byte(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            line: before.bytes().filter(|&byte| byte == b'\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

/// A place in a file, with the line that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excerpt {
    /// Line and column.
    #[serde(flatten)]
    pub place: Place,
    /// The line's text; of a long line, what is around the column.
    pub text: String,
    /// How many characters of the text stand before the column.
    #[serde(skip)]
    before: usize,
    /// Whether the column is known to be the culprit, rather than the statement's start.
    #[serde(skip)]
    pub exact: bool,
}

impl Excerpt {
    /// The excerpt at a byte of a script.
    pub fn at(text: &str, offset: usize, exact: bool) -> Self {
        let place = Place::of_byte(text, offset);
        let line = text.lines().nth(place.line - 1).unwrap_or_default();
        let at = line.char_indices().nth(place.column - 1).map_or(line.len(), |(at, _)| at);
        let (before, rest) = line.split_at(at);
        let all = before.chars().count();
        let (mut shown, mut columns) = fitting(before.chars().rev(), WIDEST - 1);
        if shown < all {
            (shown, columns) = fitting(before.chars().rev(), WIDEST / 2);
        }
        let after = fitting(rest.chars(), WIDEST - columns).0;
        let text = line.chars().skip(all - shown).take(shown + after).collect();
        Self { place, text, before: shown, exact }
    }

    /// What the caret stands behind so that it is below its character, tabs included.
    pub fn indent(&self) -> String {
        let before: String = self.text.chars().take(self.before).collect();
        let blank = |c: char| if c == '\t' { c.to_string() } else { " ".repeat(c.width().unwrap_or(1)) };
        lines(&before).chars().map(blank).collect()
    }
}

/// How many columns of a terminal an excerpt takes.
const WIDEST: usize = 160;

/// How many of these characters fit into so many columns, and how many columns they take. What takes none is counted,
/// since there may be any number of it.
fn fitting(characters: impl Iterator<Item = char>, most: usize) -> (usize, usize) {
    let (mut count, mut columns) = (0, 0);
    for c in characters {
        let width = match c {
            '\t' => 8,
            c => lines(c.encode_utf8(&mut [0; 4]))
                .chars()
                .map(|c| c.width().unwrap_or(1))
                .sum::<usize>()
                .max(1),
        };
        if columns + width > most {
            break;
        }
        (count, columns) = (count + 1, columns + width);
    }
    (count, columns)
}

/// PostgreSQL counts characters, from 1.
pub fn byte_of_char(text: &str, position: usize) -> usize {
    text.char_indices().nth(position.saturating_sub(1)).map_or(text.len(), |(at, _)| at)
}

/// A query's line with a caret below its `position`th character.
pub fn caret(query: &str, position: usize) -> String {
    let excerpt = Excerpt::at(query, byte_of_char(query, position), true);
    format!("{}\n{:14}{}^", lines(&excerpt.text), "", excerpt.indent())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A carriage return in a script let the rest of its line be written over what is before it, and its caret was off.
    #[test]
    fn a_caret_is_below_what_is_shown() {
        for (line, column, shown, mark) in [
            ("a\rb x", 5, r"a\rb x", "     ^"),
            ("\x1b[2J x", 6, r"\u{1b}[2J x", "          ^"),
            ("\tü x", 4, "\tü x", "\t  ^"),
            ("'ü' x", 5, "'ü' x", "    ^"),
            ("'日本' x", 6, "'日本' x", "       ^"),
            ("'e\u{301}' x", 6, "'e\u{301}' x", "    ^"),
        ] {
            let excerpt = Excerpt::at(line, byte_of_char(line, column), true);
            assert_eq!(
                (lines(&excerpt.text), excerpt.indent() + "^"),
                (shown.to_owned(), mark.to_owned()),
                "{line:?}"
            );
        }
    }

    /// An error at the end of two megabytes printed four.
    #[test]
    fn of_a_long_line_only_what_is_around_the_column_is_shown() {
        for (column, shown, before) in [(1, 160, 0), (160, 160, 159), (161, 160, 80), (9_999, 82, 80)] {
            let line = format!("{}x{}", "é".repeat(column - 1), "é".repeat(10_000 - column));
            let excerpt = Excerpt::at(&format!("a\n{line}\n"), "a\n".len() + 2 * (column - 1), true);
            assert_eq!(excerpt.place, Place { line: 2, column });
            assert_eq!((excerpt.text.chars().count(), excerpt.before), (shown, before));
            assert_eq!(excerpt.text.chars().nth(before), Some('x'));
        }
        assert_eq!(
            caret(&format!("{}x", " ".repeat(500)), 501).trim_end().lines().last().unwrap().len(),
            14 + 80 + 1
        );
    }

    /// A window of 160 characters was 320 columns of Chinese, and any number of escapes.
    #[test]
    fn a_window_is_measured_in_columns() {
        for c in ["日", "\u{1b}", "\t", "\u{301}", "😀"] {
            for at in [0, 3, 5_000] {
                let line = format!("{}x{}", c.repeat(at), c.repeat(10_000));
                let excerpt = Excerpt::at(&line, at * c.len(), true);
                assert!(fitting(excerpt.text.chars(), usize::MAX).1 <= WIDEST, "{c:?}");
                assert_eq!(excerpt.text.chars().nth(excerpt.before), Some('x'), "{c:?} {at}");
            }
        }
    }

    #[test]
    fn places_count_characters() {
        let text = "a\nüb\n";
        assert_eq!(Place::of_byte(text, 0), Place { line: 1, column: 1 });
        assert_eq!(Place::of_byte(text, 4), Place { line: 2, column: 2 });
        assert_eq!(Place::of_byte(text, 999), Place { line: 3, column: 1 });
    }
}
