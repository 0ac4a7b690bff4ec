//! What a statement does to a transaction and to the session, told from its words.

use super::lexer::{Kind, Lexer, Token};
use super::{Statement, contains};

/// Why the job must refuse a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forbidden {
    /// Begins or ends a transaction; the job does that itself.
    TransactionControl,
    /// Waits for data on the connection, which nobody sends.
    CopyIn,
    /// Sends data on the connection, which nobody reads.
    CopyOut,
    /// Makes the server take the script, which is UTF-8, for another encoding.
    Encoding,
    /// A psql command, which only psql understands.
    PsqlCommand,
    /// Changes what a backslash in a string means, and with it where statements end.
    StringSyntax,
}

/// A concurrent statement that can leave an invalid index behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Concurrent {
    /// `CREATE INDEX CONCURRENTLY name ON table`.
    Build {
        /// The index's name, as the catalog has it; `None` where PostgreSQL chooses one.
        name: Option<String>,
        /// Its table, as written.
        table: String,
    },
    /// `REINDEX … CONCURRENTLY`, whose leftovers end in `_ccnew` or `_ccold`, and perhaps a number.
    Rebuild {
        /// The table or index, as written; `None` for a whole schema or database.
        relation: Option<String>,
    },
}

impl Statement<'_> {
    /// Whether the job must refuse it.
    pub fn forbidden(&self) -> Option<Forbidden> {
        if self.has_backslash {
            return Some(Forbidden::PsqlCommand);
        }
        if self.starts_with(&["copy"]) && self.has("stdin") {
            return Some(Forbidden::CopyIn);
        }
        if self.starts_with(&["copy"]) && self.has("stdout") {
            return Some(Forbidden::CopyOut);
        }
        if self.sets_other_encoding() {
            return Some(Forbidden::Encoding);
        }
        let sets = self.starts_with_any(&["set", "select", "reset"]);
        // What pg_dump writes says on, as it is anyway.
        let to_on = self.starts_with(&["set"])
            && self.words.last().is_some_and(|word| word.eq_ignore_ascii_case("on"));
        if sets && !to_on && self.text.to_ascii_lowercase().contains("standard_conforming_strings") {
            return Some(Forbidden::StringSyntax);
        }
        let ends_or_begins = [
            &["begin"][..],
            &["start", "transaction"],
            &["commit"],
            &["end"],
            &["abort"],
            &["rollback"],
            &["prepare", "transaction"],
        ];
        let to_savepoint = self.starts_with(&["rollback"]) && self.has("to");
        let controls = ends_or_begins.iter().any(|keywords| self.starts_with(keywords)) && !to_savepoint;
        controls.then_some(Forbidden::TransactionControl)
    }

    /// A plain `BEGIN`: no more than that a transaction begins.
    pub fn only_begins(&self) -> bool {
        self.is_one_of(&[
            &["begin"],
            &["begin", "work"],
            &["begin", "transaction"],
            &["start", "transaction"],
        ])
    }

    /// A plain `COMMIT`, or `END`.
    pub fn only_commits(&self) -> bool {
        let commands = ["commit", "end"];
        commands.iter().any(|command| {
            self.is_one_of(&[
                &[command],
                &[command, "work"],
                &[command, "transaction"],
                &[command, "and", "no", "chain"],
            ])
        })
    }

    fn is_one_of(&self, forms: &[&[&str]]) -> bool {
        forms.iter().any(|form| {
            form.len() == self.words.len()
                && form.iter().zip(&self.words).all(|(keyword, word)| word.eq_ignore_ascii_case(keyword))
        })
    }

    /// A `CONCURRENTLY` form: it waits for other transactions to end, so it must hold no lock
    /// that such a transaction may wait for.
    pub fn is_concurrent(&self) -> bool {
        // REINDEX has it in parentheses as well: REINDEX (CONCURRENTLY) TABLE …
        let in_options = self.starts_with(&["reindex"]) && contains(&self.nested, "concurrently");
        let outside = self.starts_with_any(&["create", "drop", "alter", "reindex", "refresh"]);
        in_options || (outside && self.has("concurrently"))
    }

    /// Works for long and takes no lock that queues the site: time limits would only waste it. Not so
    /// `VACUUM FULL` and, at its end, `DETACH PARTITION … CONCURRENTLY`, which take ACCESS EXCLUSIVE.
    pub fn is_maintenance(&self) -> bool {
        if self.starts_with(&["vacuum"]) { !self.is_full() } else { self.is_concurrent() && !self.detaches() }
    }

    /// Whether a `VACUUM` has the option FULL, in either place. A number or a string may turn it off as
    /// well; the limits then do no harm.
    fn is_full(&self) -> bool {
        let is =
            |word: Option<&&str>, keyword: &str| word.is_some_and(|word| word.eq_ignore_ascii_case(keyword));
        let is_on = |at: usize| {
            let value = self.nested.get(at + 1);
            is(self.nested.get(at), "full") && !is(value, "false") && !is(value, "off")
        };
        is(self.words.get(1), "full") || (0..self.nested.len()).any(is_on)
    }

    /// `ALTER TABLE … DETACH PARTITION … CONCURRENTLY`: a failure may leave it pending.
    pub fn detaches(&self) -> bool {
        self.starts_with(&["alter"]) && self.is_concurrent()
    }

    /// Whether a failure leaves nothing of it behind that matters. The rest commits in pieces; what
    /// `VACUUM` did so far is as good as if it had not begun.
    pub fn is_atomic(&self) -> bool {
        // REFRESH … CONCURRENTLY is a single transaction.
        (!self.is_concurrent() || self.starts_with(&["refresh"]))
            && !self.starts_with_any(&["cluster", "reindex", "call", "do"])
    }

    /// Whether an error says that the server never began it: a name that means nothing, a right that is missing, an
    /// object that others depend on. What a function says that it calls has a context.
    pub fn was_refused(sqlstate: &str, has_context: bool) -> bool {
        // feature_not_supported, dependent_objects_still_exist, a database or schema that is not there, and all that is wrong with a statement itself
        !has_context
            && (sqlstate.starts_with("42") || ["0A000", "2BP01", "3D000", "3F000"].contains(&sqlstate))
    }

    /// Plain DDL: it queues no deferred check, takes lock slots, and, as far as its words tell, leaves
    /// the session alone.
    pub fn is_plain_ddl(&self) -> bool {
        // CREATE TABLE … AS and the like run a query, which may call any function; the body of a
        // function or view does not run now.
        let runs_a_query =
            self.has("as") && !["function", "procedure", "view"].iter().any(|word| self.has(word));
        let lingers = ["temp", "temporary", "pg_temp"].iter().any(|word| self.has(word));
        self.starts_with_any(&["create", "alter", "drop", "comment", "grant", "revoke"])
            && !lingers
            && !self.text.to_ascii_lowercase().contains("set_config")
            && !runs_a_query
    }

    /// Whether it leaves role, settings and session objects as they were: plain DDL and data
    /// changes that don't call what changes them by name. Of everything else that isn't known.
    pub fn leaves_session_alone(&self) -> bool {
        let plain =
            ["insert", "update", "delete", "merge", "analyze", "vacuum", "reindex", "refresh", "truncate"];
        let lasting = ["set_config", "pg_advisory_lock", "pg_try_advisory_lock", "pg_advisory_lock_shared"];
        let calls = |name: &&str| self.has(name) || contains(&self.nested, name);
        self.is_plain_ddl() || (self.starts_with_any(&plain) && !lasting.iter().any(calls))
    }

    /// Whether it can share a transaction with a record of itself.
    pub fn can_join_a_transaction(&self) -> bool {
        let never = [
            &["create", "database"][..],
            &["drop", "database"],
            &["alter", "database"],
            &["alter", "system"],
            &["create", "tablespace"],
            &["drop", "tablespace"],
            &["create", "subscription"],
            &["alter", "subscription"],
            &["drop", "subscription"],
            &["discard"],
            &["vacuum"],
        ];
        self.is_atomic() && !self.is_concurrent() && !never.iter().any(|keywords| self.starts_with(keywords))
    }

    /// What it builds concurrently, where that can be told from its words.
    pub fn concurrent(&self) -> Option<Concurrent> {
        if !self.is_concurrent() {
            return None;
        }
        let rebuilds = self.starts_with(&["reindex"]);
        if !rebuilds && !self.starts_with(&["create"]) {
            return None;
        }
        let tokens: Vec<_> = Lexer::new(self.text).collect();
        let text = |token: &Token| &self.text[token.start..token.end];
        let is = |token: &Token, keyword: &str| {
            token.kind == Kind::Word && text(token).eq_ignore_ascii_case(keyword)
        };
        if rebuilds {
            let kind = tokens.iter().position(|token| is(token, "table") || is(token, "index"));
            let name = |kind: usize| tokens[kind + 1..].iter().filter(|token| !is(token, "concurrently"));
            let relation = kind.map(|kind| name(kind).map(text).collect());
            return Some(Concurrent::Rebuild { relation });
        }
        let after = tokens.iter().position(|token| is(token, "concurrently"))? + 1;
        let on = after + tokens[after..].iter().position(|token| is(token, "on"))?;
        // IF NOT EXISTS, and nothing else, may stand before the name.
        let name = tokens[after..on].last().filter(|token| !is(token, "exists")).map(text);
        let table = tokens[on + 1..].iter().filter(|token| !is(token, "only"));
        let table = table.take_while(|token| token.kind != Kind::Open && !is(token, "using"));
        Some(Concurrent::Build { name: name.and_then(unquoted), table: table.map(text).collect() })
    }
}

/// An identifier as the catalog has it; `None` for one written with Unicode escapes.
fn unquoted(identifier: &str) -> Option<String> {
    /// In bytes: <https://www.postgresql.org/docs/current/sql-syntax-lexical.html>.
    const LONGEST: usize = 63;
    let mut name = match identifier.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None if identifier.contains('"') => return None,
        None => identifier.to_ascii_lowercase(),
    };
    name.truncate(name.floor_char_boundary(LONGEST));
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::split;

    fn only(script: &str) -> Statement<'_> {
        let statements = split(script).unwrap();
        assert_eq!(statements.len(), 1, "{script}");
        statements[0].clone()
    }

    #[test]
    fn tells_what_the_job_must_refuse() {
        use Forbidden::{CopyIn, CopyOut, Encoding, PsqlCommand, StringSyntax, TransactionControl};
        for (script, expected) in [
            ("BEGIN", Some(TransactionControl)),
            ("begin isolation level serializable", Some(TransactionControl)),
            ("START TRANSACTION", Some(TransactionControl)),
            ("COMMIT AND CHAIN", Some(TransactionControl)),
            ("/* x */ END", Some(TransactionControl)),
            ("ROLLBACK", Some(TransactionControl)),
            ("ABORT", Some(TransactionControl)),
            ("PREPARE TRANSACTION 'x'", Some(TransactionControl)),
            ("ROLLBACK TO SAVEPOINT a", None),
            ("ROLLBACK WORK TO a", None),
            ("SAVEPOINT a", None),
            ("RELEASE a", None),
            ("PREPARE x AS SELECT 1", None),
            ("COPY t FROM STDIN", Some(CopyIn)),
            ("copy t (a, b) from stdin with (format csv)", Some(CopyIn)),
            ("COPY t TO STDOUT", Some(CopyOut)),
            ("COPY (SELECT 1) TO STDOUT", Some(CopyOut)),
            ("SET client_encoding = 'LATIN1'", Some(Encoding)),
            ("SET NAMES 'latin1'", Some(Encoding)),
            ("SELECT pg_catalog.set_config('client_encoding', 'LATIN1', false)", Some(Encoding)),
            ("SET client_encoding = 'UTF8'", None),
            ("SET client_encoding TO DEFAULT", None),
            ("SELECT current_setting('client_encoding')", None),
            ("COPY t FROM '/tmp/stdin'", None),
            ("SET standard_conforming_strings = on", None),
            ("SET standard_conforming_strings = off", Some(StringSyntax)),
            ("SELECT set_config('standard_conforming_strings', 'off', true)", Some(StringSyntax)),
            ("\\i other.sql", Some(PsqlCommand)),
            ("SELECT 1 \\gset", Some(PsqlCommand)),
            ("SELECT '\\d'", None),
        ] {
            assert_eq!(only(script).forbidden(), expected, "{script}");
        }
    }

    #[test]
    fn tells_how_a_statement_behaves() {
        for (script, concurrent, atomic, plain) in [
            ("CREATE INDEX CONCURRENTLY i ON t (a)", true, false, true),
            ("DROP INDEX concurrently i", true, false, true),
            ("REINDEX (VERBOSE, CONCURRENTLY) TABLE t", true, false, false),
            ("ALTER TABLE t DETACH PARTITION p CONCURRENTLY", true, false, true),
            ("SELECT 'concurrently'", false, true, false),
            ("VACUUM t", false, true, false),
            ("CREATE TABLE t (concurrently int)", false, true, true),
            ("CREATE TEMP TABLE t ()", false, true, false),
            ("CREATE TABLE t AS SELECT 1", false, true, false),
            ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", false, true, true),
            ("ALTER TABLE t ALTER a SET NOT NULL", false, true, true),
            ("SET ROLE x", false, true, false),
            ("SELECT set_config('a.b', 'c', false)", false, true, false),
            ("INSERT INTO t VALUES (1)", false, true, false),
            ("DO $$ $$", false, false, false),
        ] {
            let statement = only(script);
            assert_eq!(statement.is_concurrent(), concurrent, "concurrent: {script}");
            assert_eq!(statement.is_atomic(), atomic, "atomic: {script}");
            assert_eq!(statement.is_plain_ddl(), plain, "plain: {script}");
        }
    }

    #[test]
    fn tells_what_needs_no_limits() {
        for (script, expected) in [
            ("CREATE INDEX CONCURRENTLY i ON t (a)", true),
            ("DROP INDEX CONCURRENTLY i", true),
            ("REINDEX (CONCURRENTLY) TABLE t", true),
            // It takes EXCLUSIVE, behind which no reader queues, and nobody else writes to the view.
            ("REFRESH MATERIALIZED VIEW CONCURRENTLY v", true),
            ("REFRESH MATERIALIZED VIEW v", false),
            ("ALTER TABLE t DETACH PARTITION p CONCURRENTLY", false),
            ("ALTER TABLE t DETACH PARTITION p FINALIZE", false),
            ("VACUUM t", true),
            ("VACUUM (VERBOSE, ANALYZE) t (\"full\")", true),
            ("VACUUM FULL t", false),
            ("vacuum full", false),
            ("VACUUM (full) t", false),
            ("VACUUM (VERBOSE, FULL true) t", false),
            ("VACUUM (FULL, VERBOSE false) t", false),
            ("VACUUM (FULL false) t", true),
            ("VACUUM (FULL OFF, VERBOSE) t", true),
            ("REINDEX TABLE t", false),
            ("CLUSTER t", false),
        ] {
            assert_eq!(only(script).is_maintenance(), expected, "{script}");
        }
    }

    #[test]
    fn finds_what_is_built() {
        let build = |name: &str, table: &str| {
            let name = (!name.is_empty()).then(|| name.to_owned());
            Some(Concurrent::Build { name, table: table.into() })
        };
        let rebuild = |relation: &str| Some(Concurrent::Rebuild { relation: Some(relation.into()) });
        let (long, cut) = ("ä".repeat(40), "ä".repeat(31));
        assert_eq!(
            only(&format!("CREATE INDEX CONCURRENTLY {long} ON t (a)")).concurrent(),
            build(&cut, "t")
        );
        for (script, expected) in [
            ("CREATE INDEX CONCURRENTLY i ON t (a)", build("i", "t")),
            (
                "create unique index concurrently if not exists I on only s.t using btree (a)",
                build("i", "s.t"),
            ),
            ("CREATE INDEX CONCURRENTLY \"My \"\"I\" ON \"S\".\"T\" (a)", build("My \"I", "\"S\".\"T\"")),
            ("CREATE INDEX CONCURRENTLY ON t (a)", build("", "t")),
            ("CREATE INDEX CONCURRENTLY ÄI ON t (a)", build("Äi", "t")),
            ("CREATE INDEX CONCURRENTLY U&\"\\0069\" ON t (a)", build("", "t")),
            ("CREATE INDEX i ON t (a)", None),
            ("DROP INDEX CONCURRENTLY i", None),
            ("REINDEX INDEX CONCURRENTLY s.i", rebuild("s.i")),
            ("REINDEX (CONCURRENTLY) TABLE t", rebuild("t")),
            ("REINDEX SCHEMA CONCURRENTLY s", Some(Concurrent::Rebuild { relation: None })),
        ] {
            assert_eq!(only(script).concurrent(), expected, "{script}");
        }
    }

    #[test]
    fn tells_what_outlives_a_statement() {
        for (script, alone, joins) in [
            ("CREATE TABLE t ()", true, true),
            ("INSERT INTO t VALUES (1)", true, true),
            ("UPDATE t SET a = set_config('a.b', 'c', false)", false, true),
            ("SELECT pg_advisory_lock(1)", false, true),
            ("SET search_path = x", false, true),
            ("LISTEN x", false, true),
            ("PREPARE x AS SELECT 1", false, true),
            ("CREATE TEMP TABLE t ()", false, true),
            ("VACUUM t", true, false),
            ("CREATE INDEX CONCURRENTLY i ON t (a)", true, false),
            ("ALTER SYSTEM SET work_mem = '1MB'", true, false),
            ("DO $$ $$", false, false),
            ("CALL p()", false, false),
        ] {
            let statement = only(script);
            assert_eq!(statement.leaves_session_alone(), alone, "alone: {script}");
            assert_eq!(statement.can_join_a_transaction(), joins, "joins: {script}");
        }
    }
}
