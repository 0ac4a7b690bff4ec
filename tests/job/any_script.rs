//! Whatever a script holds, it is split where PostgreSQL splits it: what is one statement here, the server completes as
//! one.

use futures_util::TryStreamExt as _;
use migration_core::Statement;
use migration_core::statement::{Unterminated, split};
use sqlx::postgres::{PgDatabaseError, PgErrorPosition};
use sqlx::{AssertSqlSafe, Either, PgConnection, raw_sql};

use crate::support::{Database, Random, many_times};

const BLANKS: &[&str] = &[
    " ",
    " ",
    "\n",
    "\t ",
    "\r\n",
    "\u{c}",
    " /* ; */ ",
    "/* ' /* ; */ $$ */",
    "/**/",
    "/*/**/*/",
    " -- ; '\n",
    "--\r",
    "--$$ /*\n",
];

const LITERALS: &[&str] = &[
    "1",
    "2.5e-1",
    "- -3",
    "'a;''b'",
    "'a\\'",
    "E'a\\';b'",
    "e'\\\\'",
    "E'\\''''",
    "E'a'\n'\\';b'",
    "E'a' -- ; '\n '\\';b'",
    "'a'\n'b;'",
    "U&'\\0061;'",
    "U&'!0061;' UESCAPE '!'",
    "B'10'",
    "X'1f'",
    "N'a;'",
    "n'\\'",
    "$$a;'b\"$$",
    "$t$;$$;$t$",
    "$ä_1$;$ä$;$ä_1$",
    "$_$$x$;$_$",
    "'ü;€'",
    "current_date",
];

const NAMES: &[&str] = &[
    "a",
    "\"a;b\"",
    "\"a\"\"b;\"",
    "_x$1",
    "x$$1",
    "ä",
    "日本",
    "U&\"\\0061;\"",
    "begin",
    "atomic",
    "\"end\"",
    "e",
    "u",
];

/// A script of statements that run anywhere.
fn script(random: &Random) -> String {
    let statements: Vec<_> = (0..random.below(5)).map(|_| statement(random)).collect();
    let end = if random.one_in(2) { "" } else { ";" };
    format!(
        "{}{}{end}{}",
        random.text(2, BLANKS),
        statements.join(&format!("{};", random.text(2, BLANKS))),
        random.text(2, BLANKS)
    )
}

fn statement(random: &Random) -> String {
    let number = random.number();
    let words = match random.below(12) {
        0 => String::new(),
        1 => format!(
            "DO {}",
            random.of(&[
                "$$ BEGIN PERFORM 1; END $$",
                "'BEGIN PERFORM 1; END'",
                "$d$ BEGIN PERFORM $$;$$; END; $d$"
            ])
        ),
        2 => format!("CREATE TEMP TABLE t{number} ({} int, b text DEFAULT 'a;')", random.of(NAMES)),
        3 => format!(
            "CREATE TEMP TABLE r{number} (); CREATE RULE r AS ON INSERT TO r{number} DO ALSO (SELECT 1; SELECT ';')"
        ),
        4 => format!("PREPARE p{number} AS SELECT {}", expression(random, 2)),
        5 => format!(
            "CREATE FUNCTION pg_temp.f{number}() RETURNS int LANGUAGE sql {}",
            random.of(&["AS 'SELECT 1; SELECT 2;'", "RETURN 1", "AS $$ SELECT 1; $$ IMMUTABLE"])
        ),
        6 | 7 => routine(random),
        8 => format!("VALUES ({}), (NULL)", expression(random, 0)),
        _ => {
            let columns: Vec<_> = (0..=random.below(3)).map(|_| column(random)).collect();
            format!("SELECT {}", columns.join(","))
        }
    };
    words.split(' ').collect::<Vec<_>>().join(" ") + &random.text(1, BLANKS)
}

/// Whose body holds statements of its own.
fn routine(random: &Random) -> String {
    let number = random.number();
    let head = random.of(&["FUNCTION", "OR REPLACE FUNCTION", "or replace function"]);
    let blank = || random.of(BLANKS);
    let statements: String = (0..random.below(4))
        .map(|_| {
            let columns: Vec<_> = (0..=random.below(2)).map(|_| column(random)).collect();
            format!("SELECT {}{};{}", columns.join(","), random.text(1, BLANKS), random.text(1, BLANKS))
        })
        .collect();
    let procedure = random.one_in(4);
    let (head, returns) = if procedure { ("PROCEDURE", "") } else { (head, "RETURNS void") };
    format!(
        "CREATE {head}{}pg_temp.b{number}() {returns} LANGUAGE sql{}BEGIN{}ATOMIC{}{statements}END",
        blank(),
        blank(),
        blank(),
        blank()
    )
}

fn column(random: &Random) -> String {
    let name = match random.below(6) {
        0 => format!(" AS {}", random.of(NAMES)),
        1 => format!(" AS{}{}", random.of(BLANKS), random.of(&["case", "end", "begin"])),
        2 => format!(" {}{}", random.of(BLANKS), random.of(&["case", "end", "begin", "atomic"])),
        _ => String::new(),
    };
    format!("{}{}{name}", random.of(BLANKS), expression(random, 3))
}

fn expression(random: &Random, depth: usize) -> String {
    if depth == 0 || random.one_in(3) {
        return random.of(LITERALS).to_owned();
    }
    let inner = expression(random, depth - 1);
    let blank = random.text(1, BLANKS);
    match random.below(7) {
        0 => format!("({blank}{inner}{blank})"),
        1 => format!("CASE{} WHEN true THEN {inner}{blank} END", random.of(BLANKS)),
        2 => format!("case 1 when 1 then {inner} else {inner} end"),
        3 => format!("(SELECT{blank} {inner})"),
        4 => format!("1 +{blank} 2 -{blank} 3 */*;*/ 4"),
        5 => format!("ROW({inner},{blank}'b;')"),
        _ => format!("('a;' ||{blank} 'b')::text"),
    }
}

/// Not the vertical tab, which is white space since PostgreSQL 16 alone.
const NOISE: &[&str] = &[
    "'",
    "\"",
    "$",
    "$$",
    "$a$",
    ";",
    "(",
    ")",
    "-",
    "--",
    "/",
    "*",
    "/*",
    "*/",
    "\\",
    "E",
    "U&",
    "\n",
    "ü",
    "1",
    " BEGIN ATOMIC ",
    " END ",
    " CASE ",
    " AS ",
    ".",
    "\u{a0}",
];

/// Something put in, or taken out.
fn disturbed(random: &Random, script: &str) -> String {
    let mut places: Vec<_> = script.char_indices().map(|(at, _)| at).collect();
    places.push(script.len());
    let at = places[random.below(places.len())];
    let to = if random.one_in(2) { at } else { places[random.below(places.len())].max(at) };
    let noise = if random.one_in(3) { "" } else { random.of(NOISE) };
    [&script[..at], noise, &script[to..]].concat()
}

/// How the server took a script.
#[derive(Debug)]
struct Refused {
    completed: usize,
    message: String,
    /// In bytes.
    at: Option<usize>,
}

fn send(database: &Database, connection: &mut PgConnection, script: &str) -> Result<usize, Refused> {
    database.block_on(async {
        let mut completed = 0;
        let mut results = raw_sql(AssertSqlSafe(script.to_owned())).fetch_many(connection);
        loop {
            match results.try_next().await {
                Ok(Some(Either::Left(_))) => completed += 1,
                Ok(Some(Either::Right(_))) => {}
                Ok(None) => return Ok(completed),
                Err(error) => {
                    let error = error.as_database_error().unwrap().downcast_ref::<PgDatabaseError>();
                    let at = match error.position() {
                        Some(PgErrorPosition::Original(at)) => {
                            script.char_indices().map(|(at, _)| at).nth(at - 1)
                        }
                        _ => None,
                    };
                    let message = error.message().to_owned();
                    return Err(Refused { completed, message, at: at.or(Some(script.len())) });
                }
            }
        }
    })
}

/// The lexical errors of the server that say that something has no end.
fn is_unterminated(message: &str) -> bool {
    message.starts_with("unterminated") && !message.contains("zero-length")
}

/// What stands in the body of a routine is read later, by another.
fn has_body(statement: &Statement<'_>) -> bool {
    statement.text.starts_with("DO") || statement.text.contains("sql AS")
}

/// Whether the server took it.
fn compare(database: &Database, connection: &mut PgConnection, script: &str) -> bool {
    match (split(script), send(database, connection, script)) {
        (Ok(statements), Ok(completed)) => {
            assert_eq!(completed, statements.len(), "{script:?}\n{statements:?}");
            // Of a body that lost its head, BEGIN may be left.
            for clean_up in ["ROLLBACK", "DISCARD ALL"] {
                send(database, connection, clean_up).unwrap();
            }
            return true;
        }
        (Err(unterminated), Ok(_)) => panic!("{unterminated:?} is none to the server: {script:?}"),
        (Err(Unterminated { offset, .. }), Err(refused)) => {
            // The server takes the N before a string for a word of its own, and strings that go on for one.
            let offset = offset + usize::from(script[offset..].starts_with(['n', 'N']));
            let agreed = !is_unterminated(&refused.message) || refused.at <= Some(offset);
            assert!(agreed && refused.completed == 0, "{refused:?}, {offset}: {script:?}");
        }
        (Ok(statements), Err(refused)) => {
            let is_theirs = statements
                .iter()
                .rfind(|statement| Some(statement.offset) <= refused.at)
                .is_some_and(has_body);
            assert!(is_theirs || !is_unterminated(&refused.message), "{refused:?}: {script:?}");
            assert!(refused.completed < statements.len(), "{refused:?}: {script:?}\n{statements:?}");
            each_alone(database, connection, &statements, &refused);
        }
    }
    false
}

/// One of them holds the error; those before it are whole.
fn each_alone(
    database: &Database,
    connection: &mut PgConnection,
    statements: &[Statement<'_>],
    refused: &Refused,
) {
    let at = refused.at.unwrap_or(0);
    for (index, statement) in statements.iter().enumerate() {
        let is_before = statements.get(index + 1).is_some_and(|next| next.offset <= at);
        let alone = send(database, connection, statement.text);
        match &alone {
            Ok(completed) => assert_eq!(*completed, 1, "{statement:?}: {refused:?}"),
            Err(Refused { message, .. }) if is_before && refused.completed == 0 && !has_body(statement) => {
                assert!(!message.starts_with("syntax error"), "{statement:?}: {alone:?}, {refused:?}");
            }
            Err(_) => {}
        }
    }
}

#[test]
fn what_is_one_statement_here_is_one_to_the_server() {
    let database = Database::new();
    let connection = std::cell::RefCell::new(database.connection());
    let (whole, all) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    many_times(2_000, |random| {
        let mut connection = connection.borrow_mut();
        let script = script(random);
        whole.set(whole.get() + i32::from(compare(&database, &mut connection, &script)));
        compare(&database, &mut connection, &disturbed(random, &script));
        all.set(all.get() + 1);
    });
    // Most of them are right, or this would say little.
    assert!(whole.get() * 10 > all.get() * 8, "{} of {}", whole.get(), all.get());
}
