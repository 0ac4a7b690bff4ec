//! What a statement sets, where the job has to know.

use super::Statement;

impl Statement<'_> {
    /// Whether the server would take the script, which is UTF-8, for something else from then on.
    pub(super) fn sets_other_encoding(&self) -> bool {
        let text = self.text.to_ascii_lowercase();
        let is_about_it = self.starts_with(&["set", "names"])
            || (self.starts_with_any(&["set", "select"]) && text.contains("client_encoding"));
        let says_how = self.starts_with(&["set"]) || text.contains("set_config");
        let is_utf8 = ["utf8", "utf-8", "unicode", "default"].iter().any(|name| text.contains(name));
        is_about_it && says_how && !is_utf8
    }

    /// `SET [LOCAL] TRANSACTION`, which comes before all else in a transaction.
    pub fn sets_transaction(&self) -> bool {
        self.starts_with(&["set", "transaction"]) || self.starts_with(&["set", "local", "transaction"])
    }
}
