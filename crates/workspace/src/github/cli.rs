//! The GitHub CLI: it alone talks to GitHub, with a token that we never see.

use std::process::Command;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::process;

/// Runs `gh`; what it printed on stdout.
pub fn gh(arguments: &[&str]) -> anyhow::Result<String> {
    if process::find("gh").is_none() {
        bail!(
            "the GitHub CLI is not on PATH; install gh (Debian, Ubuntu: apt-get install gh) and sign in with `gh auth login`"
        );
    }
    process::output(Command::new("gh").args(arguments).env("GH_PROMPT_DISABLED", "1"))
        .with_context(|| format!("GitHub was asked with `gh {}`", arguments.join(" ")))
}

/// All that the API lists, over as many pages as there are: the elements of its answers, or of a member of them. None
/// where there is no such thing.
pub fn list(path: &str, member: Option<&str>) -> anyhow::Result<Option<Vec<Value>>> {
    match gh(&["api", "--paginate", path]) {
        Ok(text) => {
            joined(&text, member).with_context(|| format!("{path} is answered with no list")).map(Some)
        }
        Err(error) if format!("{error:#}").contains("HTTP 404") => Ok(None),
        Err(error) => Err(error),
    }
}

/// gh prints one document for each page, or joins those that are arrays.
fn joined(text: &str, member: Option<&str>) -> anyhow::Result<Vec<Value>> {
    let mut all = Vec::new();
    for page in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        let mut page = page?;
        let elements = match member {
            Some(member) => page[member].take(),
            None => page,
        };
        match elements {
            Value::Array(elements) => all.extend(elements),
            _ => bail!("a page has no list"),
        }
    }
    Ok(all)
}

/// What the API answers to a GET; None where there is no such thing.
pub fn get(path: &str) -> anyhow::Result<Option<Value>> {
    match gh(&["api", path]) {
        Ok(text) => {
            Ok(Some(serde_json::from_str(&text).with_context(|| format!("{path} is answered with no JSON"))?))
        }
        Err(error) if format!("{error:#}").contains("HTTP 404") => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pages_are_joined() {
        for (text, member, expected) in [
            ("[]", None, Some(json!([]))),
            ("[1,2]", None, Some(json!([1, 2]))),
            ("[1][2]\n[]", None, Some(json!([1, 2]))),
            (r#"{"n":3,"all":[1,2]}{"n":3,"all":[3]}"#, Some("all"), Some(json!([1, 2, 3]))),
            ("", None, Some(json!([]))),
            (r#"{"all":[1]}"#, None, None),
            (r#"{"all":[1]}{"n":1}"#, Some("all"), None),
            ("[1][2", None, None),
        ] {
            let found = joined(text, member).ok().map(Value::Array);
            assert_eq!(found, expected, "{text}");
        }
    }
}
