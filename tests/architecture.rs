//! The rules of the house: who may know whom. Read from the sources alone, so that it takes no server and no second.
//!
//! A file knows another one whose module, or an item of whose, it names by a path. That a module declares its children,
//! and offers their items as its own, is no such knowledge: whoever names such an item knows the child.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;

const CORE: &str = "crates/core/src/lib.rs";
const JOB: &str = "src/main.rs";

/// A file is one concept; this long, it is mostly two.
const LONGEST: usize = 400;

/// A path as it is written, segment by segment.
type Segments = Vec<String>;

#[derive(Default)]
struct Source {
    lines: usize,
    tokens: Vec<String>,
    /// Module by module, the files of its children.
    children: BTreeMap<String, String>,
    /// What the module offers as its own, and where it has it from.
    offers: HashMap<String, Segments>,
    /// What it names besides.
    names: Vec<Segments>,
}

/// By path from the root of the checkout.
struct House(BTreeMap<String, Source>);

impl House {
    fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
        let mut house = BTreeMap::new();
        let mut open = vec![CORE.to_owned(), JOB.to_owned()];
        while let Some(path) = open.pop() {
            let source = Source::of(&path, &read(&path), |path| root.join(path).exists());
            open.extend(source.children.values().cloned());
            house.insert(path, source);
        }
        Self(house)
    }

    /// The file that has what a path names, seen from a file.
    fn find(&self, from: &str, path: &[String]) -> Option<String> {
        let (mut at, mut rest) = match path.first()?.as_str() {
            "crate" if from.starts_with("crates/core/") => (CORE.to_owned(), &path[1..]),
            "crate" => (JOB.to_owned(), &path[1..]),
            "migration_core" => (CORE.to_owned(), &path[1..]),
            "self" => (from.to_owned(), &path[1..]),
            "super" => (self.parent(from)?, &path[1..]),
            _ => (from.to_owned(), path),
        };
        while let Some((name, more)) = rest.split_first() {
            let module = self.0.get(&at)?;
            if name == "super" {
                at = self.parent(&at)?;
            } else if let Some(child) = module.children.get(name) {
                at.clone_from(child);
            } else if let Some(offered) = module.offers.get(name) {
                return self.find(&at.clone(), offered);
            } else {
                break;
            }
            rest = more;
        }
        Some(at)
    }

    fn parent(&self, of: &str) -> Option<String> {
        let is_parent = |source: &Source| source.children.values().any(|child| child == of);
        self.0.iter().find(|(_, source)| is_parent(source)).map(|(path, _)| path.clone())
    }

    /// Which files each file knows.
    fn knowledge(&self) -> BTreeMap<&str, BTreeSet<String>> {
        let known = |(path, source): (&'static str, &Source)| {
            let files = source.names.iter().filter_map(|name| self.find(path, name));
            files.filter(|file| file != path).collect()
        };
        self.0.iter().map(|(path, source)| (path.as_str(), known((leaked(path), source)))).collect()
    }
}

fn leaked(text: &str) -> &'static str {
    text.to_owned().leak()
}

impl Source {
    fn of(path: &str, text: &str, exists: impl Fn(&str) -> bool) -> Self {
        // What its tests know is their own affair.
        let (code, after) = text.split_once("#[cfg(test)]\nmod tests {").unwrap_or((text, ""));
        let after = after.split_once("\n}\n").map_or("", |(_, after)| after);
        let tokens = tokens(&[code, after].concat());
        let stem = path.trim_end_matches(".rs").trim_end_matches("/main").trim_end_matches("/lib");
        let mut source = Self { lines: text.lines().count(), ..Self::default() };
        for words in tokens.windows(3) {
            let file = format!("{stem}/{}.rs", words[1]);
            if words[0] == "mod" && words[2] == ";" && exists(&file) {
                source.children.insert(words[1].clone(), file);
            }
        }
        let mut at = 0;
        while at < tokens.len() {
            let is_path = tokens.get(at + 1).is_some_and(|token| token == "::")
                && (at == 0 || tokens[at - 1] != "::")
                && is_word(&tokens[at]);
            if !is_path {
                at += 1;
                continue;
            }
            let offers = at > 1 && tokens[at - 1] == "use" && [")", "pub"].contains(&tokens[at - 2].as_str());
            let mut paths = Vec::new();
            at = tree(&tokens, at, &[], &mut paths);
            let is_ours = |path: &Segments| {
                ["crate", "super", "self", "migration_core"].contains(&path[0].as_str())
                    || source.children.contains_key(&path[0])
            };
            paths.retain(is_ours);
            if offers {
                source.offers.extend(paths.into_iter().map(|path| (path.last().unwrap().clone(), path)));
            } else {
                source.names.extend(paths);
            }
        }
        source.tokens = tokens;
        source
    }
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Reads `a::b` or `a::{b, c::d}`, and says where it ends.
fn tree(tokens: &[String], mut at: usize, before: &[String], paths: &mut Vec<Segments>) -> usize {
    let mut path = before.to_vec();
    loop {
        match tokens.get(at).map(String::as_str) {
            Some("{") => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token != "}") {
                    at = if is_word(&tokens[at]) { tree(tokens, at, &path, paths) } else { at + 1 };
                }
                return at + 1;
            }
            Some(word) if is_word(word) => path.push(word.to_owned()),
            _ => break,
        }
        at += 1;
        if tokens.get(at).is_none_or(|token| token != "::") {
            break;
        }
        at += 1;
    }
    // `{self as name}`
    if tokens.get(at).is_some_and(|token| token == "as") {
        at += 2;
    }
    paths.push(path);
    at
}

/// Words, `::`, and single signs; no comments, and nothing of what strings and characters hold.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if first == '"' {
            string(rest)
        } else if rest.starts_with("r\"") || rest.starts_with("r#\"") {
            let end = if rest.starts_with("r#") { "\"#" } else { "\"" };
            let start = rest.find('"').unwrap() + 1;
            start + rest[start..].find(end).unwrap() + end.len()
        } else if first == '\'' {
            // A character, or else a lifetime.
            let character = rest.char_indices().skip(2).take(8).find(|(_, c)| *c == '\'');
            let is_escape = rest[1..].starts_with('\\');
            character
                .filter(|(at, _)| is_escape || rest[1..*at].chars().count() == 1)
                .map_or(1, |(at, _)| at + 1)
        } else if is_word(rest) {
            let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            tokens.push(rest[..length].to_owned());
            length
        } else {
            let length = if rest.starts_with("::") { 2 } else { first.len_utf8() };
            if !first.is_whitespace() {
                tokens.push(rest[..length].to_owned());
            }
            length
        };
        rest = &rest[length..];
    }
    tokens
}

/// The length of a string with its quotes.
fn string(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !is_escaped => return at + 1,
            _ => is_escaped = c == '\\' && !is_escaped,
        }
    }
    text.len()
}

/// core ← postgres ← engine ← cli
fn layer(path: &str) -> usize {
    let layers = ["crates/core/src", "src/postgres", "src/engine", "src/cli", "src/main.rs"];
    layers.iter().position(|layer| path.starts_with(layer)).unwrap()
}

/// The way from a file back to itself.
fn circle(knowledge: &BTreeMap<&str, BTreeSet<String>>, start: &str) -> Option<Vec<String>> {
    let mut ways = vec![vec![start.to_owned()]];
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop() {
        for next in &knowledge[way.last().unwrap().as_str()] {
            let longer = || way.iter().cloned().chain([next.clone()]).collect::<Vec<_>>();
            if next == start {
                return Some(longer());
            }
            if seen.insert(next.clone()) {
                ways.push(longer());
            }
        }
    }
    None
}

#[test]
fn no_file_knows_one_that_knows_it() {
    let house = House::read();
    let knowledge = house.knowledge();
    let circles: Vec<_> = knowledge.keys().filter_map(|file| circle(&knowledge, file)).collect();
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn arrows_go_one_way() {
    let house = House::read();
    for (file, known) in house.knowledge() {
        for other in known {
            assert!(layer(&other) <= layer(file), "{file} knows {other}, of a layer above");
        }
    }
}

#[test]
fn the_core_has_no_driver_and_the_server_belongs_to_postgres() {
    for (path, source) in House::read().0 {
        let mut names = source.tokens.iter();
        let forbidden: &[&str] = match layer(&path) {
            0 => &["sqlx", "tokio", "tracing", "anstream", "rustls", "stdout", "stderr"],
            1 => &["stdout", "stderr", "anstream", "clap"],
            _ => &["sqlx", "rustls"],
        };
        let found = names.find(|name| forbidden.contains(&name.as_str()));
        // A program's own output is no output of ours.
        assert!(found.is_none() || path.ends_with("secret/command.rs"), "{path} speaks of {found:?}");
    }
}

#[test]
fn the_engine_prints_nothing() {
    let printing = ["print", "println", "eprint", "eprintln", "stdout", "stderr", "anstream", "anstyle"];
    for (path, source) in House::read().0 {
        if layer(&path) != 2 {
            continue;
        }
        let prints = source.tokens.iter().find(|token| printing.contains(&token.as_str()));
        assert_eq!(prints, None, "{path}");
        let logs = source.tokens.windows(3).find(|words| words[0] == "tracing" && words[2] != "debug");
        assert_eq!(logs, None, "{path} tells people without an event");
    }
}

#[test]
fn statements_know_nothing_but_text() {
    let house = House::read();
    let mut files = 0;
    for (file, known) in house.knowledge() {
        if file.starts_with("crates/core/src/statement") {
            files += 1;
            let others: Vec<_> = known.iter().filter(|file| !file.contains("/statement")).collect();
            assert!(others.is_empty(), "{file} knows {others:?}");
        }
    }
    assert_eq!(files, 4);
}

#[test]
fn no_file_is_two() {
    for (path, source) in House::read().0 {
        assert!(source.lines <= LONGEST, "{path} has {} lines", source.lines);
    }
}

/// A rule that finds nothing anywhere holds nothing.
#[test]
fn what_is_wrong_is_found() {
    let source =
        |path: &str, text: &str| (path.to_owned(), Source::of(path, text, |path| path.contains("/a")));
    let house = House(BTreeMap::from([
        source("src/main.rs", "mod a;\nmod cli;\n"),
        source(
            "src/a.rs",
            "mod a1;\npub(crate) use a1::{Thing, other};\nconst A: char = '\"';\nstruct Own;\n",
        ),
        source(
            "src/a/a1.rs",
            "use super::Own;\nuse crate::{a::Thing, cli};\n// use crate::b;\nstruct Thing;\n",
        ),
    ]));
    let knowledge = house.knowledge();
    assert!(knowledge["src/a.rs"].is_empty(), "it offers what its child has");
    assert_eq!(Vec::from_iter(&knowledge["src/a/a1.rs"]), ["src/a.rs", "src/main.rs"]);
    let circles = BTreeMap::from([
        ("x", BTreeSet::from(["y".to_owned()])),
        ("y", BTreeSet::from(["x".to_owned(), "z".to_owned()])),
        ("z", BTreeSet::new()),
    ]);
    assert_eq!(circle(&circles, "x"), Some(vec!["x".to_owned(), "y".to_owned(), "x".to_owned()]));
    assert_eq!(circle(&circles, "z"), None);
}
