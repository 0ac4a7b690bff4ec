//! Which part of the campaign is wanted: `KIND[:SCENARIO[:MOMENT[:SERVER]]]`.

use std::fmt;
use std::str::FromStr;

use anyhow::bail;

use super::kind::Kind;
use super::moment::Moment;
use super::scenario;

/// What was not named is wanted whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Only {
    kind: Option<Kind>,
    scenario: Option<String>,
    moment: Option<Moment>,
    major: Option<u16>,
}

impl FromStr for Only {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let mut parts = text.splitn(4, ':');
        let mut only = Self::default();
        if let Some(name) = parts.next().filter(|name| !name.is_empty()) {
            only.kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
            if only.kind.is_none() {
                bail!(
                    "no fault is called {name:?}; there are {}",
                    names(Kind::ALL.iter().map(|kind| kind.name()))
                );
            }
        }
        if let Some(name) = parts.next().filter(|name| !name.is_empty()) {
            if !scenario::all().any(|scenario| scenario.name == name) {
                let all = names(scenario::all().map(|scenario| scenario.name));
                bail!("no scenario is called {name:?}; there are {all}");
            }
            only.scenario = Some(name.to_owned());
        }
        only.moment = parts.next().filter(|moment| !moment.is_empty()).map(str::parse).transpose()?;
        only.major = parts.next().map(str::parse).transpose()?;
        Ok(only)
    }
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Only {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.map(|kind| kind.name().to_owned());
        let parts = [
            kind,
            self.scenario.clone(),
            self.moment.map(|moment| moment.to_string()),
            self.major.map(|major| major.to_string()),
        ];
        let named = parts.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        let words: Vec<_> = parts.into_iter().take(named).map(Option::unwrap_or_default).collect();
        f.write_str(&words.join(":"))
    }
}

impl Only {
    pub(super) fn this(kind: Kind, scenario: &str, moment: Moment, major: u16) -> Self {
        Self {
            kind: Some(kind),
            scenario: Some(scenario.to_owned()),
            moment: Some(moment),
            major: Some(major),
        }
    }

    pub(super) fn names_a_kind(&self) -> bool {
        self.kind.is_some()
    }

    pub(super) fn wants_kind(&self, kind: Kind) -> bool {
        self.kind.is_none_or(|only| only == kind)
    }

    pub(super) fn wants_scenario(&self, name: &str) -> bool {
        self.scenario.as_ref().is_none_or(|only| only == name)
    }

    pub(super) fn wants_server(&self, major: u16) -> bool {
        self.major.is_none_or(|only| only == major)
    }

    /// The one moment that is wanted, if one is.
    pub(super) fn moment(&self) -> Option<Moment> {
        self.moment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_named() {
        for text in ["", "kill", "kill:run", "cut:each:17+", "cut:each:17+:15", "cut::3"] {
            assert_eq!(text.parse::<Only>().unwrap().to_string(), text);
        }
        for text in ["hit", "kill:none", "kill:run:x", "kill:run:1:x"] {
            assert!(text.parse::<Only>().is_err(), "{text}");
        }
        let only: Only = "kill:run".parse().unwrap();
        assert!(only.wants_kind(Kind::Kill) && !only.wants_kind(Kind::Cut) && only.wants_server(15));
        assert!(only.wants_scenario("run") && !only.wants_scenario("each"));
    }
}
