//! Where the history of the database is kept, as every report says it.

use migration_core::Bookkeeping;

use crate::postgres::DatabaseInfo;
use crate::postgres::sql::quoted_identifier;

impl DatabaseInfo {
    /// For a command that only reads.
    pub(crate) fn found_bookkeeping(&self) -> Bookkeeping {
        match &self.bookkeeping {
            Some(table) => Bookkeeping::Found { bookkeeping: table.qualified() },
            None => Bookkeeping::Missing {
                bookkeeping: (),
                search_path: self.search_path.clone(),
                next: elsewhere(self).map(|elsewhere| format!("{elsewhere}; {}", repoint(self))),
            },
        }
    }

    /// For a command that creates it where there is none.
    pub(crate) fn planned_bookkeeping(&self) -> Bookkeeping {
        match (&self.bookkeeping, self.home()) {
            (None, Some(home)) => {
                Bookkeeping::Planned { bookkeeping: home.qualified(), search_path: self.search_path.clone() }
            }
            _ => self.found_bookkeeping(),
        }
    }
}

/// That there are tables of its name which the role's path does not reach; whose they are is not known.
pub(crate) fn elsewhere(info: &DatabaseInfo) -> Option<String> {
    const SHOWN: usize = 3;
    let (first, rest) = info.elsewhere.split_first()?;
    let schemas = match rest {
        [] => format!("there is one in schema {}", quoted_identifier(first)),
        rest => {
            let named = std::iter::once(first).chain(rest).take(SHOWN);
            let named = named.map(|schema| quoted_identifier(schema)).collect::<Vec<_>>().join(", ");
            let more = if info.elsewhere.len() > SHOWN { " and more" } else { "" };
            format!("there are some in the schemas {named}{more}")
        }
    };
    Some(format!("{schemas}, not on that path"))
}

/// How the role comes to look elsewhere. Which schema is right is for a person to say: anybody may have made a table.
pub(crate) fn repoint(info: &DatabaseInfo) -> String {
    format!(
        "if the history of this service is in another schema, make the role look there: \
         ALTER ROLE {} IN DATABASE {} SET search_path = THAT_SCHEMA",
        quoted_identifier(&info.user),
        quoted_identifier(&info.database)
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What a role sees that finds no table.
    pub(crate) fn info(elsewhere: &[&str]) -> DatabaseInfo {
        DatabaseInfo {
            database: "shop".to_owned(),
            user: "monitor".to_owned(),
            schema: Some("public".to_owned()),
            search_path: "\"$user\", public".to_owned(),
            elsewhere: elsewhere.iter().map(|&schema| schema.to_owned()).collect(),
            ..DatabaseInfo::default()
        }
    }

    #[test]
    fn of_many_tables_a_few_are_named() {
        for (schemas, told) in [
            (&["a", "b"][..], "there are some in the schemas \"a\", \"b\", not on that path"),
            (
                &["a", "b", "c", "d"],
                "there are some in the schemas \"a\", \"b\", \"c\" and more, not on that path",
            ),
        ] {
            assert_eq!(elsewhere(&info(schemas)).unwrap(), told);
        }
        assert_eq!(elsewhere(&info(&[])), None);
    }
}
