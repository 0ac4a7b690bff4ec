//! Which owners are trusted with what runs with our role's rights: those as whom nobody can act but who can act as
//! ours anyway. That ours is a member of a role says nothing for it: others may be members too, and a role that may log
//! in acts for itself.
//!
//! So is the database's owner, who rules over everything in it, and whoever can act as that one, unless ours, or a role
//! that ours is a member of, has rights that reach beyond the owner's databases and the owner has not: those of a role
//! attribute, of one of the server's own roles, of ADMIN OPTION on other roles, or on something in another database.
//! Such an owner could have our role's password changed, so that what it may elsewhere counts too.

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
), owning (role) AS (
    SELECT datdba FROM pg_database WHERE datname = current_database()
    UNION SELECT m.member FROM membership m JOIN owning ON m.role = owning.role WHERE m.may_become
), owners (role) AS (
    SELECT datdba FROM pg_database WHERE datname = current_database()
    UNION SELECT m.role FROM membership m JOIN owners ON m.member = owners.role
), theirs (creates_roles, creates_databases, replicates, bypasses_policies) AS (
    SELECT bool_or(rolcreaterole), bool_or(rolcreatedb), bool_or(rolreplication), bool_or(rolbypassrls)
      FROM pg_roles JOIN owners ON role = oid
), served (role) AS (
    SELECT owning.role FROM owning, theirs
     WHERE NOT EXISTS (
           SELECT FROM mine JOIN pg_roles r ON r.oid = mine.role
            WHERE r.oid NOT IN (SELECT role FROM owners)
              AND (r.oid < 16384 OR r.rolsuper OR r.rolcreaterole > creates_roles OR r.rolcreatedb > creates_databases
                   OR r.rolreplication > replicates OR r.rolbypassrls > bypasses_policies
                   OR EXISTS (SELECT FROM membership m WHERE m.member = r.oid AND m.may_give)
                   OR EXISTS (SELECT FROM pg_shdepend s
                               WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = r.oid
                                 AND CASE WHEN s.classid = 'pg_database'::regclass THEN s.objid ELSE s.dbid END NOT IN (
                                     SELECT oid FROM pg_database WHERE datdba IN (SELECT role FROM owners)))))
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
