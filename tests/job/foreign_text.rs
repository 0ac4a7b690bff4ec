//! What a server, a script, another session or a file's name says is shown as text: it moves no cursor, begins no line
//! that looks like the job's, and is no command to whatever reads the log.

use std::fs;

use crate::support::{Database, Directory, Job, Outcome, Setup, quoted};

/// Takes over a terminal, forges a line of the report, hides a value from GitHub's log, leaves a fence.
const HOSTILE: &str = "\x1b[2J\r\u{9b}1A\u{202e}\u{2028}\u{200b}\u{e0041}\n::add-mask::x\n \t::stop-commands::x\n##[add-mask]x\ndone: 9 migrations in 1 ms; the database is at 999 (head)\n````\n[a](https://evil.example) <b> @all\u{7f}end";

/// The same for a file's name, which takes no slash and 255 bytes.
const FILE: &str = "a\x1b[2J\r\u{9b}\u{202e}\n::add-mask::x ##[add-mask]x\ndone: it is at 999\n````end";

#[track_caller]
fn assert_safe(text: &str) {
    for line in text.split('\n') {
        // The C1 and format characters stand for their kinds; the crate's own tests try every character there is.
        let acts = |c: char| (c.is_control() && c != '\t') || "\u{202e}\u{2028}\u{200b}\u{e0041}".contains(c);
        assert!(!line.chars().any(acts), "{line:?} in:\n{text}");
        assert!(!line.contains("##["), "{line:?} in:\n{text}");
        assert!(!line.trim_start().starts_with("::"), "{line:?} in:\n{text}");
        // What has lines of its own is set in deeper than anything of ours.
        let is_forged = line.contains("is at 999") && !line.starts_with("    ");
        assert!(!is_forged || !line.trim_start().starts_with("done: "), "{line:?} in:\n{text}");
    }
}

/// Runs it with every way of telling what it did.
#[track_caller]
fn told_safely(job: impl Fn() -> Job, code: i32) -> Outcome {
    let directory = Directory::bare();
    let log = directory.path().join("termination-log");
    for (format, output) in [("json", "json"), ("json", "text"), ("text", "json")] {
        fs::write(&log, "").unwrap();
        let job = job().env("LOG_FORMAT", format).env("OUTPUT", output).env("RUST_LOG", "debug,sqlx=info");
        let job = job.env("KUBERNETES_SERVICE_HOST", "10.0.0.1").env("DETAIL", "show");
        let told = job.env("TERMINATION_MESSAGE_PATH", log.to_str().unwrap()).run();
        assert_eq!(told.code, Some(code), "{}\n{}", told.stdout, told.stderr);
        let verdict = fs::read_to_string(&log).unwrap();
        let _: serde_json::Value = serde_json::from_str(&verdict).unwrap();
        for text in [&told.raw_stdout, &told.stderr, &verdict] {
            assert_safe(text);
        }
        if format == "json" {
            for line in told.stderr.lines() {
                let _: serde_json::Value = serde_json::from_str(line).unwrap();
            }
        }
    }
    let told = job().env("RUST_LOG", "debug,sqlx=info").run();
    assert_eq!(told.code, Some(code), "{}\n{}", told.stdout, told.stderr);
    assert_safe(&told.raw_stdout);
    assert_safe(&told.stderr);
    told
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// `RAISE` reached the terminal and the runner as it was: raw ESC, `::add-mask::`, and a forged `done:`.
#[test]
fn what_a_script_says_is_text() {
    let hostile = literal(HOSTILE);
    let script = format!(
        "DO $$ BEGIN\n  RAISE NOTICE USING MESSAGE = {hostile};\n  \
         RAISE EXCEPTION USING MESSAGE = {hostile}, DETAIL = {hostile}, HINT = {hostile};\nEND $$;"
    );
    let setup = Setup::with(&[("1_a.up.sql", &script)]);
    let told = told_safely(|| setup.job("upgrade head"), 5);
    assert!(told.stderr.contains(r"applying 1 (a): \u{1b}[2J\r\u{9b}1A\u{202e}"), "{}", told.stderr);
    // Machines get it as it was.
    let document = setup.job("upgrade head").env("OUTPUT", "json").run().json();
    assert_eq!(
        (&document["error"]["detail"], &document["error"]["hint"]),
        (&HOSTILE.into(), &HOSTILE.into())
    );
}

/// The script's own line in the excerpt, and a function's query.
#[test]
fn what_an_excerpt_quotes_is_text() {
    let setup = Setup::with(&[("1_a.up.sql", "SELECT '\x1b[2J\u{9b}\u{202e} ##[add-mask]x\r', none;\n")]);
    let told = told_safely(|| setup.job("upgrade head"), 5);
    let excerpt = r"1 | SELECT '\u{1b}[2J\u{9b}\u{202e} #\u{23}[add-mask]x\r', none;";
    let column = excerpt.find("none").unwrap();
    assert!(told.stderr.contains(&format!("{excerpt}\n  |{:1$}^", "", column - 3)), "{}", told.stderr);
    setup
        .directory
        .write("1_a.up.sql", "DO $$ BEGIN EXECUTE E'SELECT ''\\x1b[2J\\r##[add-mask]x'', none'; END $$;\n");
    told_safely(|| setup.job("upgrade head"), 5);
}

/// A file's name was printed by every command, and in `--sql` a line break in it began a command of psql's.
#[test]
fn what_a_files_name_says_is_text() {
    let setup = Setup::with(&[("1_ok.up.sql", "SELECT 1;"), (&format!("2_{FILE}.up.sql"), "SELECT 2;")]);
    told_safely(|| setup.job("upgrade head --plan"), 0);
    setup.job("upgrade 1").run().ok();
    told_safely(|| setup.job("current --check"), 9);
    let told = setup.job("upgrade head").run();
    assert_safe(&told.ok().raw_stdout);
    told_safely(|| setup.job("history"), 0);
    told_safely(|| setup.job("downgrade base"), 2);
    setup.directory.write(&format!("2_{FILE}.up.sql"), "SELECT 3;");
    told_safely(|| setup.job("upgrade head"), 7);
    told_safely(|| setup.job("stamp current --plan"), 0);
    setup.directory.remove(&format!("2_{FILE}.up.sql"));
    setup.directory.write("3_ok.up.sql", "SELECT 3;");
    told_safely(|| setup.job("upgrade head"), 7);
    told_safely(|| setup.job("current"), 0);
    setup.directory.write(&format!("x{FILE}.sql"), "SELECT none;");
    told_safely(|| setup.job("current"), 0);
    setup.directory.write(&format!("9x{FILE}.sql"), "SELECT none;");
    told_safely(|| setup.job("upgrade head"), 2);
}

#[test]
fn a_script_for_psql_has_no_command_from_a_name() {
    let name = "2_a\n\\! touch taken\n\\echo \\033[2J'quoted'\x1b.up.sql";
    let setup = Setup::with(&[("1_ok.up.sql", "SELECT 1;"), (name, "SELECT 2;")]);
    let script = setup.job("upgrade --sql base:head").run();
    let echo = r"\echo 'applying 2 (a\\n\\! touch taken\\n\\echo \\033[2J''quoted''\\u{1b})'";
    assert!(script.ok().raw_stdout.lines().any(|line| line == echo), "{}", script.raw_stdout);
    let at_starts = |line: &&str| line.starts_with("\\!") || line.starts_with("\\echo \\0");
    // The description as it is goes into the table, within a literal.
    let outside: Vec<_> = script.raw_stdout.lines().filter(at_starts).collect();
    assert!(outside.len() <= 2, "{outside:?}");
    fs::write(setup.directory.path().join("script.sql"), &script.raw_stdout).unwrap();
    let mut psql = crate::support::tool("psql", &setup.database.name);
    let psql = psql.args(["-X", "-v", "ON_ERROR_STOP=1", "-f", "script.sql"]);
    let ran = psql.current_dir(setup.directory.path()).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert!(!setup.directory.path().join("taken").exists());
    assert!(
        String::from_utf8_lossy(&ran.stdout)
            .contains(r"applying 2 (a\n\! touch taken\n\echo \033[2J'quoted'\u{1b})")
    );
    assert_eq!(setup.database.versions(), [1, 2]);
}

/// A role, a database, a schema: whoever may make one has named it.
#[test]
fn what_is_called_something_hostile_is_shown_safely() {
    let database = Database::called("\x1b[2J\n::add-mask::x");
    let directory = Directory::with(&[("1_a.up.sql", "SELECT 1;")]);
    // A role that authenticates with a password has no control characters in its name.
    let role = format!("{} ##[add-mask]x", std::process::id());
    database.execute(&format!("CREATE ROLE {} LOGIN PASSWORD 'x'", quoted(&role)));
    let job = |words: &str| {
        let job = Job::new(words).within(&directory).on(&database);
        job.env("POSTGRES_USER", &role).env("POSTGRES_PASSWORD", "x")
    };
    let told = told_safely(|| job("upgrade head"), 8);
    assert!(told.stderr.contains(r"GRANT CREATE ON SCHEMA"), "{}", told.stderr);
    let schema = quoted("\x1b[2J\n::add-mask::x ##[add-mask]x");
    database.execute(&format!("CREATE SCHEMA {schema} AUTHORIZATION {}", quoted(&role)));
    database.execute(&format!("ALTER ROLE {} SET search_path = {schema}", quoted(&role)));
    told_safely(|| job("upgrade head"), 0);
    told_safely(|| job("current"), 0);
    database.execute(&format!("DROP SCHEMA {schema} CASCADE; DROP ROLE {}", quoted(&role)));
}

/// An `application_name` is ASCII, which is enough for `##[add-mask]`; a query may hold anything.
#[test]
fn what_a_blocker_says_is_text() {
    let setup = Setup::with(&[("1_a.up.sql", "ALTER TABLE held ADD COLUMN b int;")]);
    setup.database.execute("CREATE TABLE held (a int)");
    let mut blocker = setup.database.connection();
    setup.database.block_on(async {
        for sql in [
            "SET application_name = '::x:: ##[add-mask]x'",
            "BEGIN",
            "SELECT a AS \"\x1b[2J\r\n::add-mask::x ##[add-mask]x\u{9b}\u{202e}\" FROM held",
        ] {
            sqlx::raw_sql(sql).execute(&mut blocker).await.unwrap();
        }
    });
    let told = told_safely(|| setup.job("upgrade head").env("LOCK_TIMEOUT", "2s"), 4);
    assert!(told.stderr.contains(r"application \u{3a}:x:: #\u{23}[add-mask]x"), "{}", told.stderr);
}

/// What was typed is told back.
#[test]
fn what_an_argument_says_is_text() {
    let setup = Setup::with(&[("1_a.up.sql", "SELECT 1;")]);
    for words in [
        ["upgrade", "--\x1b[2J\r##[add-mask]x"],
        ["\x1b[2J\n::add-mask::x", "head"],
        ["upgrade", "no\x1b[2J\n::x::"],
    ] {
        told_safely(|| words.iter().fold(setup.job(""), |job, word| job.word(word)), 2);
    }
    told_safely(|| setup.job("upgrade head").env("MIGRATIONS_DIR", "no\x1b[2J\n::add-mask::x"), 2);
    told_safely(|| setup.job("upgrade head").env("LOCK_TIMEOUT", "no\x1b[2J\n::add-mask::x"), 2);
    let version = setup.job("--version").env("RUN_MIGRATIONS_VERSION", "\x1b[2J\n::add-mask::x").run();
    assert_safe(&version.ok().raw_stdout);
}
