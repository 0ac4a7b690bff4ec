//! Whose names the server looks for, and where. Whoever may create in a schema on the role's search
//! path can put a function or an operator there that is taken for a built-in one, so our own statements
//! run on a path of ours; a script runs on the role's.
//!
//! `SET` and `RESET` look nothing up. What has to run on the role's path is qualified throughout.

/// Nothing but what only a superuser can change. `pg_temp` is named so that it comes last.
macro_rules! ours {
    () => {
        "search_path = pg_catalog, pg_temp"
    };
}

/// Goes to our path.
pub(crate) const OURS: &str = concat!("SET ", ours!());

/// The same, until the transaction ends.
pub(crate) const OURS_FOR_NOW: &str = concat!("SET LOCAL ", ours!());

/// The path that the session began with, until the transaction ends.
pub(crate) const ROLES_OWN_FOR_NOW: &str = "SET LOCAL search_path TO DEFAULT";

/// Keeps the role's own path for the script that begins.
pub(crate) const KEEP_ROLES_OWN: &str = concat!(
    "\
SET LOCAL search_path TO DEFAULT;
SELECT pg_catalog.set_config('run_migrations.search_path', pg_catalog.current_setting('search_path'), false);
SET LOCAL ",
    ours!()
);

/// Gives a script the path back that it had after its last statement.
pub(crate) const SCRIPTS: &str = "\
SELECT pg_catalog.set_config('search_path', pg_catalog.current_setting('run_migrations.search_path'), false)";

/// Keeps the path that a statement of a script has left, and goes back to ours.
pub(crate) const SCRIPTS_NO_MORE: &str = concat!(
    "\
SELECT pg_catalog.set_config('run_migrations.search_path', pg_catalog.current_setting('search_path'), false);
SET ",
    ours!()
);

/// Notes what an unqualified name can mean to the role, and goes to our path until the transaction ends.
pub(super) const LEARN: &str = concat!(
    "\
SET LOCAL search_path TO DEFAULT;
SELECT pg_catalog.set_config('run_migrations.schemas', pg_catalog.current_schemas(false)::pg_catalog.text, true),
       pg_catalog.set_config('run_migrations.search_path', pg_catalog.current_setting('search_path'), true);
SET LOCAL ",
    ours!()
);

/// Where a name in a script is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScriptPath {
    /// No statement of the script has run yet, or none that changes its path.
    RolesOwn,
    /// Some of its statements have run in this session.
    Kept,
}

impl ScriptPath {
    /// The command that goes there until the transaction ends.
    pub(super) fn go(self) -> &'static str {
        match self {
            Self::RolesOwn => ROLES_OWN_FOR_NOW,
            Self::Kept => {
                "SELECT pg_catalog.set_config('search_path', \
                 pg_catalog.current_setting('run_migrations.search_path'), true)"
            }
        }
    }
}
