//! YAML that people write, so that all of its mistakes can be told at once, each with its place. serde_yaml knows the
//! place of the mistake it stops at, and of no other: a document is read whole, into nodes, and where a node stands is
//! found by reading once more up to there.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

#[derive(Debug, Clone)]
pub struct Node<'a> {
    yaml: &'a str,
    /// The way to it from the root: an index in a list, in a map twice that for a key, and one more for its value.
    path: Vec<usize>,
    pub content: Content<'a>,
}

#[derive(Debug, Clone)]
pub enum Content<'a> {
    Nothing,
    Bool(bool),
    Number(u64),
    Text(String),
    List(Vec<Node<'a>>),
    /// In the order they were written; a key may be there twice.
    Map(Vec<(Node<'a>, Node<'a>)>),
    /// A fraction, or a number below zero.
    Other,
}

/// Reads a document. What is no YAML is an error with its place.
pub fn parse(yaml: &str) -> anyhow::Result<Node<'_>> {
    let root = Seed { yaml, path: Vec::new() };
    Ok(root.deserialize(serde_yaml::Deserializer::from_str(yaml))?)
}

impl Node<'_> {
    /// `line 2 column 5`
    pub fn place(&self) -> String {
        let stopped = StopAt(&self.path).deserialize(serde_yaml::Deserializer::from_str(self.yaml));
        let location = stopped.err().and_then(|error| error.location());
        location.map_or_else(
            || "a place that is not known".to_owned(),
            |location| format!("line {} column {}", location.line(), location.column()),
        )
    }
}

/// The values of a map, each taken once.
#[derive(Debug, Default)]
pub struct Section<'a>(BTreeMap<&'static str, Node<'a>>);

impl<'a> Section<'a> {
    /// Takes the keys that are known; what is wrong with the others, or with the node, is told.
    pub fn read(node: Node<'a>, keys: &[&'static str], mut mistake: impl FnMut(&Node<'a>, String)) -> Self {
        let mut values = BTreeMap::new();
        let entries = match node.content {
            Content::Map(entries) => entries,
            Content::Nothing => Vec::new(),
            _ => {
                mistake(&node, format!("here are settings expected, some of {}", keys.join(", ")));
                Vec::new()
            }
        };
        for (key, value) in entries {
            let name = match &key.content {
                Content::Text(name) => name.as_str(),
                _ => "",
            };
            match keys.iter().find(|known| **known == name) {
                None => mistake(&key, format!("unknown key `{name}`, expected one of {}", keys.join(", "))),
                Some(known) if values.contains_key(known) => {
                    mistake(&key, format!("`{known}` is there twice"));
                }
                Some(known) => {
                    values.insert(*known, value);
                }
            }
        }
        Self(values)
    }

    /// What was given for a key; a key without a value counts as missing.
    pub fn take(&mut self, key: &str) -> Option<Node<'a>> {
        self.0.remove(key).filter(|node| !matches!(node.content, Content::Nothing))
    }
}

struct Seed<'a> {
    yaml: &'a str,
    path: Vec<usize>,
}

impl<'a> Seed<'a> {
    fn below(&self, step: usize) -> Self {
        let path = self.path.iter().copied().chain([step]).collect();
        Self { yaml: self.yaml, path }
    }

    fn node(self, content: Content<'a>) -> Node<'a> {
        Node { yaml: self.yaml, path: self.path, content }
    }
}

impl<'de, 'a> DeserializeSeed<'de> for Seed<'a> {
    type Value = Node<'a>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node<'a>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, 'a> Visitor<'de> for Seed<'a> {
    type Value = Node<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a number, true or false, a list or a map")
    }

    fn visit_none<E: Error>(self) -> Result<Node<'a>, E> {
        Ok(self.node(Content::Nothing))
    }

    fn visit_unit<E: Error>(self) -> Result<Node<'a>, E> {
        Ok(self.node(Content::Nothing))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node<'a>, E> {
        Ok(self.node(Content::Bool(value)))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Node<'a>, E> {
        Ok(self.node(Content::Number(number)))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Node<'a>, E> {
        Ok(self.node(Content::Other))
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<Node<'a>, E> {
        Ok(self.node(Content::Other))
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<Node<'a>, E> {
        Ok(self.node(Content::Other))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Node<'a>, E> {
        Ok(self.node(Content::Other))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node<'a>, E> {
        Ok(self.node(Content::Text(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node<'a>, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element_seed(self.below(nodes.len()))? {
            nodes.push(node);
        }
        Ok(self.node(Content::List(nodes)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node<'a>, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key_seed(self.below(2 * entries.len()))? {
            let value = map.next_value_seed(self.below(2 * entries.len() + 1))?;
            entries.push((key, value));
        }
        Ok(self.node(Content::Map(entries)))
    }
}

/// Fails at the end of a path, of which the error then knows the place.
struct StopAt<'p>(&'p [usize]);

impl<'de> DeserializeSeed<'de> for StopAt<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Whatever is not visited here fails by itself.
impl<'de> Visitor<'de> for StopAt<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if let Some((step, rest)) = self.0.split_first() {
            for _ in 0..*step {
                list.next_element::<IgnoredAny>()?;
            }
            list.next_element_seed(StopAt(rest))?;
        }
        Err(Error::custom("here"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if let Some((step, rest)) = self.0.split_first() {
            for _ in 0..step / 2 {
                map.next_entry::<IgnoredAny, IgnoredAny>()?;
            }
            if step % 2 == 0 {
                map.next_key_seed(StopAt(rest))?;
            }
            map.next_key::<IgnoredAny>()?;
            map.next_value_seed(StopAt(rest))?;
        }
        Err(Error::custom("here"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all<'a>(node: Node<'a>, found: &mut Vec<(String, String)>) {
        let place = node.place();
        let mut say = |text: String| found.push((place.clone(), text));
        match node.content {
            Content::Nothing => say("nothing".to_owned()),
            Content::Bool(value) => say(value.to_string()),
            Content::Number(number) => say(number.to_string()),
            Content::Text(text) => say(format!("{text:?}")),
            Content::Other => say("other".to_owned()),
            Content::List(nodes) => {
                say("list".to_owned());
                nodes.into_iter().for_each(|node| all(node, found));
            }
            Content::Map(entries) => {
                say("map".to_owned());
                for (key, value) in entries {
                    all(key, found);
                    all(value, found);
                }
            }
        }
    }

    #[test]
    fn every_node_knows_its_place() {
        let yaml = "# ours\na: true\nb:\n  - 1\n  - {c: d, c: '5'}\ne:\nf: -1\n";
        let mut found = Vec::new();
        all(parse(yaml).unwrap(), &mut found);
        let found: Vec<_> = found.iter().map(|(place, text)| format!("{text} at {place}")).collect();
        assert_eq!(
            found,
            [
                "map at line 2 column 1",
                "\"a\" at line 2 column 1",
                "true at line 2 column 4",
                "\"b\" at line 3 column 1",
                "list at line 4 column 3",
                "1 at line 4 column 5",
                "map at line 5 column 5",
                "\"c\" at line 5 column 6",
                "\"d\" at line 5 column 9",
                "\"c\" at line 5 column 12",
                "\"5\" at line 5 column 15",
                "\"e\" at line 6 column 1",
                "nothing at line 6 column 3",
                "\"f\" at line 7 column 1",
                "other at line 7 column 4",
            ]
        );
    }

    #[test]
    fn what_is_no_yaml_is_told_with_its_place() {
        for (yaml, expected) in [
            ("a: [1\nb: 2\n", "at line 2 column 2"),
            ("a: b: c\n", "at line 1 column 5"),
            ("a: 1\n---\nb: 2\n", "more than one document"),
        ] {
            let error = parse(yaml).unwrap_err().to_string();
            assert!(error.contains(expected), "{yaml}: {error}");
        }
        for yaml in ["", "# nothing but a comment\n", "null\n"] {
            assert!(matches!(parse(yaml).unwrap().content, Content::Nothing), "{yaml}");
        }
    }

    #[test]
    fn known_keys_are_taken_and_all_others_told() {
        let read = |yaml| {
            let mut mistakes = Vec::new();
            let mut section = Section::read(parse(yaml).unwrap(), &["a", "b"], |node, text| {
                mistakes.push(format!("{text} at {}", node.place()));
            });
            (["a", "b"].map(|key| section.take(key).is_some()), mistakes)
        };
        for (yaml, there, told) in [
            ("", [false, false], &[][..]),
            ("a: 1\nb:\n", [true, false], &[]),
            (
                "c: 1\na: 2\na: 3\n5: 6\n",
                [true, false],
                &[
                    "unknown key `c`, expected one of a, b at line 1 column 1",
                    "`a` is there twice at line 3 column 1",
                    "unknown key ``, expected one of a, b at line 4 column 1",
                ],
            ),
            ("- a\n", [false, false], &["here are settings expected, some of a, b at line 1 column 1"]),
        ] {
            assert_eq!(read(yaml), (there, told.iter().map(|told| (*told).to_owned()).collect()), "{yaml}");
        }
    }
}
