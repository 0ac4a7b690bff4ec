//! Scripts that can't be used are refused before anything runs, with file and line; all others
//! run as PostgreSQL would run them.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{Database, Directory, Job, Setup};

/// Refused with exit code 2 and this list, and nothing of the database is touched.
#[track_caller]
fn refused(scripts: &[(&str, &str)], problems: &[&str]) {
    let setup = Setup::with(scripts);
    let files: HashSet<_> = problems.iter().filter_map(|problem| problem.split([':', ' ']).next()).collect();
    let count = match files.len() {
        1 => "1 script is".to_owned(),
        several => format!("{several} scripts are"),
    };
    let list: String = problems.iter().map(|problem| format!("\n  migrations/{problem}")).collect();
    setup.job("upgrade head").run().is(2, "", &format!("error: {count} unusable:{list}"));
    assert_eq!(setup.database.tables("public"), [""; 0]);
}

const FIRST: (&str, &str) = ("1_a.up.sql", "CREATE TABLE a ();");

#[test]
fn a_directory_that_is_missing_empty_or_a_file_is_named() {
    let database = Database::new();
    let directory = Directory::bare();
    let job = || Job::new("upgrade head").within(&directory).on(&database);
    job().run().is(2, "", "error: 1 setting is wrong:\n  MIGRATIONS_DIR: \"migrations\" is not a directory");
    let run = || job().without("MIGRATIONS_DIR").run();
    let error = |problem: &str| format!("error: 1 script is unusable:\n  migrations {problem}");
    run().is(2, "", &error("is not there; set MIGRATIONS_DIR to the directory that holds the migrations"));
    fs::write(directory.migrations(), "").unwrap();
    run().is(2, "", &error("is not a directory"));
    fs::remove_file(directory.migrations()).unwrap();
    fs::create_dir(directory.migrations()).unwrap();
    let empty = error("holds no migration; expected files such as 20260102030405_add_phone.up.sql");
    run().is(2, "", &empty);
    directory.write("README.md", "no script");
    run().is(2, "", &empty);
}

#[test]
fn what_may_not_be_read_is_named() {
    let database = Database::new();
    let directory = Directory::with(&[FIRST]);
    // Root reads everything, so it runs a copy of the binary as nobody.
    let program = directory.path().join("job");
    fs::copy(env!("CARGO_BIN_EXE_run-migrations"), &program).unwrap();
    let forbid = |path: &std::path::Path| {
        fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
    };
    let script = directory.migrations().join(FIRST.0);
    forbid(&script);
    let is_root = fs::read(&script).is_ok();
    let run = || {
        let job = Job::program(&program, "upgrade head").within(&directory).on(&database);
        if is_root { job.user(65534).run() } else { job.run() }
    };
    run().is(
        2,
        "",
        "error: 1 script is unusable:\n  migrations/1_a.up.sql can't be read: Permission denied (os error 13)",
    );
    forbid(&directory.migrations());
    run().is(
        2,
        "",
        "error: 1 script is unusable:\n  migrations can't be read: Permission denied (os error 13)",
    );
    fs::set_permissions(directory.migrations(), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn names_that_say_nothing_and_versions_there_are_twice_are_reported_together() {
    refused(
        &[
            FIRST,
            ("12.sql", ""),
            ("-3_x.up.sql", ""),
            ("99999999999999999999_huge.up.sql", ""),
            ("4_shout.UP.SQL", ""),
            ("01_b.up.sql", "SELECT 1;"),
            ("notes.txt", "no script"),
            (".8_hidden.up.sql", "no script"),
        ],
        &[
            "-3_x.up.sql is not named <version>_<description>.up.sql, .down.sql or .sql",
            "12.sql is not named <version>_<description>.up.sql, .down.sql or .sql",
            "1_a.up.sql has the version of 01_b.up.sql; give one of them another",
            "4_shout.UP.SQL has its ending in capitals; rename it to end in .sql",
            "99999999999999999999_huge.up.sql has a version that is not a number from 0 to 9223372036854775807",
        ],
    );
}

#[test]
fn text_that_is_no_script_is_refused_with_its_line() {
    refused(
        &[FIRST, ("2_bom.up.sql", "\u{feff}SELECT 1;\n"), ("3_nul.up.sql", "SELECT 1;\nSELECT '\0';\n")],
        &[
            "2_bom.up.sql:1 begins with a byte order mark, which PostgreSQL takes for SQL; save it without",
            "3_nul.up.sql:2 holds a NUL byte, which can't be sent; remove it",
        ],
    );
    refused(
        &[FIRST, ("2_open.up.sql", "SELECT 1;\nSELECT 'no end;\n"), ("3_open.up.sql", "/* /* */\n")],
        &[
            "2_open.up.sql:2 has a quoted string that starts here and never ends",
            "3_open.up.sql:1 has a block comment that starts here and never ends",
        ],
    );
}

#[test]
fn text_that_is_not_utf_8_is_refused_with_its_line() {
    let setup = Setup::with(&[FIRST]);
    setup.directory.write("2_latin.up.sql", b"SELECT 1;\nSELECT 'gr\xfc\xdfe';\n");
    setup.job("upgrade head").run().is(
        2,
        "",
        "error: 1 script is unusable:\n  migrations/2_latin.up.sql:2 is not UTF-8; save it as UTF-8",
    );
}

#[test]
fn what_can_not_run_here_is_refused_with_its_line_before_anything_runs() {
    refused(
        &[
            FIRST,
            ("2_t.up.sql", "BEGIN;\nCREATE TABLE b ();\nCOMMIT;\nBEGIN;\nSELECT 1;\nCOMMIT;\n"),
            ("3_t.up.sql", "-- no-transaction\nSELECT 1;\nROLLBACK;\n"),
            ("4_copy.up.sql", "CREATE TABLE d (e int);\nCOPY d (e) FROM STDIN;\n1\n\\.\n"),
            ("5_psql.up.sql", "\\set x 1\nSELECT 1;\n"),
            ("6_p.up.sql", "PREPARE TRANSACTION 'x';"),
        ],
        &[
            "2_t.up.sql:3 has \"COMMIT\": the job itself begins and ends transactions, one for each script; remove it, or split the script there",
            "3_t.up.sql:3 has \"ROLLBACK\": the job itself begins and ends transactions, one for each script; remove it, or split the script there",
            "4_copy.up.sql:2 has \"COPY d (e)\": there is no data on the connection to copy; use INSERT … VALUES",
            "4_copy.up.sql:3 has `\\.`: a backslash command is psql's, the server knows none",
            "5_psql.up.sql:1 has `\\set x 1`: a backslash command is psql's, the server knows none",
            "6_p.up.sql:1 has \"PREPARE TRANSACTION 'x'\": the job itself begins and ends transactions, one for each script; remove it, or split the script there",
        ],
    );
}

/// What is applied can't be edited any more, and what sqlx has run may hold what the job would not begin.
#[test]
fn a_script_that_is_applied_already_is_nobody_s_business_any_more() {
    const APPLIED: &str = "BEGIN;\nCOMMIT;\nSELECT 1;\n";
    let setup = Setup::with(&[("1_a.up.sql", "SELECT 1;"), ("2_b.up.sql", "SELECT 1;")]);
    setup.job("upgrade 1").run().ok();
    setup.directory.write("1_a.up.sql", APPLIED);
    setup
        .database
        .execute(&format!("UPDATE _sqlx_migrations SET checksum = sha384(convert_to('{APPLIED}', 'UTF8'))"));
    setup.job("upgrade head").run().ok();
    assert_eq!(setup.database.versions(), [1, 2]);
}

/// It was recorded, and an empty database could never be brought there.
#[test]
fn what_upgrade_would_refuse_is_not_stamped() {
    let setup = Setup::with(&[("1_a.up.sql", "SELECT 1;"), ("2_b.up.sql", "SELECT 1;\nCOMMIT;\nSELECT 2;")]);
    setup.job("stamp 2 --plan").run().fails(2, "migrations/2_b.up.sql:2 has \"COMMIT\": ");
    setup.job("stamp 2").run().fails(2, "migrations/2_b.up.sql:2 has \"COMMIT\": ");
    setup.job("stamp 1").run().ok();
    assert_eq!(setup.database.versions(), [1]);
}

#[test]
fn savepoints_are_fine() {
    let setup = Setup::with(&[(
        "1_a.up.sql",
        "SAVEPOINT s;\nCREATE TABLE gone ();\nROLLBACK TO SAVEPOINT s;\nRELEASE s;\nCREATE TABLE a ();",
    )]);
    setup.job("upgrade head").run().ok();
    assert_eq!(setup.database.tables("public"), ["_sqlx_migrations", "a"]);
}

#[test]
fn dollar_quotes_nested_comments_and_atomic_bodies_run_whole() {
    let setup = Setup::with(TRICKY);
    setup.job("upgrade head").run().ok();
    assert_eq!(setup.database.value::<i32>("SELECT plain(20)"), 41);
    assert_eq!(setup.database.value::<i32>("SELECT atomic(20)"), 41);
    assert_eq!(setup.database.value::<String>("SELECT b FROM a"), "semi;colon -- 'no' /* comment */ \\ end");
    assert_eq!(setup.database.value::<i64>("SELECT count(*) FROM log"), 2);
}

/// What is hard to split, to frame and to locate.
pub(crate) const TRICKY: &[(&str, &str)] = &[
    ("1_comment_at_its_end.up.sql", "CREATE TABLE a (b text) -- the table"),
    (
        "2_quotes.up.sql",
        "/* outer /* inner; */ still; */ INSERT INTO a VALUES\n\
         ('semi;colon -- ''no'' /* comment */ \\ end');\n\
         COMMENT ON TABLE a IS $t$ $$;$$ ; $t$;\n\
         COMMENT ON COLUMN a.b IS E'it\\'s; ü';\n",
    ),
    (
        "3_bodies.up.sql",
        "CREATE FUNCTION plain(x int) RETURNS int LANGUAGE plpgsql AS $body$\n\
         BEGIN -- ; $$\n  x := x * 2;\n  RETURN x + 1;\nEND $body$;\n\
         CREATE FUNCTION atomic(x int) RETURNS int LANGUAGE sql BEGIN ATOMIC\n\
         \x20 SELECT CASE WHEN x > 0 THEN 1 ELSE 2 END;\n  SELECT x * 2 + 1;\nEND;\n",
    ),
    (
        "4_rule.up.sql",
        "CREATE TABLE log (c text);\n\
         CREATE RULE r AS ON UPDATE TO a DO ALSO (INSERT INTO log VALUES ('x'); INSERT INTO log VALUES ('y'));\n\
         UPDATE a SET b = b;\n",
    ),
    ("5_crlf.up.sql", "CREATE TABLE crlf (\r\n  d int -- a column\r\n);\r\n-- the end\r\n"),
    ("6_unicode.up.sql", "CREATE TABLE \"Tëst;☃\" (\"sp ace\" int);\n-- ☃"),
    ("7_no_semicolon.up.sql", "CREATE TABLE last ()\n/* the end */"),
    ("8_up_only.sql", "SELECT 1;;; ;"),
    (
        "9_it's.up.sql",
        "-- no-transaction at all\nCREATE TABLE quoted ();\n\nCREATE INDEX CONCURRENTLY i ON a (b)",
    ),
];

#[test]
fn windows_line_ends_are_kept_and_lines_counted() {
    let setup = Setup::with(&[("1_a.up.sql", "SELECT 'x\r\ny' AS a INTO t;\r\n")]);
    setup.job("upgrade head").run().ok();
    assert_eq!(setup.database.value::<String>("SELECT a FROM t"), "x\r\ny");
    setup.directory.write("2_b.up.sql", "SELECT 1;\r\nSELECT 2;\r\nSELEC 3;\r\n");
    setup.job("upgrade head").run().is(
        5,
        "upgrade from 1 to 2: 1 migration",
        "\
error: applying 2 (b), statement 3 of 3: syntax error at or near \"SELEC\"
 --> migrations/2_b.up.sql:3:1
  |
3 | SELEC 3;
  | ^
  = sqlstate: 42601
  = state: it was rolled back; the database is at 1, as before this run",
    );
}

#[test]
fn a_syntax_error_on_the_last_line_after_multi_byte_text_is_found() {
    let setup = Setup::with(&[(
        "1_a.up.sql",
        "-- größer als ☃ 🗝\nCREATE TABLE a (b text DEFAULT 'ü☃🗝');\n\n\
         /* 日本語 */ INSERT INTO a VALUES ('äöü'), ('☃') RETURNIN b",
    )]);
    setup.job("upgrade head").run().is(
        5,
        "upgrade from base to 1: 1 migration",
        "\
error: applying 1 (a), statement 2 of 2: syntax error at or near \"RETURNIN\"
 --> migrations/1_a.up.sql:4:47
  |
4 | /* 日本語 */ INSERT INTO a VALUES ('äöü'), ('☃') RETURNIN b
  |                                                  ^
  = sqlstate: 42601
  = state: it was rolled back; the database is at base, as before this run",
    );
    assert_eq!(setup.database.tables("public"), ["_sqlx_migrations"]);
}

#[test]
fn a_syntax_error_at_the_very_end_is_found() {
    let setup = Setup::with(&[("1_a.up.sql", "CREATE TABLE a ();\nCREATE TABLE\n")]);
    let outcome = setup.job("upgrade head").run();
    outcome.fails(5, "error: applying 1 (a), statement 2 of 2: syntax error at or near \";\"");
    outcome.fails(5, "--> migrations/1_a.up.sql:");
}

#[test]
fn an_error_inside_a_do_block_shows_its_context() {
    let setup = Setup::with(&[(
        "1_a.up.sql",
        "CREATE TABLE a (b int);\n\nDO $$\nBEGIN\n  PERFORM 1;\n  INSERT INTO a VALUES (1 / 0);\nEND $$;\nSELECT 1;\n",
    )]);
    setup.job("upgrade head").run().is(
        5,
        "upgrade from base to 1: 1 migration",
        "\
error: applying 1 (a), statement 2 of 3: division by zero
 --> migrations/1_a.up.sql:3:1
  |
3 | DO $$
  | ^ in the statement that starts here
  = sqlstate: 22012
  = context: SQL statement \"INSERT INTO a VALUES (1 / 0)\"
    PL/pgSQL function inline_code_block line 4 at SQL statement
  = state: it was rolled back; the database is at base, as before this run",
    );
}

#[test]
fn an_error_in_a_query_that_a_function_makes_shows_the_query() {
    let setup = Setup::with(&[("1_a.up.sql", "DO $$ BEGIN PERFORM 1, none FROM pg_class; END $$;\n")]);
    setup.job("upgrade head").run().is(
        5,
        "upgrade from base to 1: 1 migration",
        "\
error: applying 1 (a): column \"none\" does not exist
 --> migrations/1_a.up.sql:1:1
  |
1 | DO $$ BEGIN PERFORM 1, none FROM pg_class; END $$;
  | ^ in the statement that starts here
  = sqlstate: 42703
  = context: PL/pgSQL function inline_code_block line 1 at PERFORM
  = in the query: SELECT 1, none FROM pg_class
                            ^
  = state: it was rolled back; the database is at base, as before this run",
    );
}

#[test]
fn a_raised_exception_keeps_its_detail_and_hint() {
    let setup = Setup::with(&[(
        "1_a.up.sql",
        "DO $$ BEGIN RAISE EXCEPTION 'no way' USING DETAIL = 'two\nlines', HINT = 'turn back', ERRCODE = 'P0042'; END $$;",
    )]);
    let outcome = setup.job("upgrade head").run();
    outcome.fails(5, "error: applying 1 (a): no way\n");
    outcome.fails(5, "\n  = sqlstate: P0042\n  = detail: two\n    lines\n  = hint: turn back\n");
}
