//! Values of rows in a server's errors. DETAIL and CONTEXT may hold whole rows, and a few messages quote a value; in a
//! cluster the log and the verdict are read by more people than the database is.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowValues {
    Show,
    /// Left out, and said so.
    Hide,
}

/// What stands in the place of what is left out.
pub(crate) const HIDDEN: &str = "hidden, since it may hold values of rows; set DETAIL=show to see it";

/// What servers put around a value, in the languages they speak.
pub(crate) const QUOTES: [char; 11] = ['"', '«', '»', '„', '“', '”', '‚', '‘', '’', '「', '」'];

/// A primary message without the value that it quotes, where it may quote one.
///
/// Of the classes that are about values, 22 (data exception) quotes them in its messages: `invalid input syntax for type
/// integer: "…"`, `value "…" is out of range`, `invalid byte sequence for encoding "UTF8": 0xff`. 23 (integrity
/// constraint violation) names only columns and constraints there, which stay; its values are in DETAIL.
pub(crate) fn without_values(sqlstate: &str, message: &str) -> Option<String> {
    if !sqlstate.starts_with("22") {
        return None;
    }
    let quoted = match (message.find(QUOTES), message.rfind(QUOTES)) {
        (Some(first), Some(last)) if first < last => Some((first, last)),
        _ => None,
    };
    // A value may hold quotes itself, so that all from the first to the last of them goes.
    let shown = match quoted {
        Some((first, last)) => {
            let end = last + message[last..].chars().next().map_or(0, char::len_utf8);
            format!("{}\"…\"{}", &message[..first], &message[end..])
        }
        None => message.to_owned(),
    };
    let shown = without_bytes(&shown);
    (shown != message).then_some(shown)
}

/// `0xe2 0x28` becomes `0x…`.
fn without_bytes(message: &str) -> String {
    let Some(at) = message.find("0x") else { return message.to_owned() };
    let is_byte =
        |word: &str| word.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    let rest: Vec<_> = message[at..].split(' ').skip_while(|word| is_byte(word)).collect();
    let space = if rest.is_empty() { "" } else { " " };
    format!("{}0x…{space}{}", &message[..at], rest.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_values_are_left_out() {
        for (sqlstate, message, shown) in [
            (
                "22P02",
                "invalid input syntax for type integer: \"ann@b.c\"",
                "invalid input syntax for type integer: \"…\"",
            ),
            (
                "22P02",
                "invalid input syntax for type integer: \"a\"b\"",
                "invalid input syntax for type integer: \"…\"",
            ),
            ("22P02", "invalid input value for enum mood: \"x\"", "invalid input value for enum mood: \"…\""),
            ("22P02", "malformed array literal: \"{a\"", "malformed array literal: \"…\""),
            ("22007", "invalid value \"ab\" for \"YYYY\"", "invalid value \"…\""),
            (
                "22008",
                "date/time field value out of range: \"31.02.\"",
                "date/time field value out of range: \"…\"",
            ),
            (
                "22003",
                "value \"99999999999\" is out of range for type integer",
                "value \"…\" is out of range for type integer",
            ),
            (
                "22P02",
                "ungültige Eingabesyntax für Typ integer: »x«",
                "ungültige Eingabesyntax für Typ integer: \"…\"",
            ),
            (
                "22021",
                "invalid byte sequence for encoding \"UTF8\": 0xe2 0x28 0xa1",
                "invalid byte sequence for encoding \"…\": 0x…",
            ),
            (
                "22P05",
                "character with byte sequence 0xe2 0x82 0xac in encoding \"UTF8\" has no equivalent in encoding \"LATIN1\"",
                "character with byte sequence 0x… in encoding \"…\"",
            ),
        ] {
            assert_eq!(without_values(sqlstate, message).as_deref(), Some(shown));
        }
        for (sqlstate, message) in [
            ("22012", "division by zero"),
            ("22001", "value too long for type character varying(5)"),
            ("22003", "integer out of range"),
            ("23505", "duplicate key value violates unique constraint \"contacts_mail\""),
            ("23502", "null value in column \"mail\" of relation \"contacts\" violates not-null constraint"),
            ("42P01", "relation \"contacts\" does not exist"),
        ] {
            assert_eq!(without_values(sqlstate, message), None);
        }
    }
}
