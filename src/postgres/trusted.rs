//! Which owners are trusted with what runs with our role's rights: those as whom nobody can act but who can act as
//! ours anyway. That ours is a member of a role says nothing for it: others may be members too, and a role that may log
//! in acts for itself.
//!
//! One more is trusted: the database's owner, who rules over everything in it, unless ours has rights that reach beyond
//! the database and the owner has not: a superuser's, those of a role attribute, of one of the server's own roles, or of
//! ADMIN OPTION on other roles.

/// Common table expressions of a recursive query. `trusted` are the roles that may own what is called; `stranger`
/// pairs all others with whoever can act as them.
///
/// What acts is a role that may log in, or one without members, which may be meant to. A membership counts against a
/// role in whatever form, and for one only if it lets its holder take the role on: `set_option` is new in PostgreSQL 16.
pub(super) const TRUSTED: &str = "\
membership (role, member, may_become, may_give) AS (
    SELECT roleid, member, admin_option OR coalesce((to_jsonb(m) ->> 'set_option')::bool, true), admin_option
      FROM pg_auth_members m
    UNION ALL
    SELECT r.oid, d.datdba, true, false FROM pg_roles r, pg_database d
     WHERE r.rolname = 'pg_database_owner' AND d.datname = current_database()
), mine (role) AS (
    SELECT oid FROM pg_roles WHERE rolname = current_user
    UNION SELECT m.role FROM membership m JOIN mine ON m.member = mine.role
), able (role) AS (
    SELECT oid FROM pg_roles WHERE rolsuper OR rolname = current_user
    UNION SELECT m.member FROM membership m JOIN able ON m.role = able.role WHERE m.may_become
), owners (role) AS (
    SELECT datdba FROM pg_database WHERE datname = current_database()
    UNION SELECT m.role FROM membership m JOIN owners ON m.member = owners.role
), served (role) AS (
    SELECT o.oid
      FROM pg_database d JOIN pg_roles o ON o.oid = d.datdba JOIN pg_roles s ON s.rolname = current_user
     WHERE d.datname = current_database()
       AND NOT s.rolsuper AND s.rolcreaterole <= o.rolcreaterole AND s.rolcreatedb <= o.rolcreatedb
       AND s.rolreplication <= o.rolreplication AND s.rolbypassrls <= o.rolbypassrls
       AND NOT EXISTS (SELECT FROM mine WHERE role < 16384 AND role NOT IN (SELECT role FROM owners))
       AND NOT EXISTS (SELECT FROM membership m WHERE m.member = s.oid AND m.may_give)
), acting (role, actor) AS (
    SELECT oid, oid FROM pg_roles
    UNION SELECT a.role, m.member FROM acting a JOIN membership m ON m.role = a.actor
), stranger (role, actor) AS (
    SELECT a.role, a.actor FROM acting a JOIN pg_roles r ON r.oid = a.actor
     WHERE (r.rolcanlogin OR a.actor NOT IN (SELECT role FROM membership))
       AND a.actor NOT IN (SELECT role FROM able) AND a.actor NOT IN (SELECT role FROM served)
       AND a.role NOT IN (SELECT role FROM able)
), trusted (oid) AS (
    SELECT oid FROM pg_roles WHERE oid NOT IN (SELECT role FROM stranger)
)";
