//! Values that somebody forgot to fill in: an example that went live must not be tried as a password.

/// For a mistake's sentence.
pub(super) const IS_ONE: &str = "is still the placeholder of an example";

/// Lower-case letters in angle brackets, as in `<password>`, and nothing else: a password of such a shape is not worth
/// its name.
pub(super) fn is_placeholder(text: &str) -> bool {
    let inside = text.strip_prefix('<').and_then(|text| text.strip_suffix('>'));
    let is_word = |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || " -_".contains(c));
    inside.is_some_and(|text| !text.is_empty() && is_word(text))
}

#[cfg(test)]
mod tests {
    #[test]
    fn placeholders_are_told_from_passwords() {
        for (text, expected) in [
            ("<password>", true),
            ("<role>", true),
            ("<the role's password>", false),
            ("<your password>", true),
            ("<Password1>", false),
            ("<>", false),
            ("password", false),
            ("<a", false),
            ("<<a>>", false),
            ("x<password>", false),
        ] {
            assert_eq!(super::is_placeholder(text), expected, "{text}");
        }
    }
}
