//! The rulesets on GitHub: who may make tags, and what it takes to get into main.

use anyhow::Context;
use serde_json::{Value, json};

use workspace::github::cli::{get, list};
use workspace::github::repository::Repository;
use workspace::process::quoted;

/// Those of the repository and of its organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rulesets {
    /// The account's plan has none, as for a private repository of a free one.
    Unavailable,
    There(Vec<Value>),
}

/// Roles, as GitHub numbers them in rulesets; `write` is 4.
const MAINTAIN: u64 = 2;
const ADMIN: u64 = 5;
/// The app GitHub Actions; another one could report a check of the same name.
const ACTIONS: u64 = 15368;

struct WantedRuleset {
    name: &'static str,
    /// What is true without it.
    missing: &'static str,
    target: &'static str,
    /// Any of these covers all that is to be covered.
    include: &'static [&'static str],
    rules: fn() -> Value,
    /// Who may do what the rules forbid, where nobody has said so yet.
    bypass: fn() -> Value,
}

const WANTED: [WantedRuleset; 2] = [
    // A tag v* says what is released, and a tag may be called like a branch.
    WantedRuleset {
        name: "run-migrations: tags are made by those who release",
        missing: "whoever may write to the repository may make, move and delete tags, and so release",
        target: "tag",
        include: &["~ALL"],
        rules: || json!([{"type": "creation"}, {"type": "update"}, {"type": "deletion"}]),
        bypass: || json!([{"actor_id": ADMIN, "actor_type": "RepositoryRole", "bypass_mode": "always"}]),
    },
    WantedRuleset {
        name: "run-migrations: main is reviewed",
        missing: "commits that nobody else has reviewed, or that ci has not passed, get into main",
        target: "branch",
        include: &["refs/heads/main", "~DEFAULT_BRANCH", "~ALL"],
        rules: || {
            json!([
                {"type": "deletion"},
                {"type": "non_fast_forward"},
                {"type": "pull_request", "parameters": {
                    "required_approving_review_count": 1,
                    "dismiss_stale_reviews_on_push": true,
                    "require_last_push_approval": true,
                    "require_code_owner_review": false,
                    "required_review_thread_resolution": false,
                    // A rebase puts every commit of the branch on main, and somebody reviewed only what all of them come to.
                    "allowed_merge_methods": ["merge", "squash"],
                }},
                {"type": "required_status_checks", "parameters": {
                    "strict_required_status_checks_policy": false,
                    "required_status_checks": [{"context": "ci", "integration_id": ACTIONS}],
                }},
            ])
        },
        bypass: || json!([]),
    },
];

impl Rulesets {
    pub(super) fn find(repository: &Repository) -> anyhow::Result<Self> {
        let all = format!("repos/{repository}/rulesets");
        let listed = match list(&format!("{all}?includes_parents=true&per_page=100"), None) {
            Ok(listed) => listed.unwrap_or_default(),
            Err(error) if format!("{error:#}").contains("HTTP 403") => return Ok(Self::Unavailable),
            Err(error) => return Err(error),
        };
        let mut there = Vec::new();
        for one in listed {
            // The list has neither rules nor exceptions.
            let one = get(&format!("{all}/{}?includes_parents=true", one["id"]))?;
            there.push(one.context("a ruleset is gone that GitHub has just listed; try again")?);
        }
        Ok(Self::There(there))
    }

    /// What is not as it should be, each with the commands that mend it.
    pub(super) fn differences(&self, repository: &str) -> Vec<(String, String)> {
        let Self::There(there) = self else { return Vec::new() };
        let difference = |wanted: &WantedRuleset| {
            if there.iter().any(|one| wanted.is_met_by(one)) {
                return None;
            }
            let own = there.iter().find(|one| one["name"] == wanted.name);
            Some((wanted.missing.to_owned(), wanted.command(repository, own)))
        };
        WANTED.iter().filter_map(difference).collect()
    }
}

impl WantedRuleset {
    fn is_met_by(&self, there: &Value) -> bool {
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let names = &there["conditions"]["ref_name"];
        let includes = list(&names["include"]);
        let is_covered = self.include.iter().any(|wanted| includes.iter().any(|one| one == wanted));
        let rules = list(&there["rules"]);
        let has = |wanted: &Value| rules.iter().any(|rule| is_as_strict(rule, wanted));
        there["target"] == self.target
            && there["enforcement"] == "active"
            && is_covered
            && list(&names["exclude"]).is_empty()
            && list(&(self.rules)()).iter().all(has)
            && list(&there["bypass_actors"]).iter().all(may_bypass)
    }

    /// Makes it, or corrects the one of this name; who else may bypass it stays as it is.
    fn command(&self, repository: &str, own: Option<&Value>) -> String {
        let kept = own.and_then(|own| own["bypass_actors"].as_array());
        let bypass = match kept {
            Some(actors) => actors.iter().filter(|actor| may_bypass(actor)).cloned().collect(),
            None => (self.bypass)(),
        };
        let body = json!({
            "name": self.name,
            "target": self.target,
            "enforcement": "active",
            "bypass_actors": bypass,
            "conditions": {"ref_name": {"include": [self.include[0]], "exclude": []}},
            "rules": (self.rules)(),
        });
        let (method, place) = match own {
            Some(own) => ("PUT", format!("repos/{repository}/rulesets/{}", own["id"])),
            None => ("POST", format!("repos/{repository}/rulesets")),
        };
        format!(
            "printf %s {} |\n  gh api --silent --method {method} {place} --input -",
            quoted(&body.to_string())
        )
    }
}

/// Whether somebody may be excepted: who maintains or administrates, or a team that the ruleset names. Everybody who may
/// write can act as an app, such as GitHub Actions, and nobody knows here what a role of the site's own may do.
fn may_bypass(actor: &Value) -> bool {
    match actor["actor_type"].as_str() {
        Some("RepositoryRole") => [MAINTAIN, ADMIN].iter().any(|role| actor["actor_id"] == *role),
        Some("OrganizationAdmin" | "Team") => true,
        _ => false,
    }
}

/// Whether a rule asks for as much as another of its type, or for more.
fn is_as_strict(rule: &Value, wanted: &Value) -> bool {
    let is_met = |(name, wanted): (&String, &Value)| {
        let there = &rule["parameters"][name];
        match wanted {
            Value::Bool(false) => true,
            Value::Number(least) => there.as_u64() >= least.as_u64(),
            Value::Array(allowed) if name == "allowed_merge_methods" => {
                there.as_array().is_some_and(|there| there.iter().all(|one| allowed.contains(one)))
            }
            Value::Array(checks) => checks.iter().all(|check| {
                there.as_array().is_some_and(|there| {
                    there.iter().any(|one| {
                        one["context"] == check["context"] && one["integration_id"] == check["integration_id"]
                    })
                })
            }),
            _ => there == wanted,
        }
    };
    rule["type"] == wanted["type"]
        && wanted["parameters"].as_object().is_none_or(|parameters| parameters.iter().all(is_met))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn right(wanted: &WantedRuleset) -> Value {
        json!({
            "id": 7,
            "name": "by another name",
            "target": wanted.target,
            "enforcement": "active",
            "bypass_actors": (wanted.bypass)(),
            "conditions": {"ref_name": {"include": [wanted.include[0]], "exclude": []}},
            "rules": (wanted.rules)(),
        })
    }

    #[test]
    fn what_a_ruleset_lacks_is_missed() {
        let right = WANTED.map(|wanted| right(&wanted)).to_vec();
        assert_eq!(Rulesets::There(right.clone()).differences("site/job"), []);
        let everybody = json!({"actor_id": 4, "actor_type": "RepositoryRole", "bypass_mode": "always"});
        let team = json!({"actor_id": 4, "actor_type": "Team", "bypass_mode": "always"});
        let [tags, main] = [0, 1];
        for (which, pointer, value, is_missed) in [
            (tags, "/enforcement", json!("evaluate"), true),
            (tags, "/target", json!("branch"), true),
            // A tag called origin/main is then anybody's.
            (tags, "/conditions/ref_name/include/0", json!("refs/tags/v*"), true),
            (tags, "/conditions/ref_name/exclude", json!(["refs/tags/tmp/*"]), true),
            (tags, "/rules", json!([{"type": "creation"}, {"type": "update"}]), true),
            (tags, "/bypass_actors", json!([everybody]), true),
            (tags, "/bypass_actors", json!([team]), false),
            (main, "/conditions/ref_name/include/0", json!("~DEFAULT_BRANCH"), false),
            (main, "/rules/2/parameters/required_approving_review_count", json!(2), false),
            (main, "/rules/2/parameters/required_approving_review_count", json!(0), true),
            (main, "/rules/2/parameters/require_last_push_approval", json!(false), true),
            (main, "/rules/2/parameters/allowed_merge_methods", json!(["squash"]), false),
            (main, "/rules/2/parameters/allowed_merge_methods", json!(["squash", "rebase"]), true),
            // Any method, as before rulesets knew them.
            (main, "/rules/2/parameters/allowed_merge_methods", json!(null), true),
            (
                main,
                "/rules/3/parameters/required_status_checks",
                json!([{"context": "ci", "integration_id": 15368}, {"context": "more"}]),
                false,
            ),
            (main, "/rules/3/parameters/required_status_checks", json!([{"context": "lint"}]), true),
            // Whoever may write can have an app of theirs report it.
            (main, "/rules/3/parameters/required_status_checks", json!([{"context": "ci"}]), true),
            (tags, "/bypass_actors", json!([{"actor_id": 15368, "actor_type": "Integration"}]), true),
            (tags, "/bypass_actors", json!([{"actor_id": null, "actor_type": "DeployKey"}]), true),
            (tags, "/bypass_actors", json!([{"actor_id": 77, "actor_type": "RepositoryRole"}]), true),
            (tags, "/bypass_actors", json!([{"actor_id": 2, "actor_type": "RepositoryRole"}]), false),
            (tags, "/bypass_actors", json!([{"actor_id": 1, "actor_type": "OrganizationAdmin"}]), false),
        ] {
            let mut there = right.clone();
            *there[which].pointer_mut(pointer).unwrap() = value.clone();
            let found = Rulesets::There(there).differences("site/job");
            let expected: Vec<_> = is_missed.then_some(WANTED[which].missing).into_iter().collect();
            assert_eq!(
                found.iter().map(|(what, _)| &**what).collect::<Vec<_>>(),
                expected,
                "{pointer} {value}"
            );
        }
    }

    #[test]
    fn one_of_ours_is_corrected_and_keeps_those_who_release() {
        let everybody = json!({"actor_id": 4, "actor_type": "RepositoryRole", "bypass_mode": "always"});
        let team = json!({"actor_id": 9, "actor_type": "Team", "bypass_mode": "always"});
        let mut there = right(&WANTED[0]);
        there["name"] = json!(WANTED[0].name);
        there["bypass_actors"] = json!([everybody, team]);
        let found = Rulesets::There(vec![there]).differences("site/job");
        let (_, command) = &found[0];
        assert!(command.contains("--method PUT repos/site/job/rulesets/7"), "{command}");
        let body: Value = serde_json::from_str(command.split('\'').nth(1).unwrap()).unwrap();
        assert_eq!(body["bypass_actors"], json!([team]));
        assert!(found[1].1.contains("--method POST repos/site/job/rulesets "), "{}", found[1].1);
    }

    #[test]
    fn a_plan_without_rulesets_is_not_asked_for_any() {
        assert_eq!(Rulesets::Unavailable.differences("site/job"), []);
    }
}
