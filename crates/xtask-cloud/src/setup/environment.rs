//! The environment on GitHub: who may use it, and what has to be said again when that is changed.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use workspace::process::quoted;

/// That alone may use it, and with it the deployer's role: kind and pattern.
const ALLOWED: [(&str, &str); 1] = [("branch", "main")];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Environment {
    pub(super) name: String,
    protection: Protection,
    /// A PUT resets what it does not name: who must approve, how long it waits. What an account's plan does not have is
    /// refused even where it is empty, so only what is set is said again. Where somebody must approve, it is somebody else.
    kept: Map<String, Value>,
    /// Whoever started a run may approve it.
    is_self_reviewed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Protection {
    Absent,
    /// Every branch and tag may use it.
    None,
    /// Branches with rules of their own, and no tag.
    Branches,
    Patterns(Vec<Pattern>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    id: String,
    kind: String,
    name: String,
}

impl Environment {
    /// From what GitHub says of the environment and of its deployment branch policies.
    pub(super) fn read(name: &str, there: Option<&Value>, policies: &[Value]) -> Self {
        let protection = match there.map(|there| &there["deployment_branch_policy"]) {
            None => Protection::Absent,
            Some(Value::Null) => Protection::None,
            Some(policy) if policy["custom_branch_policies"] == true => {
                Protection::Patterns(policies.iter().map(pattern).collect())
            }
            Some(_) => Protection::Branches,
        };
        let kept = there.map(kept).unwrap_or_default();
        let is_self_reviewed = there.is_some_and(is_self_reviewed);
        Self { name: name.to_owned(), protection, kept, is_self_reviewed }
    }

    /// Whether somebody must approve.
    pub(super) fn is_approved(&self) -> bool {
        self.kept.contains_key("reviewers")
    }

    /// What is not as it should be, each with the commands that mend it.
    pub(super) fn differences(&self, repository: &str) -> Vec<(String, String)> {
        let name = &self.name;
        let place = place(repository, name);
        let allow = |kind: &str, pattern: &str| {
            format!(
                "gh api --silent --method POST {place}/deployment-branch-policies -f name={} -f type={kind}",
                quoted(pattern)
            )
        };
        let all = |what: String| {
            let allowed = ALLOWED.map(|(kind, pattern)| allow(kind, pattern)).join("\n");
            vec![(what, format!("{}\n{allowed}", self.put(&place)))]
        };
        let there = match &self.protection {
            Protection::Absent => return all(format!("there is no environment {name}")),
            Protection::None => return all(format!("any branch may use the environment {name}")),
            Protection::Branches => {
                return all(format!("any protected branch, and no tag, may use the environment {name}"));
            }
            Protection::Patterns(there) => there,
        };
        let is = |one: &Pattern, (kind, pattern): (&str, &str)| one.kind == kind && one.name == pattern;
        let missing = ALLOWED.into_iter().filter(|wanted| !there.iter().any(|one| is(one, *wanted)));
        let missing = missing.map(|(kind, pattern)| {
            (format!("the {kind} {pattern} may not use the environment {name}"), allow(kind, pattern))
        });
        let more = there.iter().filter(|one| !ALLOWED.iter().any(|wanted| is(one, *wanted)));
        let more = more.map(|Pattern { id, kind, name: pattern }| {
            (
                format!("the {kind} {pattern} may use the environment {name}, too"),
                format!("gh api --silent --method DELETE {place}/deployment-branch-policies/{id}"),
            )
        });
        let own = self.is_self_reviewed.then(|| {
            (format!("who started a run may approve it in the environment {name}"), self.put(&place))
        });
        missing.chain(more).chain(own).collect()
    }

    fn put(&self, place: &str) -> String {
        let mut body = self.kept.clone();
        let policy = json!({"protected_branches": false, "custom_branch_policies": true});
        body.insert("deployment_branch_policy".to_owned(), policy);
        let body = quoted(&Value::Object(body).to_string());
        format!("printf %s {body} |\n  gh api --silent --method PUT {place} --input -")
    }
}

/// Its path in GitHub's API, which a shell reads as it stands.
pub(super) fn place(repository: &str, name: &str) -> String {
    let mut place = format!("repos/{repository}/environments/");
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            place.push(char::from(byte));
        } else {
            let _ = write!(place, "%{byte:02X}");
        }
    }
    place
}

fn pattern(policy: &Value) -> Pattern {
    Pattern {
        id: policy["id"].to_string(),
        kind: policy["type"].as_str().unwrap_or("branch").to_owned(),
        name: policy["name"].as_str().unwrap_or_default().to_owned(),
    }
}

fn kept(there: &Value) -> Map<String, Value> {
    let mut kept = Map::new();
    for rule in there["protection_rules"].as_array().into_iter().flatten() {
        match rule["type"].as_str() {
            Some("wait_timer") => {
                kept.insert("wait_timer".to_owned(), rule["wait_timer"].clone());
            }
            Some("required_reviewers") => {
                let reviewers = rule["reviewers"].as_array().into_iter().flatten();
                let reviewers =
                    reviewers.map(|one| json!({"type": one["type"], "id": one["reviewer"]["id"]}));
                kept.insert("reviewers".to_owned(), reviewers.collect());
                kept.insert("prevent_self_review".to_owned(), json!(true));
            }
            _ => {}
        }
    }
    if there["can_admins_bypass"] == false {
        kept.insert("can_admins_bypass".to_owned(), json!(false));
    }
    kept
}

fn is_self_reviewed(there: &Value) -> bool {
    let mut rules = there["protection_rules"].as_array().into_iter().flatten();
    rules.any(|rule| rule["type"] == "required_reviewers" && rule["prevent_self_review"] != true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differences(there: Option<&Value>, policies: &[Value]) -> Vec<(String, String)> {
        Environment::read("production", there, policies).differences("site/job")
    }

    #[test]
    fn main_alone_may_use_it() {
        let custom = json!({"deployment_branch_policy": {"custom_branch_policies": true}});
        let protected = json!({"deployment_branch_policy": {"custom_branch_policies": false}});
        let open = json!({"deployment_branch_policy": null});
        let main = json!({"id": 1, "name": "main", "type": "branch"});
        let tags = json!({"id": 2, "name": "v*", "type": "tag"});
        let any = json!({"id": 3, "name": "*", "type": "branch"});
        let reviewed = |own: bool| {
            json!({
                "deployment_branch_policy": {"custom_branch_policies": true},
                "protection_rules": [{"type": "required_reviewers", "prevent_self_review": own, "reviewers": []}],
            })
        };
        let branches_v = json!({"id": 4, "name": "v*", "type": "branch"});
        for (there, policies, expected) in [
            (Some(&custom), json!([main]), vec![]),
            (Some(&reviewed(true)), json!([main]), vec![]),
            (
                Some(&reviewed(false)),
                json!([main]),
                vec!["who started a run may approve it in the environment production"],
            ),
            (None, json!([]), vec!["there is no environment production"]),
            (Some(&open), json!([]), vec!["any branch may use the environment production"]),
            (
                Some(&protected),
                json!([]),
                vec!["any protected branch, and no tag, may use the environment production"],
            ),
            (
                Some(&custom),
                json!([main, tags, any]),
                vec![
                    "the tag v* may use the environment production, too",
                    "the branch * may use the environment production, too",
                ],
            ),
            (
                Some(&custom),
                json!([branches_v]),
                vec![
                    "the branch main may not use the environment production",
                    "the branch v* may use the environment production, too",
                ],
            ),
        ] {
            let found = differences(there, policies.as_array().unwrap());
            let found: Vec<_> = found.iter().map(|(what, _)| &**what).collect();
            assert_eq!(found, expected, "{there:?} {policies}");
        }
    }

    #[test]
    fn a_name_that_a_shell_or_an_address_would_misread_is_escaped() {
        for (name, escaped) in [
            ("production", "production"),
            ("Prod EU", "Prod%20EU"),
            ("a/b&c$(d)", "a%2Fb%26c%24%28d%29"),
            ("größe", "gr%C3%B6%C3%9Fe"),
        ] {
            let place = place("site/job", name);
            assert_eq!(place, format!("repos/site/job/environments/{escaped}"));
            assert_eq!(quoted(&place), place);
            let (_, commands) = Environment::read(name, None, &[]).differences("site/job").remove(0);
            assert_eq!(commands.matches(&place).count(), 2, "{commands}");
        }
    }

    #[test]
    fn what_a_put_would_reset_is_said_again() {
        let there = json!({
            "can_admins_bypass": false,
            "protection_rules": [
                {"id": 1, "type": "wait_timer", "wait_timer": 30},
                {"id": 2, "type": "required_reviewers", "prevent_self_review": true, "reviewers": [
                    {"type": "User", "reviewer": {"id": 7, "login": "ann"}},
                    {"type": "Team", "reviewer": {"id": 8, "slug": "site"}},
                ]},
                {"id": 3, "type": "branch_policy"},
            ],
            "deployment_branch_policy": null,
        });
        let policy = json!({"protected_branches": false, "custom_branch_policies": true});
        for (there, expected) in [
            (json!({"deployment_branch_policy": null}), json!({"deployment_branch_policy": policy})),
            (
                there,
                json!({
                    "can_admins_bypass": false,
                    "deployment_branch_policy": policy,
                    "prevent_self_review": true,
                    "reviewers": [{"type": "User", "id": 7}, {"type": "Team", "id": 8}],
                    "wait_timer": 30,
                }),
            ),
        ] {
            let (_, command) = differences(Some(&there), &[]).remove(0);
            let body = command.split('\'').nth(1).unwrap();
            assert_eq!(serde_json::from_str::<Value>(body).unwrap(), expected, "{command}");
        }
    }
}
