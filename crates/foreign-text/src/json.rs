//! JSON that is written already: its own rules escape only C0.

use std::fmt::Write as _;

use crate::character::is_hidden;

/// The same document, in which no string holds a character as it is that a terminal or a runner would act on. Parsed, it
/// is what it was.
pub fn json(document: &str) -> String {
    let mut shown = String::with_capacity(document.len());
    let mut before = '\0';
    for (at, c) in document.char_indices() {
        // Outside of strings JSON holds none of these but the white space between its parts.
        let is_white_space = matches!(c, '\n' | '\t' | '\r');
        let is_command = before == '#' && document[at..].starts_with("#[");
        if is_command || (is_hidden(c) && !is_white_space) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // A String takes everything.
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(c);
        }
        before = c;
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_the_same_and_hold_nothing_hidden() {
        for (document, shown) in [
            ("{\n  \"a\": \"ü 表\\u001b\"\n}", "{\n  \"a\": \"ü 表\\u001b\"\n}"),
            ("\"\u{9b}\u{202e}\u{7f}\"", r#""\u009b\u202e\u007f""#),
            ("\"\u{e0041}\"", r#""\udb40\udc41""#),
            ("\"a ##[add-mask]x\"", r#""a #\u0023[add-mask]x""#),
            ("[\"#\", \"#\"]", "[\"#\", \"#\"]"),
        ] {
            assert_eq!(json(document), shown);
        }
    }
}
