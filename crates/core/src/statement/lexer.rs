//! PostgreSQL's lexical rules, as far as finding the ends of statements needs them.
//!
//! Source: <https://www.postgresql.org/docs/current/sql-syntax-lexical.html> and the server's
//! `scan.l` and psql's `psqlscan.l`. Text is taken with `standard_conforming_strings` on.

/// What the lexer tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A keyword or an identifier without quotes.
    Word,
    /// Anything else that is whole: a string, a quoted identifier, a number, an operator.
    Other,
    Semicolon,
    Open,
    Close,
    /// A backslash outside quotes: psql's, the server knows none.
    Backslash,
    /// A quote or comment that is never closed.
    Unterminated(&'static str),
}

/// A token and the bytes it covers. White space and comments are no tokens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Reads the tokens of `text` one after another.
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.rest().get(ahead).copied().unwrap_or(0)
    }

    /// Moves past white space and comments; `Err` where a block comment has no end.
    fn skip_blank(&mut self) -> Result<(), Token> {
        loop {
            match self.rest() {
                [b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, ..] => self.at += 1,
                [b'-', b'-', ..] => self.skip_line(),
                [b'/', b'*', ..] => self.skip_block_comment()?,
                _ => return Ok(()),
            }
        }
    }

    fn skip_line(&mut self) {
        let length = self.rest().iter().position(|&byte| byte == b'\n' || byte == b'\r');
        self.at += length.unwrap_or(self.rest().len());
    }

    /// Block comments nest.
    fn skip_block_comment(&mut self) -> Result<(), Token> {
        let start = self.at;
        let mut depth = 0usize;
        loop {
            match self.rest() {
                [b'/', b'*', ..] => {
                    depth += 1;
                    self.at += 2;
                }
                [b'*', b'/', ..] => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                [] => return Err(self.unterminated("block comment", start)),
                _ => self.at += 1,
            }
        }
    }

    fn unterminated(&mut self, what: &'static str, start: usize) -> Token {
        self.at = self.text.len();
        Token { kind: Kind::Unterminated(what), start, end: self.at }
    }

    /// From the opening quote at `self.at` past the closing one; a doubled quote stands for itself.
    fn quoted(&mut self, start: usize, quote: u8, escapes: bool) -> Token {
        let what = if quote == b'"' { "quoted identifier" } else { "quoted string" };
        self.at += 1;
        loop {
            match self.rest() {
                [] => return self.unterminated(what, start),
                [b'\\', _, ..] if escapes => self.at += 2,
                [byte, next, ..] if *byte == quote && *next == quote => self.at += 2,
                [byte, ..] if *byte == quote => {
                    self.at += 1;
                    if !(escapes && self.continues()) {
                        return Token { kind: Kind::Other, start, end: self.at };
                    }
                }
                _ => self.at += 1,
            }
        }
    }

    /// A string goes on where another quote follows after white space with a newline in it; only
    /// for strings with escapes does that change where it ends. Moves past that quote.
    fn continues(&mut self) -> bool {
        let end = self.at;
        let mut newline = false;
        loop {
            match self.rest() {
                [b'\n' | b'\r', ..] => {
                    newline = true;
                    self.at += 1;
                }
                [b' ' | b'\t' | 0x0b | 0x0c, ..] => self.at += 1,
                [b'-', b'-', ..] => self.skip_line(),
                [b'\'', ..] if newline => {
                    self.at += 1;
                    return true;
                }
                _ => {
                    self.at = end;
                    return false;
                }
            }
        }
    }

    /// `$tag$ … $tag$`, with the first `$` at `self.at`; `None` where that is no dollar quote.
    fn dollar_quoted(&mut self) -> Option<Token> {
        let start = self.at;
        let rest = self.rest();
        let tag = rest[1..].iter().take_while(|&&byte| is_word_start(byte) || byte.is_ascii_digit()).count();
        if rest.get(1 + tag) != Some(&b'$') || (tag > 0 && rest[1].is_ascii_digit()) {
            return None;
        }
        let delimiter = &self.text[start..start + tag + 2];
        let body = start + delimiter.len();
        match self.text[body..].find(delimiter) {
            Some(length) => {
                self.at = body + length + delimiter.len();
                Some(Token { kind: Kind::Other, start, end: self.at })
            }
            None => Some(self.unterminated("dollar-quoted string", start)),
        }
    }

    fn word(&mut self) -> Token {
        let start = self.at;
        self.skip_word();
        let word = &self.text[start..self.at];
        let quote = self.peek(0);
        let follows = match word {
            "e" | "E" if quote == b'\'' => Some(true),
            "b" | "B" | "x" | "X" | "n" | "N" if quote == b'\'' => Some(false),
            "u" | "U" if quote == b'&' && matches!(self.peek(1), b'\'' | b'"') => {
                self.at += 1;
                Some(false)
            }
            _ => None,
        };
        match follows {
            Some(escapes) => {
                let quote = self.peek(0);
                self.quoted(start, quote, escapes)
            }
            None => Token { kind: Kind::Word, start, end: self.at },
        }
    }

    fn skip_word(&mut self) {
        let more = |&&byte: &&u8| is_word_start(byte) || byte.is_ascii_digit() || byte == b'$';
        self.at += self.rest().iter().take_while(more).count();
    }

    fn single(&mut self, kind: Kind) -> Token {
        let start = self.at;
        self.at += 1;
        Token { kind, start, end: self.at }
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        if let Err(token) = self.skip_blank() {
            return Some(token);
        }
        let start = self.at;
        Some(match self.peek(0) {
            _ if self.rest().is_empty() => return None,
            b';' => self.single(Kind::Semicolon),
            b'(' => self.single(Kind::Open),
            b')' => self.single(Kind::Close),
            b'\\' => self.single(Kind::Backslash),
            quote @ (b'\'' | b'"') => self.quoted(start, quote, false),
            b'$' => match self.dollar_quoted() {
                Some(token) => token,
                None => self.single(Kind::Other),
            },
            byte if is_word_start(byte) => self.word(),
            byte if byte.is_ascii_digit() => {
                self.at += self.rest().iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
                Token { kind: Kind::Other, start, end: self.at }
            }
            _ => self.single(Kind::Other),
        })
    }
}

/// Bytes above ASCII are letters to PostgreSQL.
fn is_word_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}
