//! A table under the bookkeeping's name may be anybody's who may create in the schema: it is looked at before it is
//! used, and what hangs on it never runs with the rights of the migrating role.

use std::time::Duration;

use crate::offline_sql::psql;
use crate::support::{Outcome, Relay, Role, Setup, Then, quoted, until};

pub(crate) const SCRIPTS: &[(&str, &str)] =
    &[("1_a.up.sql", "CREATE TABLE a ();"), ("2_b.up.sql", "CREATE TABLE b ();")];

pub(crate) const COLUMNS: &str = "version bigint PRIMARY KEY, description text NOT NULL, installed_on timestamptz NOT NULL DEFAULT now(), \
                       success boolean NOT NULL, checksum bytea NOT NULL, execution_time bigint NOT NULL";

/// A role that may create in `public`, with functions that tell of their use by a number that no rollback reverts.
pub(crate) fn with_mallory(setup: &Setup) -> Role {
    let mallory = setup.database.role("secret");
    let name = quoted(&mallory.name);
    setup.database.execute(&format!("GRANT CREATE, USAGE ON SCHEMA public TO {name}"));
    as_role(
        setup,
        &mallory,
        "CREATE SEQUENCE public.intrusions; GRANT ALL ON SEQUENCE public.intrusions TO PUBLIC;
         CREATE FUNCTION public.intrude(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
           $$ BEGIN PERFORM nextval('public.intrusions'); RETURN $1; END $$;
         CREATE FUNCTION public.intrude() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN PERFORM nextval('public.intrusions'); RETURN NEW; END $$",
    );
    mallory
}

pub(crate) fn as_role(setup: &Setup, role: &Role, sql: &str) {
    setup.database.execute(&format!("SET SESSION AUTHORIZATION {}", quoted(&role.name)));
    setup.database.execute(sql);
    setup.database.execute("RESET SESSION AUTHORIZATION");
}

#[track_caller]
pub(crate) fn is_untouched(setup: &Setup) {
    assert!(
        !setup.database.value::<bool>("SELECT is_called FROM public.intrusions"),
        "something of mallory's ran"
    );
}

#[track_caller]
fn refused(setup: &Setup, outcome: &Outcome, why: &str) {
    outcome.fails(8, "error: \"public\".\"_sqlx_migrations\" can't be used: it");
    outcome.fails(8, why);
    for word in ["GRANT", "DROP TABLE", "drop it"] {
        assert!(!outcome.stderr.contains(word), "{}", outcome.stderr);
    }
    is_untouched(setup);
    assert!(!setup.database.has("public.b"));
}

/// What was read from it ran with the rights of whoever asked: in `current`, too.
#[test]
fn what_is_not_an_ordinary_table_is_not_read() {
    let row = "1::bigint AS version, 'a'::text AS description, now() AS installed_on, true AS success, \
               '\\x'::bytea AS checksum, public.intrude(1)::bigint AS execution_time";
    for (plant, why) in [
        (format!("CREATE VIEW _sqlx_migrations AS SELECT {row}"), "but a view"),
        (format!("CREATE MATERIALIZED VIEW _sqlx_migrations AS SELECT {row} WITH NO DATA"), "but a materialized view"),
        (format!("CREATE TABLE _sqlx_migrations ({COLUMNS}) PARTITION BY RANGE (version)"), "but a partitioned table"),
        ("CREATE SEQUENCE _sqlx_migrations".to_owned(), "but something else"),
        ("CREATE TABLE _sqlx_migrations ()".to_owned(), "its columns are not the expected ones"),
        (
            format!(
                "CREATE TABLE _sqlx_migrations ({COLUMNS}); CREATE TABLE child () INHERITS (_sqlx_migrations)"
            ),
            "is a part of an inheritance tree",
        ),
        (
            "CREATE DOMAIN d AS bigint CHECK (public.intrude(VALUE::int) > 0);
             CREATE TABLE _sqlx_migrations (version d, description text, installed_on timestamptz, success bool, \
             checksum bytea, execution_time bigint)"
                .to_owned(),
            "its columns are not the expected ones",
        ),
    ] {
        let setup = Setup::with(SCRIPTS);
        let mallory = with_mallory(&setup);
        as_role(&setup, &mallory, &plant);
        // Creating may have called it.
        setup.database.execute("ALTER SEQUENCE public.intrusions RESTART");
        for words in ["current", "history", "upgrade head --plan", "upgrade head", "stamp head", "resolve --done"] {
            println!("{plant}: {words}");
            refused(&setup, &setup.job(words).run(), why);
        }
        let done = psql(&setup.directory, "upgrade --sql base:head", &setup.database);
        assert!(done.code == Some(3) && done.stderr.contains(why), "{}", done.stderr);
        is_untouched(&setup);
    }
}

/// An ordinary table runs nothing when it is read; what would run when it is written to is its owner's.
#[test]
fn a_stranger_s_table_is_read_and_never_written_to() {
    let setup = Setup::with(SCRIPTS);
    let mallory = with_mallory(&setup);
    as_role(
        &setup,
        &mallory,
        &format!(
            "CREATE TABLE _sqlx_migrations ({COLUMNS}, more int DEFAULT public.intrude(1));
             CREATE TRIGGER t BEFORE INSERT ON _sqlx_migrations FOR EACH ROW EXECUTE FUNCTION public.intrude()"
        ),
    );
    for words in ["current", "history"] {
        let outcome = setup.job(words).run();
        assert!(
            outcome
                .ok()
                .stderr
                .contains("would be refused: \"public\".\"_sqlx_migrations\" can't be used: it ")
        );
    }
    // It could say that everything is applied.
    for words in ["upgrade head", "upgrade base", "stamp head", "resolve --done", "current --check"] {
        let outcome = setup.job(words).run();
        refused(
            &setup,
            &outcome,
            "it belongs to role DATABASE_role_1, which could have triggers run with the rights of role ",
        );
        outcome.fails(8, "; if it holds the history of this service, run as role \"DATABASE_role_1\" or, ");
    }
    let done = psql(&setup.directory, "upgrade --sql base:head", &setup.database);
    assert!(done.code == Some(3) && done.stderr.contains("it belongs to role "), "{}", done.stderr);
    is_untouched(&setup);
    // Made ours, it is still not what it should be.
    setup.database.execute("ALTER TABLE _sqlx_migrations OWNER TO CURRENT_USER");
    setup.job("upgrade head").run().fails(8, "can't be used: it has a default for column more, which ");
    setup
        .database
        .execute("DROP TRIGGER t ON _sqlx_migrations; ALTER TABLE _sqlx_migrations DROP COLUMN more");
    setup.job("upgrade head").run().ok();
    is_untouched(&setup);
}

/// A table of the progress table's name was written to, with whatever hung on it.
#[test]
fn a_planted_progress_table_is_refused_before_a_script_begins() {
    let setup = Setup::with(&[("1_a.up.sql", "-- no-transaction\nCREATE TABLE b ();\nVACUUM b;")]);
    let mallory = with_mallory(&setup);
    as_role(
        &setup,
        &mallory,
        "CREATE TABLE _run_migrations_progress (version BIGINT NOT NULL, statement INT PRIMARY KEY, checksum BYTEA NOT NULL,
           index_existed BOOLEAN NOT NULL, started_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(), finished_at TIMESTAMPTZ);
         CREATE TRIGGER t BEFORE DELETE ON _run_migrations_progress EXECUTE FUNCTION public.intrude()",
    );
    let outcome = setup.job("upgrade head").run();
    outcome.fails(8, "error: \"public\".\"_run_migrations_progress\" can't be used: it belongs to role ");
    is_untouched(&setup);
    assert!(!setup.database.has("b"));
    // Not at the last moment either.
    setup.database.execute("DROP TABLE _run_migrations_progress");
    let relay = Relay::up_to("CREATE TABLE IF NOT EXISTS", Then::Late(Duration::from_millis(1500)));
    let job = setup.job("upgrade head").env("POSTGRES_PORT", &relay.port.to_string());
    let job = job.env("POSTGRES_HOST", "127.0.0.1").start();
    until("the job is about to make the table", || relay.has_ended());
    as_role(
        &setup,
        &mallory,
        "CREATE VIEW _run_migrations_progress AS SELECT public.intrude(1)::bigint AS version, 1 AS statement",
    );
    let outcome = job.wait();
    assert_ne!(outcome.code, Some(0), "{}", outcome.stderr);
    is_untouched(&setup);
    assert!(!setup.database.has("b"));
    setup.database.execute("DROP VIEW _run_migrations_progress");
    setup.job("upgrade head").run().ok();
    is_untouched(&setup);
}

fn late(setup: &Setup, words: &str, at: &'static str) -> (Relay, crate::support::Running) {
    let relay = Relay::up_to(at, Then::Late(Duration::from_millis(1500)));
    let job = setup.job(words).env("POSTGRES_HOST", "127.0.0.1");
    let job = job.env("POSTGRES_PORT", &relay.port.to_string()).start();
    until("the job has said it", || relay.has_ended());
    (relay, job)
}

/// What was looked at is what is read.
#[test]
fn a_table_that_is_swapped_for_a_view_between_look_and_read_is_noticed() {
    let setup = Setup::with(SCRIPTS);
    setup.job("upgrade 1").run().ok();
    let mallory = with_mallory(&setup);
    let (_relay, job) = late(&setup, "current", "COPY \"public\"");
    setup.database.execute("ALTER TABLE _sqlx_migrations RENAME TO old");
    as_role(
        &setup,
        &mallory,
        "CREATE VIEW _sqlx_migrations AS SELECT 1::bigint AS version, 'a'::text AS description, now() AS installed_on, \
         true AS success, ''::bytea AS checksum, public.intrude(1)::bigint AS execution_time",
    );
    job.wait().fails(8, "reading the bookkeeping: cannot copy from view \"_sqlx_migrations\"");
    is_untouched(&setup);
}

#[test]
fn a_table_that_appears_when_ours_is_about_to_be_made_is_not_taken_for_it() {
    let setup = Setup::with(SCRIPTS);
    let mallory = with_mallory(&setup);
    let (_relay, job) = late(&setup, "upgrade head", "CREATE TABLE \"public\"");
    as_role(
        &setup,
        &mallory,
        &format!(
            "CREATE TABLE _sqlx_migrations ({COLUMNS});
             CREATE TRIGGER t BEFORE INSERT ON _sqlx_migrations FOR EACH ROW EXECUTE FUNCTION public.intrude()"
        ),
    );
    job.wait().fails(8, "creating the bookkeeping table: relation \"_sqlx_migrations\" already exists");
    is_untouched(&setup);
}

/// Who has TRIGGER on the table, as GRANT ALL gives it, can wait until it was looked at. A snapshot that is older than
/// the trigger did not show it in the end.
#[test]
fn a_trigger_that_is_hung_on_the_table_during_the_run_does_not_fire() {
    let slow = "SELECT pg_sleep(1.5);\nCREATE TABLE b ();";
    let level = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;\n";
    for (script, default) in [
        (slow.to_owned(), "read committed"),
        (format!("{level}{slow}"), "read committed"),
        (slow.to_owned(), "repeatable read"),
        (format!("-- no-transaction\n{slow}"), "read committed"),
        (format!("-- no-transaction\n{slow}"), "serializable"),
    ] {
        let setup = Setup::with(&[("1_a.up.sql", "CREATE TABLE a ();"), ("2_b.up.sql", &script)]);
        setup.job("upgrade 1").run().ok();
        let mallory = with_mallory(&setup);
        setup.database.execute(&format!(
            "GRANT ALL ON _sqlx_migrations TO {}; ALTER DATABASE {} SET default_transaction_isolation = '{default}'",
            quoted(&mallory.name),
            quoted(&setup.database.name)
        ));
        let job = setup.job("upgrade head").start();
        until("the job sleeps", || setup.database.is_sleeping());
        // Where the script has a transaction, this waits for its end.
        as_role(
            &setup,
            &mallory,
            "CREATE TRIGGER t BEFORE INSERT OR UPDATE ON _sqlx_migrations EXECUTE FUNCTION public.intrude()",
        );
        let outcome = job.wait();
        if script.starts_with("-- no") {
            outcome.fails(6, "its bookkeeping: what is called so is not our table: it has been changed or replaced since this run looked at it");
        } else {
            outcome.ok();
            setup.job("stamp 1").run().fails(8, "can't be used: it has the trigger t, which could ");
        }
        is_untouched(&setup);
        assert!(setup.database.has("b"));
    }
}

/// REFERENCES, which GRANT ALL gives too, is enough for a foreign key whose action takes rows of the stranger's own
/// table away, and so has the triggers on that one run with our rights.
#[test]
fn a_foreign_key_of_a_stranger_s_table_is_refused() {
    let setup = Setup::with(SCRIPTS);
    setup.directory.write("1_a.down.sql", "DROP TABLE a;");
    setup.directory.write("2_b.down.sql", "DROP TABLE b;");
    setup.job("upgrade 1").run().ok();
    let mallory = with_mallory(&setup);
    setup.database.execute(&format!("GRANT ALL ON _sqlx_migrations TO {}", quoted(&mallory.name)));
    as_role(
        &setup,
        &mallory,
        "CREATE TABLE public.spy (version bigint REFERENCES _sqlx_migrations ON DELETE CASCADE);
         INSERT INTO public.spy VALUES (1);
         CREATE CONSTRAINT TRIGGER t AFTER DELETE ON public.spy DEFERRABLE INITIALLY DEFERRED
           FOR EACH ROW EXECUTE FUNCTION public.intrude()",
    );
    for words in ["downgrade base", "stamp base", "upgrade head"] {
        refused(
            &setup,
            &setup.job(words).run(),
            "it is what the foreign key spy_version_fkey of table public.spy refers to",
        );
    }
    let done = psql(&setup.directory, "downgrade --sql 1:base", &setup.database);
    assert!(done.code == Some(3) && done.stderr.contains("the foreign key"), "{}", done.stderr);
    is_untouched(&setup);
}

/// A function that tells of its use by others than its owner.
fn with_trap(setup: &Setup, mallory: &Role) {
    as_role(
        setup,
        mallory,
        "CREATE FUNCTION public.trap() RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS
           $$ BEGIN IF current_user NOT LIKE 'test%' THEN PERFORM nextval('public.intrusions'); END IF;
              RETURN 1; END $$",
    );
}

/// The planner computes what is constant in the expression of an index, which can be made between look and read: the
/// lock to read with does not keep it out.
#[test]
fn an_index_that_is_made_between_look_and_read_is_not_computed() {
    let setup = Setup::with(SCRIPTS);
    let mallory = with_mallory(&setup);
    with_trap(&setup, &mallory);
    as_role(&setup, &mallory, &format!("CREATE TABLE _sqlx_migrations ({COLUMNS})"));
    let (_relay, job) = late(&setup, "current", "COPY \"public\"");
    as_role(
        &setup,
        &mallory,
        "CREATE INDEX i ON _sqlx_migrations ((public.trap())) WHERE version > public.trap()",
    );
    let outcome = job.wait();
    assert!(outcome.ok().stdout.starts_with("base\n"), "{}", outcome.stdout);
    setup.database.execute("ALTER SEQUENCE public.intrusions RESTART");
    setup.job("history").run().ok();
    is_untouched(&setup);
}

/// Whoever owns a schema can give another one its name while we look, lock and read one after the other.
#[test]
fn a_schema_that_is_swapped_for_another_between_look_and_read_is_noticed() {
    let setup = Setup::with(SCRIPTS);
    let mallory = with_mallory(&setup);
    let name = quoted(&mallory.name);
    setup.database.execute(&format!(
        "CREATE SCHEMA s AUTHORIZATION {name}; CREATE SCHEMA t AUTHORIZATION {name}; GRANT CREATE ON DATABASE {database} TO {name};
         ALTER DATABASE {database} SET search_path = s",
        database = quoted(&setup.database.name)
    ));
    as_role(
        &setup,
        &mallory,
        &format!(
            "CREATE TABLE s._sqlx_migrations ({COLUMNS});
             CREATE VIEW t._sqlx_migrations AS SELECT 1::bigint AS version, 'a'::text AS description, now() AS installed_on, \
             true AS success, ''::bytea AS checksum, public.intrude(1)::bigint AS execution_time"
        ),
    );
    let (_relay, job) = late(&setup, "current", "COPY \"s\"");
    as_role(&setup, &mallory, "ALTER SCHEMA s RENAME TO hidden; ALTER SCHEMA t RENAME TO s");
    job.wait().fails(8, "reading the bookkeeping: cannot copy from view \"_sqlx_migrations\"");
    is_untouched(&setup);
}

/// The owner of a schema can drop what others have in it, and put something else there.
#[test]
fn nothing_is_written_to_a_table_in_a_stranger_s_schema() {
    let setup = Setup::with(SCRIPTS);
    let mallory = with_mallory(&setup);
    setup.database.execute(&format!(
        "CREATE SCHEMA s AUTHORIZATION {}; ALTER DATABASE {} SET search_path = s; CREATE TABLE s._sqlx_migrations ({COLUMNS})",
        quoted(&mallory.name),
        quoted(&setup.database.name)
    ));
    setup.job("current").run().ok();
    for words in ["upgrade head", "stamp head"] {
        let outcome = setup.job(words).run();
        outcome.fails(
            8,
            "its schema s belongs to role DATABASE_role_1, which could put another table in its place; ",
        );
        outcome.fails(8, "have that changed with: ALTER SCHEMA s OWNER TO postgres");
    }
    let done = psql(&setup.directory, "upgrade --sql base:head", &setup.database);
    assert!(done.code == Some(3) && done.stderr.contains("its schema s belongs to role "), "{}", done.stderr);
    setup.database.execute("ALTER SCHEMA s OWNER TO CURRENT_USER");
    setup.job("upgrade head").run().ok();
    is_untouched(&setup);
}
