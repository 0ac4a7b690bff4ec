//! The one rule for text: what does something other than show itself becomes a visible escape.

use std::fmt::Write as _;

use crate::character::{chooses_a_drawing, is_hidden};

/// What may stay of the characters that do something.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Nothing,
    /// `\n` and `\t`.
    Lines,
    /// And the sequences that set a colour.
    Styles,
}

/// Text within a line: a line break is seen as `\n`, and can't begin a line that looks like ours.
pub fn one_line(text: &str) -> String {
    escape(text, Keep::Nothing)
}

/// The same, of which no more than so many characters are shown.
pub fn shortened(text: &str, most: usize) -> String {
    let mut characters = text.char_indices();
    match characters.nth(most) {
        None => one_line(text),
        Some((end, _)) => format!("{}…", one_line(&text[..end])),
    }
}

/// Text that is lines by its nature: line breaks and tabs stay, a carriage return is seen.
pub fn lines(text: &str) -> String {
    escape(text, Keep::Lines)
}

/// Lines of our own, in which values are escaped already: colours stay too. This is the net below all the others, for a
/// value that was put into a sentence as it came.
pub fn styled(text: &str) -> String {
    escape(text, Keep::Styles)
}

fn escape(text: &str, keep: Keep) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    // The ends of two different things: the last character as it came, and whether the line has anything so far.
    let mut before = '\n';
    let mut is_blank = true;
    while let Some(c) = rest.chars().next() {
        if keep == Keep::Styles
            && let Some(style) = style(rest)
        {
            shown.push_str(style);
            rest = &rest[style.len()..];
            continue;
        }
        let stays = match c {
            '\n' | '\t' => keep != Keep::Nothing,
            // `::command::` at the start of a line, after any white space, and `##[command]` anywhere.
            ':' => !(is_blank && rest.starts_with("::")),
            '#' => !(before == '#' && rest.starts_with("#[")),
            _ if chooses_a_drawing(c) => !before.is_ascii() && !chooses_a_drawing(before),
            _ => !is_hidden(c),
        };
        if stays {
            shown.push(c);
        } else {
            push_escaped(&mut shown, c);
        }
        is_blank = if c == '\n' { keep != Keep::Nothing || is_blank } else { is_blank && c.is_whitespace() };
        before = c;
        rest = &rest[c.len_utf8()..];
    }
    shown
}

fn push_escaped(shown: &mut String, c: char) {
    let short = match c {
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        _ => {
            // A String takes everything.
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
            return;
        }
    };
    shown.push_str(short);
}

/// A sequence that sets a colour, weight or line of text. What hides text or blinks is none of these.
fn style(text: &str) -> Option<&str> {
    let parameters = text.strip_prefix("\x1b[")?;
    let end = parameters.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    let mut rest = parameters[..end].split(';');
    while let Some(parameter) = rest.next() {
        match parameter.parse::<u8>() {
            _ if parameter.is_empty() => {}
            Ok(0..=4 | 22..=24 | 31..=37 | 39 | 91..=97) => {}
            // One of 256 colours, but for those that are black.
            Ok(38) => match (rest.next(), rest.next().and_then(|colour| colour.parse::<u8>().ok())) {
                (Some("5"), Some(1..=15 | 17..=231 | 234..=255)) => {}
                _ => return None,
            },
            _ => return None,
        }
    }
    parameters[end..].starts_with('m').then(|| &text[.."\x1b[".len() + end + 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each was read by a terminal or a runner as what it says.
    #[test]
    fn what_does_something_is_seen_instead() {
        for (text, in_a_line, as_lines) in [
            ("größer 表 🦀 ❤️ a\u{301}", "größer 表 🦀 ❤️ a\u{301}", "größer 表 🦀 ❤️ a\u{301}"),
            ("a\x1b[2Jb", r"a\u{1b}[2Jb", r"a\u{1b}[2Jb"),
            ("a\u{9b}2Jb\x7f", r"a\u{9b}2Jb\u{7f}", r"a\u{9b}2Jb\u{7f}"),
            ("ok\rerror\r\n", r"ok\rerror\r\n", "ok\\rerror\\r\n"),
            ("a\tb\nc", r"a\tb\nc", "a\tb\nc"),
            ("x\u{202e}y\u{2066}z\u{61c}", r"x\u{202e}y\u{2066}z\u{61c}", r"x\u{202e}y\u{2066}z\u{61c}"),
            ("a\u{200b}\u{feff}\u{ad}b", r"a\u{200b}\u{feff}\u{ad}b", r"a\u{200b}\u{feff}\u{ad}b"),
            ("a\u{2028}b\u{85}c", r"a\u{2028}b\u{85}c", r"a\u{2028}b\u{85}c"),
            (
                "tag\u{e0041}\u{e000}\u{10ffff}",
                r"tag\u{e0041}\u{e000}\u{10ffff}",
                r"tag\u{e0041}\u{e000}\u{10ffff}",
            ),
            ("a\u{fe0f} ❤\u{fe0f}\u{fe0f}", "a\\u{fe0f} ❤\u{fe0f}\\u{fe0f}", "a\\u{fe0f} ❤\u{fe0f}\\u{fe0f}"),
            ("::add-mask::x", r"\u{3a}:add-mask::x", r"\u{3a}:add-mask::x"),
            (" \u{3000}::stop", " \u{3000}\\u{3a}:stop", " \u{3000}\\u{3a}:stop"),
            ("a\n\t::set-env::", r"a\n\t::set-env::", "a\n\t\\u{3a}:set-env::"),
            ("x::int, [::1]", "x::int, [::1]", "x::int, [::1]"),
            ("no ##[add-mask]x", r"no #\u{23}[add-mask]x", r"no #\u{23}[add-mask]x"),
            ("###[a] # [", r"##\u{23}[a] # [", r"##\u{23}[a] # ["),
        ] {
            assert_eq!(one_line(text), in_a_line, "{text:?}");
            assert_eq!(lines(text), as_lines, "{text:?}");
            assert_eq!(styled(text), as_lines, "{text:?}");
        }
    }

    #[test]
    fn only_our_own_styles_stay() {
        for (text, shown) in [
            ("\x1b[1mok\x1b[0m \x1b[2;31mno\x1b[m", "\x1b[1mok\x1b[0m \x1b[2;31mno\x1b[m"),
            ("\x1b[38;5;9mred\x1b[4m\x1b[97m", "\x1b[38;5;9mred\x1b[4m\x1b[97m"),
            ("\x1b[8msecret", "\\u{1b}[8msecret"),
            ("\x1b[1;38;5;16mblack \x1b[38;2;0;0;0m", "\\u{1b}[1;38;5;16mblack \\u{1b}[38;2;0;0;0m"),
            ("\x1b[1A\x1b[2K\x1b]0;title\x07", "\\u{1b}[1A\\u{1b}[2K\\u{1b}]0;title\\u{7}"),
            ("\x1b[1m::add-mask::x", "\x1b[1m\\u{3a}:add-mask::x"),
            ("\x1b[", "\\u{1b}["),
        ] {
            assert_eq!(styled(text), shown);
        }
    }

    #[test]
    fn long_text_is_cut() {
        for (text, shown) in [("abc", "abc"), ("abcd", "abc…"), ("a\nbcd", "a\\nb…"), ("", "")] {
            assert_eq!(shortened(text, 3), shown);
        }
    }

    /// Of every character there is, alone and between others, as a value and at the start of a line.
    #[test]
    fn nothing_hidden_comes_through() {
        let safe = |text: &str| {
            let bare =
                |c: char| c == '\n' || c == '\t' || c == '\u{fe0e}' || c == '\u{fe0f}' || !is_hidden(c);
            assert!(text.chars().all(bare), "{text:?}");
            assert!(
                !text.contains("##[") && !text.lines().any(|line| line.trim().starts_with("::")),
                "{text:?}"
            );
        };
        for c in '\0'..=char::MAX {
            let text = format!("a{c}b");
            if is_hidden(c) {
                safe(&lines(&text));
                safe(&one_line(&text));
            }
            if is_hidden(c) || c.is_whitespace() {
                for text in [format!("{c}::add-mask::{c}"), format!("#{c}#[x]")] {
                    safe(&lines(&text));
                    safe(&one_line(&text));
                    assert!(!one_line(&text).contains(['\n', '\t']), "{text:?}");
                }
            }
            let is_control = c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c);
            assert!(!is_control || is_hidden(c), "{c:?}");
            assert!(
                !c.is_alphanumeric() || !is_hidden(c) || "\u{115f}\u{1160}\u{3164}\u{ffa0}".contains(c),
                "{c:?}"
            );
        }
    }

    /// What is shown is shown the same when it passes through another edge.
    #[test]
    fn what_is_escaped_stays() {
        for text in ["a\x1b[2J\r\nb", "##[x]", "::a::", "\u{202e}", "\\u{1b}"] {
            assert_eq!(one_line(&one_line(text)), one_line(text));
            assert_eq!(lines(&lines(text)), lines(text));
        }
    }
}
