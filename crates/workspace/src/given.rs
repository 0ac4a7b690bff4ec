//! Settings as somebody gave them, and all that is wrong with them.

use std::fmt;

use anyhow::bail;

use crate::yaml::{Content, Node, Section};

pub const FILE: &str = "xtask/release.yaml";

/// A value, and by whom: a flag, a variable, or a place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given<T = String> {
    pub value: T,
    pub by: String,
}

/// Whether a variable is set, and to what.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// That of this process.
pub fn environment(variable: &str) -> Option<String> {
    std::env::var(variable).ok()
}

impl Given {
    /// What clap took from a flag or from the variable of the same meaning. Empty counts as missing.
    pub fn typed(
        value: Option<&String>,
        flag: &str,
        variable: &str,
        environment: Environment<'_>,
    ) -> Option<Self> {
        let value = value.filter(|value| !value.is_empty())?;
        let by = if environment(variable).as_ref() == Some(value) { variable } else { flag };
        Some(Self { value: value.clone(), by: by.to_owned() })
    }

    /// A variable that has no flag.
    pub fn set(variable: &str, environment: Environment<'_>) -> Option<Self> {
        let value = environment(variable).filter(|value| !value.is_empty())?;
        Some(Self { value, by: variable.to_owned() })
    }
}

/// All that is wrong, told at once.
#[derive(Debug, Default)]
pub struct Mistakes(Vec<String>);

impl Mistakes {
    pub fn add(&mut self, by: &str, what: impl fmt::Display) {
        self.0.push(format!("{by}: {what}"));
    }

    /// A flag that was typed where it does nothing. The variable of the same meaning may be set for other runs.
    pub fn refuse(
        &mut self,
        value: Option<&String>,
        flag: &str,
        variable: &str,
        environment: Environment<'_>,
        why: &str,
    ) {
        if Given::typed(value, flag, variable, environment).is_some_and(|given| given.by == flag) {
            self.add(flag, why);
        }
    }

    fn add_at(&mut self, node: &Node<'_>, what: impl fmt::Display) {
        self.add(&place(node), what);
    }

    /// What was given, understood; nothing if it is a mistake.
    pub fn check<T>(
        &mut self,
        given: Option<Given>,
        parse: impl FnOnce(&str) -> anyhow::Result<T>,
    ) -> Option<T> {
        let Given { value, by } = given?;
        self.found(&by, parse(&value))
    }

    /// What somebody gave, understood elsewhere; nothing if it is a mistake.
    pub fn found<T>(&mut self, by: &str, understood: anyhow::Result<T>) -> Option<T> {
        understood.map_err(|error| self.add(by, format!("{error:#}"))).ok()
    }

    /// The settings, if nothing is wrong with any.
    pub fn or<T>(self, settings: Option<T>) -> anyhow::Result<T> {
        match (self.0.as_slice(), settings) {
            ([], Some(settings)) => Ok(settings),
            ([], None) => bail!("the settings are not complete"),
            ([mistake], _) => bail!("a setting is wrong: {mistake}"),
            (mistakes, _) => {
                bail!("{} settings are wrong\n  {}", mistakes.len(), mistakes.join("\n  "))
            }
        }
    }

    /// The keys of a map in the file, with all that is wrong about them.
    pub fn section<'a>(&mut self, node: Option<Node<'a>>, keys: &[&'static str]) -> Section<'a> {
        node.map(|node| Section::read(node, keys, |node, what| self.add_at(node, what))).unwrap_or_default()
    }

    /// Text; twelve digits without quotes are a number to YAML.
    pub fn text(&mut self, section: &mut Section<'_>, key: &str) -> Option<Given> {
        let node = section.take(key)?;
        let value = match &node.content {
            Content::Text(text) => text.clone(),
            Content::Number(number) if key == "account" => number.to_string(),
            _ => {
                self.add_at(
                    &node,
                    format!("{key} must be a string; quote it if it looks like something else"),
                );
                return None;
            }
        };
        Some(Given { value, by: place(&node) }).filter(|given| !given.value.is_empty())
    }

    pub fn yes_or_no(&mut self, section: &mut Section<'_>, key: &str) -> Option<bool> {
        let node = section.take(key)?;
        match node.content {
            Content::Bool(value) => Some(value),
            _ => {
                self.add_at(&node, format!("{key} must be true or false"));
                None
            }
        }
    }

    pub fn number(&mut self, section: &mut Section<'_>, key: &str) -> Option<Given<u64>> {
        let node = section.take(key)?;
        match node.content {
            Content::Number(value) => Some(Given { value, by: place(&node) }),
            _ => {
                self.add_at(&node, format!("{key} must be a number"));
                None
            }
        }
    }
}

fn place(node: &Node<'_>) -> String {
    format!("{FILE}, {}", node.place())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_gave_a_setting_is_known() {
        let environment = |name: &str| (name == "SET").then(|| "a".to_owned());
        let typed = |value: &str, variable| {
            let given = Given::typed(Some(&value.to_owned()), "--flag", variable, &environment);
            given.map(|given| given.by)
        };
        for (value, variable, by) in [
            ("a", "SET", Some("SET")),
            ("b", "SET", Some("--flag")),
            ("a", "UNSET", Some("--flag")),
            ("", "SET", None),
        ] {
            assert_eq!(typed(value, variable).as_deref(), by, "{value} {variable}");
        }
    }

    #[test]
    fn what_does_nothing_is_refused_if_it_was_typed() {
        let environment = |name: &str| (name == "SET").then(|| "a".to_owned());
        for (value, refused) in [(Some("a"), &[][..]), (Some("b"), &["--flag: no"]), (None, &[])] {
            let mut all = Mistakes::default();
            all.refuse(value.map(str::to_owned).as_ref(), "--flag", "SET", &environment, "no");
            assert_eq!(all.0, refused, "{value:?}");
        }
    }

    #[test]
    fn one_mistake_is_a_sentence_and_more_are_a_list() {
        let told = |mistakes: &[&str]| {
            let mut all = Mistakes::default();
            mistakes.iter().for_each(|mistake| all.add("AWS_REGION", mistake));
            all.or(Some(())).map_err(|error| error.to_string())
        };
        assert_eq!(told(&[]), Ok(()));
        assert_eq!(told(&["no"]), Err("a setting is wrong: AWS_REGION: no".to_owned()));
        let both = "2 settings are wrong\n  AWS_REGION: no\n  AWS_REGION: nor this".to_owned();
        assert_eq!(told(&["no", "nor this"]), Err(both));
    }
}
