//! The file that names the databases. serde_yaml knows the place of the mistake it stops at, and of no other; so the file
//! is read once for each mistake, and every reading passes over those that are known.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;

use anyhow::bail;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// One database, and the Secret with the role and password for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Database {
    pub(crate) name: String,
    pub(crate) host: String,
    pub(crate) database: String,
    pub(crate) secret: String,
    /// That of the manifests, where it has none.
    pub(crate) port: Option<u16>,
}

/// How many mistakes are told; a file of another kind has one in every line.
const MOST: usize = 20;

/// All of the file's databases, or all of its mistakes.
pub(crate) fn parse(yaml: &str, file: &str) -> anyhow::Result<Vec<Database>> {
    let mut mistakes = Vec::new();
    while mistakes.len() < MOST {
        let reading = Reading { left: Cell::new(mistakes.len()) };
        match Databases(&reading).deserialize(serde_yaml::Deserializer::from_str(yaml)) {
            Ok(databases) if mistakes.is_empty() => return Ok(databases),
            Ok(_) => break,
            Err(error) => {
                let is_known = mistakes.contains(&error.to_string());
                mistakes.push(error.to_string());
                // What is no YAML ends every reading at the same place.
                if is_known {
                    mistakes.pop();
                    break;
                }
            }
        }
    }
    bail!("{file} can't be used: {}", mistakes.join("; "))
}

/// One reading: how many mistakes are passed over before the one it stops at.
struct Reading {
    left: Cell<usize>,
}

impl Reading {
    fn mistake<E: Error>(&self, text: impl fmt::Display) -> Result<(), E> {
        match self.left.get().checked_sub(1) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(E::custom(text)),
        }
    }
}

struct Databases<'a>(&'a Reading);

impl<'de> DeserializeSeed<'de> for Databases<'_> {
    type Value = Vec<Database>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Databases<'_> {
    type Value = Vec<Database>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a list of databases, each with name, host, database and secretRef, and a port where it differs"
        )
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let names = Cell::new(BTreeSet::new());
        let mut databases = Vec::new();
        while let Some(database) = sequence.next_element_seed(Entry { reading: self.0, names: &names })? {
            databases.push(database);
        }
        if databases.is_empty() {
            self.0.mistake("there is no database in it")?;
        }
        Ok(databases)
    }
}

struct Entry<'a> {
    reading: &'a Reading,
    /// Those of the entries before.
    names: &'a Cell<BTreeSet<String>>,
}

const KEYS: [&str; 5] = ["name", "host", "database", "secretRef", "port"];

/// So many of them have to be there.
const REQUIRED: usize = 4;

impl<'de> DeserializeSeed<'de> for Entry<'_> {
    type Value = Database;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Database, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Entry<'_> {
    type Value = Database;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a database with name, host, database and secretRef")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Database, A::Error> {
        let mut found: [Option<String>; KEYS.len()] = Default::default();
        while let Some(key) = map.next_key_seed(Key { reading: self.reading, found: &found })? {
            let Some(index) = key else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let text = map.next_value_seed(Text { reading: self.reading, index, names: self.names })?;
            found[index] = Some(text);
        }
        let missing: Vec<_> = KEYS
            .iter()
            .zip(&found)
            .take(REQUIRED)
            .filter(|(_, value)| value.is_none())
            .map(|(key, _)| *key)
            .collect();
        if !missing.is_empty() {
            self.reading.mistake(format!("missing {}", missing.join(", ")))?;
        }
        let port = found[REQUIRED].as_deref().and_then(|port| port.parse().ok());
        let [name, host, database, secret, _] = found.map(Option::unwrap_or_default);
        Ok(Database { name, host, database, secret, port })
    }
}

/// The place of a key among `KEYS`; nothing for one that is passed over.
struct Key<'a> {
    reading: &'a Reading,
    found: &'a [Option<String>; KEYS.len()],
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "one of {}", KEYS.join(", "))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let index = KEYS.iter().position(|key| *key == text);
        match index {
            None => {
                self.reading.mistake(format!("unknown key `{text}`, expected one of {}", KEYS.join(", ")))?;
            }
            Some(index) if self.found[index].is_some() => {
                self.reading.mistake(format!("`{text}` is there twice"))?;
            }
            Some(_) => {}
        }
        Ok(index)
    }
}

struct Text<'a> {
    reading: &'a Reading,
    index: usize,
    names: &'a Cell<BTreeSet<String>>,
}

impl Text<'_> {
    fn check(&self, text: &str) -> Result<(), String> {
        let key = KEYS[self.index];
        let is_alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let is_name = |text: &str, inner: &str| {
            text.chars().all(|c| is_alphanumeric(c) || inner.contains(c))
                && text.starts_with(is_alphanumeric)
                && text.ends_with(is_alphanumeric)
        };
        match key {
            _ if text.trim().is_empty() => return Err(format!("{key} is empty")),
            // It becomes a label.
            "name" if text.len() > 63 || !is_name(text, "-.") => {
                return Err(format!(
                    "name {text:?} is not one: up to 63 of a-z, 0-9, `-` and `.`, the first and last no sign"
                ));
            }
            "secretRef" if text.len() > 253 || !is_name(text, "-.") => {
                return Err(format!("secretRef {text:?} is no name a Secret can have"));
            }
            "port" if text.parse::<u16>().is_ok_and(|port| port > 0) => {}
            "port" => return Err(format!("port {text:?} is none; use a number from 1 to 65535")),
            "host" if text.contains(char::is_whitespace) => return Err(format!("host {text:?} is none")),
            _ => {}
        }
        let mut names = self.names.take();
        let is_new = key != "name" || names.insert(text.to_owned());
        self.names.set(names);
        if is_new { Ok(()) } else { Err(format!("the name {text} is there twice")) }
    }

    /// Only a port is one.
    fn number<E: Error>(self, text: &str) -> Result<String, E> {
        if KEYS[self.index] == "port" { self.visit_str(text) } else { self.no_text() }
    }

    fn no_text<E: Error>(&self) -> Result<String, E> {
        let key = KEYS[self.index];
        self.reading
            .mistake(format!("{key} is no text; put it in quotes if it looks like something else"))?;
        Ok(String::new())
    }
}

impl<'de> DeserializeSeed<'de> for Text<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Text<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        if let Err(mistake) = self.check(text) {
            self.reading.mistake(mistake)?;
        }
        Ok(text.to_owned())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<String, E> {
        self.no_text()
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<String, E> {
        self.number(&number.to_string())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<String, E> {
        self.number(&number.to_string())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<String, E> {
        self.no_text()
    }

    fn visit_unit<E: Error>(self) -> Result<String, E> {
        self.no_text()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<String, A::Error> {
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        self.no_text()
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<String, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        self.no_text()
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
                    "database is no text; put it in quotes if it looks like something else at line 3 column 13",
                    "secretRef is no text; put it in quotes if it looks like something else at line 4 column 14",
                    "missing host at line 1 column 3",
                    "name \"A\" is not one: up to 63 of a-z, 0-9, `-` and `.`, the first and last no sign at line 5 column 9",
                    "the name b is there twice at line 10 column 10",
                    "host is empty at line 10 column 19",
                    "secretRef \"S\" is no name a Secret can have at line 10 column 47",
                ][..],
            ),
            (
                "- {name: a, host: h, database: d, secretRef: s, port: 0}\n- {name: b, host: h, database: d, secretRef: s, port: -1}\n",
                &[
                    "port \"0\" is none; use a number from 1 to 65535 at line 1 column 54",
                    "port \"-1\" is none",
                ],
            ),
            ("[]", &["there is no database in it"]),
            ("- {name: a\n", &["did not find expected"]),
            ("a: 1\n", &["invalid type: map, expected a list of databases"]),
            ("5\n", &["invalid type: integer `5`, expected a list of databases"]),
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
