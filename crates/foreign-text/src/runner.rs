//! GitHub's runner, which reads commands out of what a step prints:
//! <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>.

use crate::escape::{lines, one_line};

/// The message of an annotation, on one line for the runner and on several for the reader.
pub fn message(text: &str) -> String {
    encoded(&lines(text))
}

/// A property of an annotation, such as its file.
pub fn property(text: &str) -> String {
    encoded(&one_line(text)).replace(':', "%3A").replace(',', "%2C")
}

fn encoded(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// From here on the runner takes no command, until it reads [`resume`] with the same token.
pub fn stop(token: &str) -> String {
    format!("::stop-commands::{token}")
}

/// The end of what [`stop`] began.
pub fn resume(token: &str) -> String {
    format!("::{token}::")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_annotation_stays_one() {
        for (text, message_, property_) in [
            ("100 %\nsure", "100 %25%0Asure", "100 %25\\nsure"),
            ("a:b,c", "a:b,c", "a%3Ab%2Cc"),
            ("no\r::add-mask::x", "no\\r::add-mask::x", "no\\r%3A%3Aadd-mask%3A%3Ax"),
            ("a\n::add-mask::x", "a%0A\\u{3a}:add-mask::x", "a\\n%3A%3Aadd-mask%3A%3Ax"),
            ("\x1b[1m##[x]", "\\u{1b}[1m#\\u{23}[x]", "\\u{1b}[1m#\\u{23}[x]"),
        ] {
            assert_eq!((message(text), property(text)), (message_.to_owned(), property_.to_owned()));
        }
    }
}
