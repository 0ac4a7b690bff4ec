//! A script's text as the statements PostgreSQL will see, each with its place.

mod classify;
mod lexer;
mod settings;

pub use classify::{Concurrent, Forbidden};
use lexer::{Kind, Lexer};

/// One statement of a script, without the white space and comments before it and the semicolon
/// behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement<'a> {
    /// Its text.
    pub text: &'a str,
    /// Where it starts in the script, in bytes.
    pub offset: usize,
    /// Its keywords and bare identifiers outside parentheses.
    words: Vec<&'a str>,
    /// The same inside them.
    nested: Vec<&'a str>,
    has_backslash: bool,
}

/// Why a script can't be split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unterminated {
    /// What has no end, such as `quoted string`.
    pub what: &'static str,
    /// Where it starts, in bytes.
    pub offset: usize,
}

/// Splits a script where PostgreSQL would.
/// [`Unterminated`] where a quote or a comment is never closed: the rest of the script, and what
/// the job appends to it, would vanish in it.
pub fn split(script: &str) -> Result<Vec<Statement<'_>>, Unterminated> {
    Statements::of(script).collect()
}

/// The statements of a script, one by one: a long script holds many more words than bytes are worth keeping.
pub struct Statements<'a> {
    script: &'a str,
    tokens: Lexer<'a>,
}

impl<'a> Statements<'a> {
    /// From the first.
    pub fn of(script: &'a str) -> Self {
        Self { script, tokens: Lexer::new(script) }
    }
}

impl<'a> Iterator for Statements<'a> {
    type Item = Result<Statement<'a>, Unterminated>;

    fn next(&mut self) -> Option<Self::Item> {
        let script = self.script;
        let mut open: Option<Statement<'a>> = None;
        let mut depth = 0usize;
        let mut body = RoutineBody::default();
        for token in self.tokens.by_ref() {
            if token.kind == Kind::Semicolon && depth == 0 && !body.is_open {
                if open.is_some() {
                    return open.map(Ok);
                }
                continue;
            }
            let statement = open.get_or_insert_with(|| Statement::starting_at(token.start));
            statement.text = &script[statement.offset..token.end];
            if depth == 0 {
                body.see(token.kind, &script[token.start..token.end]);
            }
            match token.kind {
                Kind::Unterminated(what) => return Some(Err(Unterminated { what, offset: token.start })),
                Kind::Open => depth += 1,
                Kind::Close => depth = depth.saturating_sub(1),
                Kind::Backslash => statement.has_backslash = true,
                Kind::Word => {
                    let words = if depth == 0 { &mut statement.words } else { &mut statement.nested };
                    words.push(&script[token.start..token.end]);
                }
                Kind::Other | Kind::Semicolon => {}
            }
        }
        match open {
            Some(statement) if body.is_open => {
                Some(Err(Unterminated { what: "BEGIN ATOMIC body", offset: statement.offset }))
            }
            open => open.map(Ok),
        }
    }
}

/// Follows `CREATE [OR REPLACE] FUNCTION|PROCEDURE … BEGIN ATOMIC …; …; END`, whose semicolons
/// end no statement. Only where a statement would begin is END the end of it: anywhere else it ends
/// a CASE, or is a name.
#[derive(Default)]
struct RoutineBody {
    words: usize,
    creates_routine: bool,
    is_open: bool,
    previous: Previous,
}

/// What stood before.
#[derive(Default, PartialEq)]
enum Previous {
    Begin,
    /// What a statement of the body begins behind.
    Border,
    #[default]
    Other,
}

impl RoutineBody {
    fn see(&mut self, kind: Kind, text: &str) {
        let is = |keyword: &str| kind == Kind::Word && text.eq_ignore_ascii_case(keyword);
        let previous = std::mem::take(&mut self.previous);
        self.words += usize::from(kind == Kind::Word);
        match (kind, self.words) {
            (Kind::Word, 1) => self.creates_routine = is("create"),
            (Kind::Word, 2) => self.creates_routine &= is("or") || is("function") || is("procedure"),
            _ => {}
        }
        if self.is_open {
            self.is_open = !(previous == Previous::Border && is("end"));
            if kind == Kind::Semicolon {
                self.previous = Previous::Border;
            }
        } else if self.creates_routine && previous == Previous::Begin && is("atomic") {
            self.is_open = true;
            self.previous = Previous::Border;
        } else if is("begin") {
            self.previous = Previous::Begin;
        }
    }
}

impl<'a> Statement<'a> {
    fn starting_at(offset: usize) -> Self {
        Self { text: "", offset, words: Vec::new(), nested: Vec::new(), has_backslash: false }
    }

    fn starts_with(&self, keywords: &[&str]) -> bool {
        self.words.len() >= keywords.len()
            && self.words.iter().zip(keywords).all(|(word, keyword)| word.eq_ignore_ascii_case(keyword))
    }

    fn starts_with_any(&self, keywords: &[&str]) -> bool {
        keywords.iter().any(|keyword| self.starts_with(&[keyword]))
    }

    fn has(&self, keyword: &str) -> bool {
        contains(&self.words, keyword)
    }

    /// Its first `count` words, for a progress line.
    pub fn summary(&self, count: usize) -> String {
        self.text.split_whitespace().take(count).collect::<Vec<_>>().join(" ")
    }
}

/// A query as it may be shown: with `?` for every string and number.
pub fn without_literals(query: &str) -> String {
    let mut text = String::new();
    let mut end = 0;
    for token in Lexer::new(query) {
        if token.start > end {
            text.push(' ');
        }
        let what = &query[token.start..token.end];
        let is_literal = matches!(token.kind, Kind::Unterminated(_))
            || (token.kind == Kind::Other && !what.starts_with('"') && what.contains(['\'', '$'])
                || what.starts_with(|c: char| c.is_ascii_digit()));
        text.push_str(if is_literal { "?" } else { what });
        end = token.end;
    }
    text
}

fn contains(words: &[&str], keyword: &str) -> bool {
    words.iter().any(|word| word.eq_ignore_ascii_case(keyword))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(script: &str) -> Vec<&str> {
        split(script).unwrap().into_iter().map(|statement| statement.text).collect()
    }

    #[test]
    fn splits_where_postgresql_does() {
        for (script, expected) in [
            ("", &[][..]),
            (" ; ;; -- nothing\n /* at all */ ;", &[]),
            ("SELECT 1", &["SELECT 1"]),
            ("SELECT 1; SELECT 2;\n", &["SELECT 1", "SELECT 2"]),
            ("-- a;b\nSELECT 1 -- c;d\n; /* e;/* f; */g; */ SELECT 2", &["SELECT 1", "SELECT 2"]),
            ("SELECT 'a;''b;'; SELECT \"c;\"\"d\"", &["SELECT 'a;''b;'", "SELECT \"c;\"\"d\""]),
            (
                r"SELECT 'a\'; SELECT E'b\';c'; SELECT e'\\'",
                &[r"SELECT 'a\'", r"SELECT E'b\';c'", r"SELECT e'\\'"],
            ),
            ("SELECT E'a'\n  '\\';b'; SELECT 2", &["SELECT E'a'\n  '\\';b'", "SELECT 2"]),
            ("SELECT E'a' 'b\\'; SELECT 2", &["SELECT E'a' 'b\\'", "SELECT 2"]),
            (
                "SELECT U&'a\\;'; SELECT U&\"b;\"; SELECT B'1;'",
                &["SELECT U&'a\\;'", "SELECT U&\"b;\"", "SELECT B'1;'"],
            ),
            ("DO $$ a; b; $$; DO $x$ $$; $y$; $x$", &["DO $$ a; b; $$", "DO $x$ $$; $y$; $x$"]),
            ("SELECT a$b$c; SELECT $1; SELECT 2", &["SELECT a$b$c", "SELECT $1", "SELECT 2"]),
            ("DO $Ä_1$;$Ä_1$; SELECT 1", &["DO $Ä_1$;$Ä_1$", "SELECT 1"]),
            (
                "CREATE RULE r AS ON INSERT TO t DO (DELETE FROM a; DELETE FROM b); SELECT 1",
                &["CREATE RULE r AS ON INSERT TO t DO (DELETE FROM a; DELETE FROM b)", "SELECT 1"],
            ),
            (
                "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END; SELECT 3",
                &[
                    "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END",
                    "SELECT 3",
                ],
            ),
            (
                "CREATE TABLE begin_atomic (a int); SELECT 1",
                &["CREATE TABLE begin_atomic (a int)", "SELECT 1"],
            ),
            ("BEGIN; END; SELECT 1", &["BEGIN", "END", "SELECT 1"]),
            (
                "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1 AS case, t.end; END; COMMIT",
                &["CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1 AS case, t.end; END", "COMMIT"],
            ),
            (
                "CREATE PROCEDURE p() BEGIN ATOMIC SELECT 1 end, 2 case; END; COMMIT",
                &["CREATE PROCEDURE p() BEGIN ATOMIC SELECT 1 end, 2 case; END", "COMMIT"],
            ),
            (
                "CREATE FUNCTION f() RETURNS begin.atomic LANGUAGE sql BEGIN ATOMIC END; SELECT 1",
                &["CREATE FUNCTION f() RETURNS begin.atomic LANGUAGE sql BEGIN ATOMIC END", "SELECT 1"],
            ),
            ("SELECT 1;\r\nSELECT 2;\r\n", &["SELECT 1", "SELECT 2"]),
        ] {
            assert_eq!(texts(script), expected, "{script}");
        }
    }

    #[test]
    fn names_what_is_never_closed() {
        for (script, what, offset) in [
            ("SELECT 'a", "quoted string", 7),
            ("SELECT \"a", "quoted identifier", 7),
            ("SELECT E'a\\'", "quoted string", 7),
            ("SELECT 1; /* /* */", "block comment", 10),
            ("DO $a$ $b$", "dollar-quoted string", 3),
            (
                "SELECT 1; CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1 end; SELECT 2;",
                "BEGIN ATOMIC body",
                10,
            ),
        ] {
            assert_eq!(split(script), Err(Unterminated { what, offset }), "{script}");
        }
    }

    #[test]
    fn literals_are_not_shown() {
        for (query, expected) in [
            (
                "SELECT 'x', 12.5, E'y\\'', $1, $$z$$, \"t\" FROM a -- 'c'",
                "SELECT ?, ?.?, ?, ??, ?, \"t\" FROM a",
            ),
            ("INSERT INTO t VALUES ('cut of", "INSERT INTO t VALUES (?"),
        ] {
            assert_eq!(without_literals(query), expected);
        }
    }
}
