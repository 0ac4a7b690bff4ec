//! The type.

use std::fmt;

use crate::escape::{lines, one_line};

/// Text that others wrote. In a sentence it takes one line; how else it is shown is asked for.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(String);

impl Text {
    /// As it came: to compare it, to look into it, and for JSON.
    pub fn exact(&self) -> &str {
        &self.0
    }

    /// As lines of their own.
    pub fn lines(&self) -> String {
        lines(&self.0)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&one_line(&self.0))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", one_line(&self.0))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_can_only_be_shown_safely() {
        let text = Text::from("a\n\x1b[2J");
        assert_eq!(text.to_string(), "a\\n\\u{1b}[2J");
        assert_eq!(format!("{text:<14}|"), "a\\n\\u{1b}[2J  |");
        assert_eq!(format!("{text:?}"), r#""a\\n\\u{1b}[2J""#);
        assert_eq!((text.lines().as_str(), text.exact()), ("a\n\\u{1b}[2J", "a\n\x1b[2J"));
    }
}
