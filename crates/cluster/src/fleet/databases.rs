//! The file that names the databases: all of them, or all of its mistakes.

use std::collections::BTreeSet;

use anyhow::bail;

use workspace::yaml::{self, Content, Node, Section};

/// One database, and the Secret with the role and password for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Database {
    pub name: String,
    pub host: String,
    pub database: String,
    pub secret: String,
    /// That of the manifests, where it has none.
    pub port: Option<u16>,
}

const REQUIRED: [&str; 4] = ["name", "host", "database", "secretRef"];

const KEYS: [&str; 5] = ["name", "host", "database", "secretRef", "port"];

/// How many mistakes are told; a file of another kind has one in every line.
const MOST: usize = 20;

/// All of the file's databases, or all of its mistakes.
pub fn parse(yaml: &str, file: &str) -> anyhow::Result<Vec<Database>> {
    let mut mistakes = Mistakes::default();
    let databases = match yaml::parse(yaml) {
        Ok(root) => databases(root, &mut mistakes),
        Err(error) => {
            mistakes.0.push(error.to_string());
            Vec::new()
        }
    };
    if !mistakes.0.is_empty() {
        bail!("{file} can't be used: {}", mistakes.0.join("; "))
    }
    Ok(databases)
}

#[derive(Debug, Default)]
struct Mistakes(Vec<String>);

impl Mistakes {
    fn add(&mut self, node: &Node<'_>, what: impl std::fmt::Display) {
        if self.0.len() < MOST {
            self.0.push(format!("{what} at {}", node.place()));
        }
    }
}

fn databases(root: Node<'_>, mistakes: &mut Mistakes) -> Vec<Database> {
    let entries = match root.content {
        Content::List(ref entries) if entries.is_empty() => {
            mistakes.add(&root, "there is no database in it");
            return Vec::new();
        }
        Content::List(entries) => entries,
        _ => {
            mistakes.add(
                &root,
                format!("here is a list of databases expected, each with {}", REQUIRED.join(", ")),
            );
            return Vec::new();
        }
    };
    let mut names = BTreeSet::new();
    entries.into_iter().map(|entry| database(entry, &mut names, mistakes)).collect()
}

/// The names are those of the entries before.
fn database(entry: Node<'_>, names: &mut BTreeSet<String>, mistakes: &mut Mistakes) -> Database {
    let place = entry.clone();
    let is_map = matches!(entry.content, Content::Map(_));
    let mut section = Section::read(entry, &KEYS, |node, what| mistakes.add(node, what));
    let mut missing = Vec::new();
    let [name, host, database, secret] = REQUIRED.map(|key| match section.take(key) {
        Some(node) => text(key, &node, names, mistakes),
        None => {
            missing.push(key);
            String::new()
        }
    });
    if is_map && !missing.is_empty() {
        mistakes.add(&place, format!("missing {}", missing.join(", ")));
    }
    let port = section.take("port").and_then(|node| port(&node, mistakes));
    Database { name, host, database, secret, port }
}

fn port(node: &Node<'_>, mistakes: &mut Mistakes) -> Option<u16> {
    let port = match node.content {
        Content::Number(number) => u16::try_from(number).ok().filter(|port| *port > 0),
        _ => None,
    };
    if port.is_none() {
        mistakes.add(node, "invalid port; expected a number from 1 to 65535");
    }
    port
}

fn text(key: &str, node: &Node<'_>, names: &mut BTreeSet<String>, mistakes: &mut Mistakes) -> String {
    let Content::Text(text) = &node.content else {
        mistakes.add(node, format!("{key} must be a string; quote it if it looks like something else"));
        return String::new();
    };
    if let Err(mistake) = check(key, text) {
        mistakes.add(node, mistake);
    }
    if key == "name" && !names.insert(text.clone()) {
        mistakes.add(node, format!("the name {text} is there twice"));
    }
    text.clone()
}

fn check(key: &str, text: &str) -> Result<(), String> {
    let is_alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_name = |text: &str| {
        text.chars().all(|c| is_alphanumeric(c) || "-.".contains(c))
            && text.starts_with(is_alphanumeric)
            && text.ends_with(is_alphanumeric)
    };
    match key {
        _ if text.trim().is_empty() => Err(format!("{key} is empty")),
        // It becomes a label.
        "name" if text.len() > 63 || !is_name(text) => Err(format!(
            "name {text:?} is not one: up to 63 of a-z, 0-9, `-` and `.`, the first and last no sign"
        )),
        "secretRef" if text.len() > 253 || !is_name(text) => {
            Err(format!("secretRef {text:?} is not a valid name of a Secret"))
        }
        "host" if text.contains(char::is_whitespace) => Err(format!("invalid host {text:?}")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# ours\n- {name: a, host: db.internal, database: shop, secretRef: shop-a}\n- name: b.eu\n  host: 10.0.0.1\n  \
         database: Shop 2\n  secretRef: shop-b\n  port: 6432\n";

    #[test]
    fn databases_are_read() {
        let databases = parse(GOOD, "databases.yaml").unwrap();
        let names: Vec<_> = databases.iter().map(|database| database.name.as_str()).collect();
        assert_eq!(names, ["a", "b.eu"]);
        let last = &databases[1];
        assert_eq!([last.host.as_str(), &last.database, &last.secret], ["10.0.0.1", "Shop 2", "shop-b"]);
        assert_eq!((databases[0].port, last.port), (None, Some(6432)));
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        for (yaml, expected) in [
            (
                "- name: a\n  hots: x\n  database: 5\n  secretRef: {name: s}\n- name: A\n  host: h\n  database: d\n  \
                 secretRef: s\n- {name: b, host: h, database: d, secretRef: s}\n- {name: b, host: '', database: d, secretRef: S}\n",
                &[
                    "unknown key `hots`, expected one of name, host, database, secretRef, port at line 2 column 3",
                    "database must be a string; quote it if it looks like something else at line 3 column 13",
                    "secretRef must be a string; quote it if it looks like something else at line 4 column 14",
                    "missing host at line 1 column 3",
                    "name \"A\" is not one: up to 63 of a-z, 0-9, `-` and `.`, the first and last no sign at line 5 column 9",
                    "the name b is there twice at line 10 column 10",
                    "host is empty at line 10 column 19",
                    "secretRef \"S\" is not a valid name of a Secret at line 10 column 47",
                ][..],
            ),
            (
                "- {name: a, host: h, database: d, secretRef: s, port: 0}\n- {name: b, host: h, database: d, secretRef: s, port: x}\n",
                &[
                    "invalid port; expected a number from 1 to 65535 at line 1 column 55",
                    "65535 at line 2 column 55",
                ],
            ),
            ("[]", &["there is no database in it"]),
            ("- {name: a\n", &["did not find expected"]),
            (
                "- a\n",
                &[
                    "here are settings expected, some of name, host, database, secretRef, port at line 1 column 3",
                ],
            ),
            ("- {name: a, host: , database: d, secretRef: s}\n", &["missing host at line 1 column 3"]),
            (
                "a: 1\n",
                &[
                    "here is a list of databases expected, each with name, host, database, secretRef at line 1 column 1",
                ],
            ),
            ("5\n", &["here is a list of databases expected"]),
            ("- {name: a, name: b, host: h, database: d, secretRef: s}", &["`name` is there twice"]),
        ] {
            let error = parse(yaml, "databases.yaml").unwrap_err().to_string();
            assert!(error.starts_with("databases.yaml can't be used: "), "{error}");
            for part in expected {
                assert!(error.contains(part), "{part:?} is not in {error}");
            }
        }
    }

    #[test]
    fn a_file_of_another_kind_is_not_quoted_whole() {
        let yaml = "- {a: 1}\n".repeat(500);
        let error = parse(&yaml, "x").unwrap_err().to_string();
        assert_eq!(error.matches("; ").count(), MOST - 1, "{error}");
    }
}
