//! Who may own the bookkeeping table, and what may hang on it: nothing that could run code with rights that are not its own.

use crate::offline_sql::psql;
use crate::planted::{COLUMNS, SCRIPTS, as_role, is_untouched, with_mallory};
use crate::support::{Role, Setup, quoted};

/// A database, the role that migrates it, a role that owns things, and one that is up to something.
struct Cast {
    setup: Setup,
    app: Role,
    ops: Role,
    mallory: Role,
}

impl Cast {
    fn new() -> Self {
        let setup = Setup::with(SCRIPTS);
        let mallory = with_mallory(&setup);
        let (app, ops) = (setup.database.role("secret"), setup.database.role("secret"));
        let cast = Self { setup, app, ops, mallory };
        cast.execute("GRANT CREATE ON SCHEMA public TO APP, OPS");
        cast
    }

    fn named(&self, sql: &str) -> String {
        sql.replace("APP", &quoted(&self.app.name))
            .replace("OPS", &quoted(&self.ops.name))
            .replace("MALLORY", &quoted(&self.mallory.name))
            .replace("DATABASE", &format!("DATABASE {}", quoted(&self.setup.database.name)))
    }

    fn execute(&self, sql: &str) {
        self.setup.database.execute(&self.named(sql));
    }

    #[track_caller]
    fn refuses(&self, role: Option<&Role>, why: &str) {
        for words in ["upgrade head", "stamp head"] {
            let job = self.setup.job(words);
            let outcome = match role {
                Some(role) => job.role(role).run(),
                None => job.run(),
            };
            outcome.fails(8, "\"public\".\"_sqlx_migrations\" can't be used: it ");
            outcome.fails(8, why);
            assert!(!outcome.stderr.contains("GRANT"), "{}", outcome.stderr);
        }
        is_untouched(&self.setup);
    }
}

/// A bookkeeping table whose trigger does something with the rights of whoever writes to it.
fn trap() -> String {
    format!(
        "CREATE TABLE public._sqlx_migrations ({COLUMNS});
         CREATE FUNCTION public.plant() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN PERFORM nextval('public.intrusions'); RETURN NEW; END $$;
         CREATE TRIGGER t BEFORE INSERT ON public._sqlx_migrations FOR EACH ROW EXECUTE FUNCTION public.plant();
         GRANT ALL ON public._sqlx_migrations TO PUBLIC"
    )
}

/// Every role that ours is a member of was trusted, whoever else could act as that role.
#[test]
fn a_member_of_a_common_group_gets_nowhere() {
    for grants in [
        "ALTER ROLE OPS NOLOGIN; GRANT OPS TO APP; GRANT OPS TO MALLORY",
        "ALTER ROLE OPS NOLOGIN; GRANT OPS TO APP; GRANT OPS TO MALLORY; ALTER ROLE MALLORY NOLOGIN",
    ] {
        let cast = Cast::new();
        cast.execute(grants);
        as_role(&cast.setup, &cast.mallory, &cast.named(&format!("SET ROLE OPS; {}; RESET ROLE", trap())));
        println!("{grants}");
        cast.refuses(
            Some(&cast.app),
            ", and role DATABASE_role_1, which can act as that one, could have triggers run with the rights of role DATABASE_role_2; ",
        );
    }
}

/// PostgreSQL 16 makes a role with CREATEROLE a member of every role that it creates, with ADMIN OPTION: each of them
/// had its creator's rights by way of the table.
#[test]
fn a_tenant_does_not_act_for_its_creator() {
    for grants in [
        "GRANT OPS TO APP WITH ADMIN OPTION",
        "GRANT OPS TO APP WITH ADMIN OPTION; ALTER DATABASE OWNER TO OPS",
        "GRANT OPS TO APP",
    ] {
        let cast = Cast::new();
        cast.execute(grants);
        as_role(&cast.setup, &cast.ops, &trap());
        println!("{grants}");
        cast.refuses(
            Some(&cast.app),
            "it belongs to role DATABASE_role_3, which could have triggers run with the rights of role DATABASE_role_2; ",
        );
        // The database's owner has the schema `public`.
        if grants.contains("DATABASE") {
            cast.execute("ALTER SCHEMA public OWNER TO CURRENT_USER; GRANT ALL ON SCHEMA public TO APP");
        }
        cast.execute(
            "DROP TRIGGER t ON public._sqlx_migrations; ALTER TABLE public._sqlx_migrations OWNER TO APP",
        );
        cast.setup.job("upgrade head").role(&cast.app).run().ok();
        is_untouched(&cast.setup);
    }
}

/// A trigger has no owner in the catalog, and whoever has been granted TRIGGER can make one that calls nothing but what
/// is built in: `query_to_xml` ran any text with the rights of whoever migrated, superusers included.
#[test]
fn nothing_that_is_hung_on_the_table_runs_whatever_it_calls() {
    let evil = "query_to_xml('SELECT public.evil()', true, false, '') IS NOT NULL";
    for (hang, part) in [
        (
            format!(
                "CREATE TRIGGER t BEFORE INSERT OR UPDATE OR DELETE ON public._sqlx_migrations FOR EACH STATEMENT \
                 WHEN ({evil}) EXECUTE FUNCTION suppress_redundant_updates_trigger()"
            ),
            "the trigger t",
        ),
        (format!("ALTER TABLE public._sqlx_migrations ADD CONSTRAINT c CHECK ({evil})"), "the constraint c"),
        (
            format!("ALTER TABLE public._sqlx_migrations ADD more bool DEFAULT ({evil})"),
            "a default for column more",
        ),
        (
            "CREATE DOMAIN public.d AS bool; ALTER TABLE public._sqlx_migrations ADD more public.d".to_owned(),
            "column more of a type that is not built in",
        ),
        (
            "CREATE INDEX i ON public._sqlx_migrations (lower(description))".to_owned(),
            "the index i",
        ),
        ("CREATE INDEX i ON public._sqlx_migrations (version) WHERE success".to_owned(), "the index i"),
        (
            "CREATE STATISTICS public.s ON (version + 1), success FROM public._sqlx_migrations".to_owned(),
            "the statistics s",
        ),
        (
            format!(
                "CREATE POLICY p ON public._sqlx_migrations USING ({evil}); \
                 ALTER TABLE public._sqlx_migrations ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"
            ),
            "the policy p",
        ),
        (
            "ALTER TABLE public._sqlx_migrations ADD x int GENERATED ALWAYS AS (public.evil()) STORED".to_owned(),
            "a default for column x",
        ),
        (
            "ALTER TABLE public._sqlx_migrations ADD CONSTRAINT e EXCLUDE USING btree ((public.evil()) WITH =)".to_owned(),
            "the constraint e",
        ),
        ("CREATE RULE r AS ON DELETE TO public._sqlx_migrations DO ALSO NOTHING".to_owned(), "the rule r"),
    ] {
        let cast = Cast::new();
        cast.setup.job("upgrade 1").role(&cast.app).run().ok();
        cast.setup.database.execute(
            "CREATE FUNCTION public.evil() RETURNS int IMMUTABLE LANGUAGE plpgsql AS
               $$ BEGIN PERFORM nextval('public.intrusions'); RETURN 1; END $$",
        );
        let grants = "GRANT ALL ON public._sqlx_migrations TO MALLORY; GRANT USAGE ON public.intrusions TO PUBLIC";
        cast.execute(grants);
        if hang.starts_with("CREATE TRIGGER") {
            as_role(&cast.setup, &cast.mallory, &hang);
        } else {
            cast.execute(&hang);
        }
        cast.execute("ALTER SEQUENCE public.intrusions RESTART");
        println!("{hang}");
        cast.refuses(Some(&cast.app), &format!("can't be used: it has {part}, which could run anything with the rights of"));
        let done = psql(&cast.setup.directory, "upgrade --sql 1:head", &cast.setup.database);
        assert_eq!(done.code, Some(3), "{}", done.stderr);
        is_untouched(&cast.setup);
    }
}

/// As whom nobody can act but who could have had their way without the table.
#[test]
fn a_table_of_a_role_that_stands_for_ours_is_used() {
    for grants in [
        "ALTER ROLE OPS NOLOGIN; GRANT OPS TO APP",
        "ALTER ROLE OPS NOLOGIN; GRANT OPS TO APP WITH ADMIN OPTION; GRANT OPS TO CURRENT_USER",
        "ALTER ROLE OPS NOLOGIN; ALTER ROLE MALLORY NOLOGIN; GRANT OPS TO MALLORY; GRANT MALLORY TO APP",
        "GRANT APP TO OPS",
        "ALTER ROLE OPS SUPERUSER",
        "ALTER ROLE OPS NOLOGIN; GRANT OPS TO APP; GRANT APP TO MALLORY; GRANT OPS TO MALLORY",
        // Ours works for the database's owner.
        "ALTER DATABASE OWNER TO OPS; GRANT OPS TO APP",
        "ALTER ROLE OPS NOLOGIN; GRANT OPS TO APP; GRANT OPS TO MALLORY; ALTER DATABASE OWNER TO OPS",
        "ALTER DATABASE OWNER TO OPS; GRANT OPS TO APP; GRANT pg_monitor TO OPS; GRANT pg_monitor TO APP",
        "ALTER DATABASE OWNER TO APP",
    ] {
        let cast = Cast::new();
        cast.setup.job("upgrade 1").run().ok();
        cast.execute(grants);
        let owner = if grants.ends_with("OWNER TO APP") { "pg_database_owner" } else { "OPS" };
        cast.execute(&format!(
            "GRANT ALL ON public._sqlx_migrations TO APP; ALTER TABLE public._sqlx_migrations OWNER TO {owner}"
        ));
        println!("{grants}");
        cast.setup.job("upgrade head").role(&cast.app).run().ok();
    }
}

/// The usual set-up of a managed server: one role owns the database, another one migrates it.
#[test]
fn the_database_s_owner_may_own_the_bookkeeping() {
    // One of several databases of the same owner and role, too.
    for grants in ["", "GRANT OPS TO APP", "GRANT MALLORY TO APP", "ALTER DATABASE ELSEWHERE OWNER TO OPS"] {
        let cast = Cast::new();
        let elsewhere = Setup::with(SCRIPTS);
        let other = quoted(&elsewhere.database.name);
        let grants = grants.replace("DATABASE ELSEWHERE", &format!("database {other}"));
        if grants.contains("database") {
            elsewhere.database.execute(&cast.named(&format!("GRANT CREATE ON database {other} TO APP")));
        }
        cast.setup.job("upgrade 1").run().ok();
        cast.execute(
            "ALTER DATABASE OWNER TO OPS; GRANT ALL ON public._sqlx_migrations TO APP;
             ALTER TABLE public._sqlx_migrations OWNER TO OPS",
        );
        cast.execute(&grants);
        cast.setup.job("upgrade head").role(&cast.app).run().ok();
    }
}

/// The database's owner was trusted by everybody, superusers included.
#[test]
fn the_database_s_owner_is_not_trusted_with_rights_beyond_the_database() {
    for grants in [
        "GRANT OPS TO MALLORY; ALTER ROLE APP CREATEDB",
        "GRANT OPS TO APP; ALTER ROLE APP CREATEROLE",
        "GRANT OPS TO APP; GRANT pg_write_server_files TO APP",
        // By way of a group.
        "ALTER ROLE VAULT NOLOGIN SUPERUSER; GRANT VAULT TO APP",
        "ALTER ROLE VAULT NOLOGIN CREATEROLE; GRANT VAULT TO APP",
        "ALTER ROLE VAULT NOLOGIN; GRANT MALLORY TO VAULT WITH ADMIN OPTION; GRANT VAULT TO APP",
        // Whoever gives our role another password may then log in there.
        "ALTER DATABASE ELSEWHERE OWNER TO APP",
        "ALTER ROLE VAULT NOLOGIN; GRANT CREATE ON DATABASE ELSEWHERE TO VAULT; GRANT VAULT TO APP",
    ] {
        let cast = Cast::new();
        let vault = cast.setup.database.role("secret");
        let elsewhere = Setup::with(SCRIPTS);
        let grants = grants
            .replace("DATABASE ELSEWHERE", &format!("database {}", quoted(&elsewhere.database.name)))
            .replace("VAULT", &quoted(&vault.name));
        cast.setup.job("upgrade 1").run().ok();
        cast.execute(
            "ALTER DATABASE OWNER TO OPS; GRANT ALL ON public._sqlx_migrations TO APP;
             ALTER TABLE public._sqlx_migrations OWNER TO OPS",
        );
        cast.execute(&grants);
        println!("{grants}");
        cast.refuses(Some(&cast.app), "it belongs to role DATABASE_role_3, ");
        cast.refuses(
            None,
            "it belongs to role DATABASE_role_3, which could have triggers run with the rights of role ",
        );
        // For itself it works, of course.
        if !grants.contains("TO MALLORY") {
            cast.setup.job("upgrade head").role(&cast.ops).run().ok();
        }
    }
}

/// An empty table was left behind, for somebody to wonder about, and the plan did not say so.
#[test]
fn no_table_is_made_where_it_could_not_be_trusted() {
    let cast = Cast::new();
    cast.execute("ALTER DATABASE OWNER TO OPS");
    let problem = "\"public\".\"_sqlx_migrations\" can't be used: its schema public belongs to role pg_database_owner, and ";
    cast.setup.job("upgrade head").run().fails(8, problem);
    assert!(cast.setup.job("upgrade head --plan").run().ok().stderr.contains(problem));
    assert!(cast.setup.database.value::<bool>("SELECT to_regclass('public._sqlx_migrations') IS NULL"));
    // It works for whoever the schema belongs to.
    cast.setup.job("upgrade head").role(&cast.ops).run().ok();
}
