//! The process environment, taken once.

use std::collections::BTreeMap;
use std::ffi::OsString;

/// Variables by name. Only those that are not empty: empty counts as missing.
#[derive(Clone, Default)]
pub(crate) struct Environment(BTreeMap<OsString, OsString>);

pub(super) enum Value<'a> {
    Missing,
    NotUnicode,
    Text(&'a str),
}

impl Environment {
    pub(crate) fn of_process() -> Self {
        std::env::vars_os().collect()
    }

    pub(super) fn get(&self, name: &str) -> Value<'_> {
        match self.0.get(std::ffi::OsStr::new(name)).map(|value| value.to_str()) {
            None => Value::Missing,
            Some(None) => Value::NotUnicode,
            Some(Some(text)) => Value::Text(text),
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        !matches!(self.get(name), Value::Missing)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Value::Text(text) => Some(text),
            Value::Missing | Value::NotUnicode => None,
        }
    }

    /// These variables in place of what is there by their names.
    pub(super) fn with(&self, variables: Vec<(&'static str, String)>) -> Self {
        let mut all = self.0.clone();
        all.extend(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
        Self(all)
    }

    /// The names of the variables that are set.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().filter_map(|name| name.to_str())
    }

    /// Whether this process runs in a Kubernetes pod: the variable is there in every one.
    pub(crate) fn is_in_cluster(&self) -> bool {
        self.has("KUBERNETES_SERVICE_HOST")
    }
}

impl FromIterator<(OsString, OsString)> for Environment {
    fn from_iter<I: IntoIterator<Item = (OsString, OsString)>>(variables: I) -> Self {
        Self(variables.into_iter().filter(|(_, value)| !value.is_empty()).collect())
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Environment {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(variables: I) -> Self {
        variables.into_iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect()
    }
}
