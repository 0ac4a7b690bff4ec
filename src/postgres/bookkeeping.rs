//! Where the history of the database is kept, as every report says it.

use std::fmt;

use foreign_text::one_line;
use serde::Serialize;

use crate::database::{Facts, quoted_identifier};

/// The bookkeeping table, or that there is none where the role looks. A database whose table lies elsewhere looks
/// like an empty one otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Bookkeeping {
    /// It is there.
    Found {
        /// The table, with its schema, quoted for SQL.
        bookkeeping: String,
    },
    /// None was found, and this run creates it, or would.
    Planned {
        /// The table, with its schema, quoted for SQL.
        bookkeeping: String,
        /// Where it was looked for.
        search_path: String,
    },
    /// None was found.
    Missing {
        /// Always `null`.
        bookkeeping: (),
        /// Where it was looked for.
        search_path: String,
        /// What to do if there should be one; only where there is one that it may be.
        #[serde(skip_serializing_if = "Option::is_none")]
        next: Option<String>,
    },
}

impl Bookkeeping {
    /// For a command that only reads.
    pub fn found(facts: &Facts) -> Self {
        match &facts.bookkeeping {
            Some(table) => Self::Found { bookkeeping: table.qualified() },
            None => Self::Missing {
                bookkeeping: (),
                search_path: facts.search_path.clone(),
                next: elsewhere(facts).map(|elsewhere| format!("{elsewhere}; {}", repoint(facts))),
            },
        }
    }

    /// For a command that creates it where there is none.
    pub fn planned(facts: &Facts) -> Self {
        match (&facts.bookkeeping, facts.home()) {
            (None, Some(home)) => {
                Self::Planned { bookkeeping: home.qualified(), search_path: facts.search_path.clone() }
            }
            _ => Self::found(facts),
        }
    }
}

impl fmt::Display for Bookkeeping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Found { bookkeeping } => write!(f, "bookkeeping: {}", one_line(bookkeeping)),
            Self::Planned { bookkeeping, search_path } => write!(
                f,
                "bookkeeping: {}, to be created: none was found on the search path ({})",
                one_line(bookkeeping),
                one_line(search_path)
            ),
            Self::Missing { search_path, next, .. } => {
                write!(f, "bookkeeping: none found on the search path ({})", one_line(search_path))?;
                next.as_ref().map_or(Ok(()), |next| write!(f, "; {}", one_line(next)))
            }
        }
    }
}

/// That there are tables of its name which the role's path does not reach; whose they are is not known.
pub fn elsewhere(facts: &Facts) -> Option<String> {
    const SHOWN: usize = 3;
    let (first, rest) = facts.elsewhere.split_first()?;
    let schemas = match rest {
        [] => format!("there is one in schema {}", quoted_identifier(first)),
        rest => {
            let named = std::iter::once(first).chain(rest).take(SHOWN);
            let named = named.map(|schema| quoted_identifier(schema)).collect::<Vec<_>>().join(", ");
            let more = if facts.elsewhere.len() > SHOWN { " and more" } else { "" };
            format!("there are some in the schemas {named}{more}")
        }
    };
    Some(format!("{schemas}, not on that path"))
}

/// How the role comes to look elsewhere. Which schema is right is for a person to say: anybody may have made a table.
pub fn repoint(facts: &Facts) -> String {
    format!(
        "if the history of this service is in another schema, make the role look there: \
         ALTER ROLE {} IN DATABASE {} SET search_path = THAT_SCHEMA",
        quoted_identifier(&facts.user),
        quoted_identifier(&facts.database)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Table;

    fn facts(elsewhere: &[&str]) -> Facts {
        Facts {
            database: "shop".to_owned(),
            user: "monitor".to_owned(),
            schema: Some("public".to_owned()),
            search_path: "\"$user\", public".to_owned(),
            elsewhere: elsewhere.iter().map(|&schema| schema.to_owned()).collect(),
            ..Facts::default()
        }
    }

    #[test]
    fn every_report_says_which_table_it_goes_by() {
        let none = "bookkeeping: none found on the search path (\"$user\", public)";
        assert_eq!(Bookkeeping::found(&facts(&[])).to_string(), none);
        assert_eq!(
            Bookkeeping::found(&facts(&["svc_a"])).to_string(),
            format!(
                "{none}; there is one in schema \"svc_a\", not on that path; if the history of this service is in \
                 another schema, make the role look there: ALTER ROLE \"monitor\" IN DATABASE \"shop\" SET search_path = \
                 THAT_SCHEMA"
            )
        );
        assert_eq!(
            Bookkeeping::planned(&facts(&[])).to_string(),
            "bookkeeping: \"public\".\"_sqlx_migrations\", to be created: none was found on the search path (\"$user\", public)"
        );
        let found = Facts { bookkeeping: Some(Table::new_in("s")), ..facts(&["t"]) };
        assert_eq!(Bookkeeping::planned(&found), Bookkeeping::found(&found));
        assert_eq!(Bookkeeping::found(&found).to_string(), "bookkeeping: \"s\".\"_sqlx_migrations\"");
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
            assert_eq!(elsewhere(&facts(schemas)).unwrap(), told);
        }
        assert_eq!(elsewhere(&facts(&[])), None);
    }

    #[test]
    fn in_json_a_missing_table_is_null() {
        let json = |bookkeeping| serde_json::to_value(bookkeeping).unwrap();
        assert_eq!(
            json(Bookkeeping::found(&facts(&[]))),
            serde_json::json!({"bookkeeping": null, "search_path": "\"$user\", public"})
        );
    }
}
