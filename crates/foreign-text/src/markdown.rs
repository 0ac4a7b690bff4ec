//! GitHub's Markdown: <https://github.github.com/gfm/>, and what GitHub makes of the text in it: mentions, references,
//! links, emoji, formulas.

use crate::escape::{lines, one_line};

/// Splits a word so that GitHub recognises nothing in it, and shows it whole.
const SPLIT: &str = "<!-- -->";

/// Text within a paragraph, a heading, or a cell of a table: read as it is written, whatever it holds.
pub fn text(text: &str) -> String {
    let text = one_line(text);
    let text = text.trim();
    let mut written = String::with_capacity(text.len());
    let mut before: Option<char> = None;
    for (at, c) in text.char_indices() {
        let next = text[at + c.len_utf8()..].chars().next();
        // A list, a heading, a quote or a line below a heading begins only where the text does.
        let begins_a_block = match c {
            '#' | '+' | '-' | '=' => at == 0,
            '.' | ')' => at > 0 && text[..at].bytes().all(|byte| byte.is_ascii_digit()),
            _ => false,
        };
        match c {
            '&' => written.push_str("&amp;"),
            '<' => written.push_str("&lt;"),
            '>' if at == 0 => written.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '!' | '|' | '~' | '$' | '^' => written.extend(['\\', c]),
            _ if begins_a_block => written.extend(['\\', c]),
            _ => written.push(c),
        }
        let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let is_recognised = match c {
            // `@name`, `a@b.c`, `#1`, `:tada:`, `https://`
            '@' | '#' => is_word(next),
            ':' => next.is_some_and(|next| !next.is_whitespace()),
            // `GH-1`
            '-' => {
                before.is_some_and(|c| c.eq_ignore_ascii_case(&'h'))
                    && next.is_some_and(|c| c.is_ascii_digit())
            }
            // `www.`
            '.' => before.is_some_and(|c| c.eq_ignore_ascii_case(&'w')),
            _ => false,
        };
        if is_recognised {
            written.push_str(SPLIT);
        }
        before = Some(c);
    }
    written
}

/// A name or a value in the letters of a program; not for a table, see [`code_cell`].
pub fn code(text: &str) -> String {
    let text = one_line(text);
    let fence = "`".repeat(longest_run(&text) + 1);
    let needs_space = text.is_empty() || text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']);
    let space = if needs_space { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

/// The same in a cell of a table.
pub fn code_cell(text: &str) -> String {
    // A backslash before a bar would be taken for the bar's own.
    if text.contains("\\|") { self::text(text) } else { code(text).replace('|', "\\|") }
}

/// Lines as they are, in a block that nothing in them ends. It begins and ends with a line of its own.
pub fn block(text: &str) -> String {
    let text = lines(text.trim_end());
    let fence = "`".repeat(longest_run(&text).max(3) + 1);
    format!("{fence}text\n{text}\n{fence}\n")
}

/// How many backticks stand together at most.
fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_only_text() {
        for (given, written) in [
            ("create contacts, größer 表 (v1.2)", "create contacts, größer 表 (v1.2)"),
            ("a|b\n<c>", r"a\|b\\n&lt;c>"),
            ("[x](https://evil)", r"\[x\](https:<!-- -->//evil)"),
            ("![x](y) <img src=x> &amp;", r"\!\[x\](y) &lt;img src=x> &amp;amp;"),
            ("*a* _b_ ~c~ `d` $e$", r"\*a\* \_b\_ \~c\~ \`d\` \$e\$"),
            ("@ann, a@b.c, #12, GH-3", "@<!-- -->ann, a@<!-- -->b.c, #<!-- -->12, GH-<!-- -->3"),
            ("www.evil.example :tada:", "www.<!-- -->evil.example :<!-- -->tada:"),
            ("# no heading", r"\# no heading"),
            ("1. no list", r"1\. no list"),
            ("- no list", r"\- no list"),
            ("> no quote", "&gt; no quote"),
            ("at 3: done", "at 3: done"),
            ("\x1b[1m", r"\\u{1b}\[1m"),
        ] {
            assert_eq!(text(given), written, "{given}");
        }
    }

    #[test]
    fn code_can_not_be_left() {
        for (given, written) in [
            ("a", "`a`"),
            ("", "`  `"),
            ("a`b", "``a`b``"),
            ("``", "``` `` ```"),
            (" a", "`  a `"),
            ("a\nb", "`a\\nb`"),
        ] {
            assert_eq!(code(given), written, "{given}");
        }
        assert_eq!(code_cell("a|b"), "`a\\|b`");
        assert_eq!(code_cell("a\\|b"), r"a\\\|b");
    }

    /// A line of four backticks left the fence of four.
    #[test]
    fn a_block_is_longer_than_what_it_holds() {
        for (given, fence) in [("a", "````"), ("a\n````\n# b", "`````"), ("x ```````` y", "`````````")] {
            assert_eq!(block(given), format!("{fence}text\n{given}\n{fence}\n"));
        }
        assert_eq!(block("a\r\n\x1b[1m\n\n"), "````text\na\\r\n\\u{1b}[1m\n````\n");
    }
}
