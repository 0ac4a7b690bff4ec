//! A table of ours, or what is found under its name.

use crate::postgres::NOT_ORDINARY;
use crate::postgres::sql::{PROGRESS, quoted_identifier, quoted_literal};
use migration_core::BOOKKEEPING;

/// What is said of one that is no longer what was looked at.
const CHANGED: &str = "it has been changed or replaced since this run looked at it";

/// A relation, what the role may do with it, and what speaks against doing so.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(super) oid: u32,
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(super) owner: String,
    pub(super) is_trusted: bool,
    pub(super) may_use_schema: bool,
    pub(crate) may_select: bool,
    /// Which of the rights to read and write it lacks, for a GRANT.
    pub(super) lacks: String,
    pub(crate) may_create: bool,
    pub(super) columns: Vec<Column>,
    /// Why it had better not be read.
    pub(super) reading: Option<String>,
    /// Why it had better not be written to.
    pub(super) writing: Option<String>,
}

/// A column, and its type by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: u32,
}

impl Table {
    pub(crate) fn new_in(schema: &str) -> Self {
        Self { schema: schema.to_owned(), name: BOOKKEEPING.to_owned(), is_trusted: true, ..Self::default() }
    }

    pub(crate) fn qualified(&self) -> String {
        format!("{}.{}", quoted_identifier(&self.schema), quoted_identifier(&self.name))
    }

    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }

    pub(crate) fn progress(&self) -> String {
        format!("{}.{}", quoted_identifier(&self.schema), quoted_identifier(PROGRESS))
    }

    pub(super) fn unreadable(&self, user: &str) -> Option<String> {
        let (table, role) = (self.qualified(), quoted_identifier(user));
        let schema = quoted_identifier(&self.schema);
        if !self.may_use_schema {
            let what = format!(
                "role {role} may not use schema {schema}, which is on its search path and holds {}",
                self.name
            );
            return Some(if self.is_trusted {
                format!("{what}; grant it with: GRANT USAGE ON SCHEMA {schema} TO {role}")
            } else {
                let owner = quoted_identifier(&self.owner);
                format!(
                    "{what}, a table of role {owner}; the schema's owner can grant USAGE if the role is meant to use it; \
                     else take the schema off the path"
                )
            });
        }
        if let Some(problem) = &self.reading {
            return Some(self.unusable(problem));
        }
        if self.may_select {
            return None;
        }
        Some(match self.granted("SELECT", user) {
            Some(grant) => format!("role {role} may not read {table}; grant it with: {grant}"),
            None => format!(
                "role {role} may not read {table}: it lacks SELECT, which the table's owner, role {}, can grant if the role \
                 is meant to read it",
                quoted_identifier(&self.owner)
            ),
        })
    }

    pub(crate) fn unwritable(&self, user: &str) -> Option<String> {
        if let Some(problem) = self.distrusted(user) {
            return Some(problem);
        }
        let (table, role) = (self.qualified(), quoted_identifier(user));
        let grant = self.granted(&self.lacks, user)?;
        let what = if self.may_select { "write to" } else { "read and write to" };
        (!self.lacks.is_empty())
            .then(|| format!("role {role} may not {what} {table}; grant it with: {grant}"))
    }

    /// What makes it a table that can't be trusted with what is written to it.
    pub(crate) fn distrusted(&self, user: &str) -> Option<String> {
        match (&self.reading, &self.writing) {
            // It says what to do.
            (None, Some(problem)) if problem.starts_with("its schema ") => {
                Some(format!("{} can't be used: {problem}", self.qualified()))
            }
            (Some(problem), _) => Some(self.unusable(problem)),
            (None, Some(problem)) if self.is_trusted => Some(self.unusable(problem)),
            (None, Some(problem)) => Some(self.somebody_else_s(problem, user)),
            (None, None) => None,
        }
    }

    /// Something about the table itself is in the way. It may hold the database's history: nobody is told to drop that.
    fn unusable(&self, problem: &str) -> String {
        let table = self.qualified();
        let has_more = problem.starts_with("it has ");
        match (self.is_trusted, has_more) {
            (true, true) => format!(
                "{table} can't be used: {problem}; take that off the table, which is to be as the job makes it"
            ),
            (true, false) => format!(
                "{table} can't be used: {problem}; change that, or rename it if it is not the history of this database"
            ),
            (false, _) => format!(
                "{table} can't be used: {problem}; its owner, role {}, can change that; if nobody knows what it is, rename it",
                quoted_identifier(&self.owner)
            ),
        }
    }

    /// Anybody who may create in the schema can have made it, and it may as well be the history of another service.
    fn somebody_else_s(&self, problem: &str, user: &str) -> String {
        let (table, owner) = (self.qualified(), quoted_identifier(&self.owner));
        format!(
            "{table} can't be used: {problem}; if it holds the history of this service, run as role {owner} or, where that \
             is a group, with ALTER ROLE {user} SET role = {owner}; if nobody knows what it is, rename it",
            user = quoted_identifier(user),
        )
    }

    /// The right to paste, on a table that is known to be what it seems.
    fn granted(&self, rights: &str, user: &str) -> Option<String> {
        let grant = format!("GRANT {rights} ON {} TO {}", self.qualified(), quoted_identifier(user));
        self.is_trusted.then_some(grant)
    }

    /// The command that keeps triggers, rules and foreign keys from being hung on it until the transaction ends. It
    /// takes no snapshot, so that a script that begins after it may still choose its isolation level; and whatever
    /// snapshot is taken after it shows all that was hung on the table before.
    pub(crate) fn lock_to_write(&self) -> String {
        format!("LOCK TABLE ONLY {} IN ROW EXCLUSIVE MODE", self.qualified())
    }

    /// SQL that makes sure, in a transaction that is about to write to it, that it still is the table that was
    /// looked at, and that nobody has hung a trigger on it since, or will before the end of the transaction.
    pub(crate) fn unchanged(&self) -> [String; 2] {
        let name = quoted_literal(&self.qualified());
        [
            self.lock_to_write(),
            format!(
                "SELECT CASE WHEN to_regclass({name})::oid = {oid} \
                 AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = {oid}) THEN 1 \
                 ELSE concat('{NOT_ORDINARY}', '{CHANGED}')::int END",
                oid = self.oid,
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Table {
        Table {
            owner: "mallory".to_owned(),
            may_use_schema: true,
            may_select: true,
            is_trusted: false,
            ..Table::new_in("public")
        }
    }

    #[test]
    fn what_is_in_order_is_used() {
        let table = Table { is_trusted: true, ..found() };
        assert_eq!((table.unreadable("app"), table.unwritable("app")), (None, None));
    }

    #[test]
    fn nobody_is_told_to_grant_rights_on_a_table_of_somebody_else_s() {
        let problem = |text: &str| Some(text.to_owned());
        for table in [
            Table { reading: problem("it is a view"), ..found() },
            Table { writing: problem("it belongs to role mallory"), ..found() },
            Table { may_use_schema: false, writing: problem("it belongs to role mallory"), ..found() },
            Table { may_select: false, writing: problem("it belongs to role mallory"), ..found() },
            Table { writing: problem("it belongs to role mallory"), ..found() },
        ] {
            let said = [table.unreadable("app"), table.unwritable("app")];
            assert!(said.iter().any(Option::is_some), "{table:?}");
            for said in said.iter().flatten() {
                assert!(!said.contains("GRANT"), "{said}");
                assert!(!said.to_lowercase().contains("drop it"), "{said}");
            }
        }
    }

    #[test]
    fn what_is_missing_on_a_known_table_is_named() {
        let lacks = "SELECT, INSERT, UPDATE, DELETE".to_owned();
        let table = Table { is_trusted: true, may_select: false, lacks, ..found() };
        let grant = "grant it with: GRANT SELECT ON \"public\".\"_sqlx_migrations\" TO \"app\"";
        assert!(table.unreadable("app").unwrap().ends_with(grant));
        assert_eq!(
            table.unwritable("app").unwrap(),
            "role \"app\" may not read and write to \"public\".\"_sqlx_migrations\"; grant it with: \
             GRANT SELECT, INSERT, UPDATE, DELETE ON \"public\".\"_sqlx_migrations\" TO \"app\""
        );
    }

    /// Dropping it, or making it one's own, takes its history from the service that it belongs to.
    #[test]
    fn who_only_reads_is_not_told_to_take_the_table_away() {
        let table = Table {
            may_select: false,
            writing: Some("it belongs to role mallory, which could have triggers run".to_owned()),
            ..found()
        };
        assert_eq!(
            table.unreadable("monitor").unwrap(),
            "role \"monitor\" may not read \"public\".\"_sqlx_migrations\": it lacks SELECT, which the table's owner, role \
             \"mallory\", can grant if the role is meant to read it"
        );
        let told = table.unwritable("app").unwrap();
        assert!(
            told.contains("; if it holds the history of this service, run as role \"mallory\" or, "),
            "{told}"
        );
    }

    #[test]
    fn what_is_hung_on_a_live_history_is_to_go_and_not_the_history() {
        let writing = Some("it has the trigger t, which could run anything".to_owned());
        let told = Table { is_trusted: true, writing, ..found() }.unwritable("app").unwrap();
        assert!(told.ends_with("; take that off the table, which is to be as the job makes it"), "{told}");
    }
}
