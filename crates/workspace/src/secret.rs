//! Values that must never be shown: neither in a log, nor in an error, nor in a list of processes.

use std::fmt;

/// A token or a password. It has no `Display`; `expose` is for the one who is to receive it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(secret: String) -> Self {
        Self(secret)
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?}", Some(super::Secret::new("hunter2".to_owned())));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
