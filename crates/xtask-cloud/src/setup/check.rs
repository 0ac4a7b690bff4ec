//! What is there, held against what should be; each difference with the command that mends it.

use std::process::Command;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::delivery::{self, DeliveryFile, FILE};
use super::roles::Role;
use super::script;
use super::site::Site;
use crate::release::inputs::MAIN;
use workspace::github::cli::{gh, list};
use workspace::process::{self, quoted};

pub(super) fn differences(
    site: &Site,
    roles: &[Role],
    file: &DeliveryFile,
    delivery: &[(&'static str, String)],
) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    let provider =
        aws(&["iam", "get-open-id-connect-provider", "--open-id-connect-provider-arn", &site.provider()])?;
    match provider {
        None => found.push(fix("AWS does not know GitHub as an identity provider", &script::provider(site))),
        Some(provider) if !holds(&provider["ClientIDList"], "sts.amazonaws.com") => found.push(fix(
            "the identity provider lacks the audience sts.amazonaws.com",
            &format!(
                "aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn {} --client-id sts.amazonaws.com",
                site.provider()
            ),
        )),
        Some(_) => {}
    }
    for role in roles {
        let Some(there) = aws(&["iam", "get-role", "--role-name", &role.name])? else {
            found.push(fix(&format!("there is no role {}", role.name), &script::create(role)));
            found.push(fix("then it has no policy", &script::permit(role)));
            continue;
        };
        if there["Role"]["AssumeRolePolicyDocument"] != role.trust {
            found.push(fix(&format!("{} trusts others than it should", role.name), &script::trust(role)));
        }
        if there["Role"]["MaxSessionDuration"] != role.session {
            let what =
                format!("sessions of {} end after another time than {} seconds", role.name, role.session);
            found.push(fix(&what, &script::last(role)));
        }
        let policy =
            aws(&["iam", "get-role-policy", "--role-name", &role.name, "--policy-name", script::POLICY])?;
        if policy.is_none_or(|policy| policy["PolicyDocument"] != role.policy) {
            found.push(fix(
                &format!("{} may do other things than it should", role.name),
                &script::permit(role),
            ));
        }
        found.extend(more_policies(role)?);
    }
    if let Some(cluster) = &site.cluster {
        found.extend(in_cluster(site, cluster)?);
    }
    found.extend(movable_tags(site)?);
    found.extend(
        site.environment.differences(&site.repository).iter().map(|(what, commands)| fix(what, commands)),
    );
    found.extend(
        site.rulesets.differences(&site.repository).iter().map(|(what, commands)| fix(what, commands)),
    );
    found.extend(own_runners(site)?);
    found.extend(in_file(site, file, delivery));
    found.extend(leftovers(site)?);
    Ok(found)
}

/// What the workflows go by, held against what it should say.
fn in_file(site: &Site, file: &DeliveryFile, delivery: &[(&'static str, String)]) -> Vec<String> {
    let there = &file.values;
    let differs = |(key, value): &&(&'static str, String)| there.get(key) != value.as_str();
    let mut found: Vec<_> = delivery
        .iter()
        .filter(differs)
        .map(|(key, value)| fix(&format!("{FILE} does not say {key}={value}"), &there.command(key, value)))
        .collect();
    // Of the roles that nobody asked to compare, too: an image is deployed by the account that it was verified in.
    for key in delivery::keys().filter(|key| key.starts_with("AWS_ROLE_")) {
        let role = there.get(key);
        let is_decided = delivery.iter().any(|(own, _)| *own == key);
        if !is_decided && !role.is_empty() && role.split(':').nth(4) != Some(&site.account) {
            let what = format!("{FILE} has a role of another account than {}, {key}", site.account);
            found.push(fix(&what, &there.command(key, "")));
        }
    }
    if site.is_public && !there.get("DEPLOY_RUNNER").is_empty() {
        found.push(fix(
            "DEPLOY_RUNNER is set in a public repository, whose releases the gate then refuses",
            &there.command("DEPLOY_RUNNER", ""),
        ));
    }
    if file.main.as_ref().is_some_and(|main| main != there) {
        found.push(fix(
            &format!("{FILE} of this checkout is not that of main, which alone has an effect; commit it, and merge it"),
            &format!("git diff {MAIN} -- {FILE}"),
        ));
    }
    found
}

/// Variables that the workflows read before, and whoever may write to the repository sets.
fn leftovers(site: &Site) -> anyhow::Result<Vec<String>> {
    let there = gh(&["variable", "list", "--repo", &site.repository, "--json", "name,value"])?;
    let there: Value = serde_json::from_str(&there).context("gh variable list printed no JSON")?;
    let is_there = |key: &&str| there.as_array().is_some_and(|all| all.iter().any(|one| one["name"] == *key));
    let leftover = |key| {
        fix(
            &format!("the repository's variable {key} has no effect any more: {FILE} says it"),
            &format!("gh variable delete {key} --repo {}", site.repository),
        )
    };
    Ok(delivery::keys().filter(is_there).map(leftover).collect())
}

/// No policy of IAM tells the tags of one role from those of another; that none can be moved limits what either can do.
fn movable_tags(site: &Site) -> anyhow::Result<Option<String>> {
    let Site { region, account, images, .. } = site;
    let about = ["--region", region, "--registry-id", account, "--repository-names", images];
    let there = aws(&[&["ecr", "describe-repositories"][..], &about].concat())?;
    Ok(there.filter(|there| site.keeps_tags && are_movable(there)).map(|_| {
        fix(
            &format!("whoever may push to {images} may move the tags of releases"),
            &format!(
                "aws ecr put-image-tag-mutability --region {region} --registry-id {account} --repository-name {} \
                 --image-tag-mutability IMMUTABLE_WITH_EXCLUSION --image-tag-mutability-exclusion-filters \
                 filterType=WILDCARD,filter=latest 'filterType=WILDCARD,filter=sha256-*'",
                quoted(images)
            ),
        )
    }))
}

fn are_movable(repositories: &Value) -> bool {
    let first = &repositories["repositories"][0];
    let excluded = first["imageTagMutabilityExclusionFilters"].as_array().into_iter().flatten();
    let mut excluded = excluded.filter_map(|one| one["filter"].as_str());
    match first["imageTagMutability"].as_str() {
        Some("IMMUTABLE") => false,
        Some("IMMUTABLE_WITH_EXCLUSION") => excluded.any(|filter| !["latest", "sha256-*"].contains(&filter)),
        _ => true,
    }
}

/// A pull request of a fork may name any label, and then runs there.
fn own_runners(site: &Site) -> anyhow::Result<Vec<String>> {
    if !site.is_public {
        return Ok(Vec::new());
    }
    let place = format!("repos/{}/actions/runners", site.repository);
    let runners = list(&format!("{place}?per_page=100"), Some("runners"))?.unwrap_or_default();
    Ok(runners
        .iter()
        .map(|runner| {
            fix(
                "a runner of your own serves this public repository, where a pull request of a fork can run on it",
                &format!("gh api --silent --method DELETE {place}/{}", runner["id"]),
            )
        })
        .collect())
}

/// What the role may do besides, by policies that we did not write.
fn more_policies(role: &Role) -> anyhow::Result<Vec<String>> {
    let list = |what: &str| aws(&["iam", what, "--role-name", &role.name]).map(Option::unwrap_or_default);
    let (inline, attached) = (list("list-role-policies")?, list("list-attached-role-policies")?);
    let more = |command: String| fix(&format!("{} may do more than it should", role.name), &command);
    let inline = inline["PolicyNames"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let inline = inline.filter(|name| *name != script::POLICY).map(|name| {
        more(format!("aws iam delete-role-policy --role-name {} --policy-name {}", role.name, quoted(name)))
    });
    let attached = attached["AttachedPolicies"].as_array().into_iter().flatten();
    let attached = attached.filter_map(|policy| policy["PolicyArn"].as_str()).map(|arn| {
        more(format!("aws iam detach-role-policy --role-name {} --policy-arn {}", role.name, quoted(arn)))
    });
    Ok(inline.chain(attached).collect())
}

/// What the deployer may do in the cluster is what k8s/release says of its group, and nothing besides.
fn in_cluster(site: &Site, cluster: &str) -> anyhow::Result<Vec<String>> {
    let principal = site.role_arn("deployer");
    let about = ["--region", &site.region, "--cluster-name", cluster, "--principal-arn", &principal];
    let ask = |what: &str| aws(&[&["eks", what][..], &about].concat());
    let Some(entry) = ask("describe-access-entry")? else {
        let what = format!("the deployer is not in the group {} of the cluster {cluster}", script::GROUP);
        return Ok(vec![fix(&what, &script::enter(site, cluster))]);
    };
    let mut found = Vec::new();
    if entry["accessEntry"]["kubernetesGroups"] != json!([script::GROUP]) {
        found.push(fix(
            &format!("the deployer is in other groups of the cluster {cluster} than {} alone", script::GROUP),
            &script::entry(
                site,
                cluster,
                &format!("update-access-entry --kubernetes-groups {}", script::GROUP),
            ),
        ));
    }
    let policies = ask("list-associated-access-policies")?.unwrap_or_default();
    let policies = policies["associatedAccessPolicies"].as_array().into_iter().flatten();
    found.extend(policies.filter_map(|policy| policy["policyArn"].as_str()).map(|arn| {
        fix(
            &format!("the deployer may do more in the cluster {cluster} than it should"),
            &script::entry(
                site,
                cluster,
                &format!("disassociate-access-policy --policy-arn {}", quoted(arn)),
            ),
        )
    }));
    Ok(found)
}

fn fix(what: &str, command: &str) -> String {
    format!("{what}:\n    {}", command.replace('\n', "\n    "))
}

fn holds(list: &Value, wanted: &str) -> bool {
    list.as_array().is_some_and(|list| list.iter().any(|one| one == wanted))
}

/// Asks the AWS CLI, as whoever sets this up has it; None where there is no such thing.
fn aws(words: &[&str]) -> anyhow::Result<Option<Value>> {
    if process::find("aws").is_none() {
        bail!("the AWS CLI is not on PATH; it compares the roles (https://aws.amazon.com/cli/)");
    }
    let said =
        process::output(Command::new("aws").args(words).args(["--output", "json"]).env("AWS_PAGER", ""));
    match said {
        Ok(text) => Ok(Some(serde_json::from_str(&text).context("the AWS CLI printed no JSON")?)),
        Err(error)
            if ["NoSuchEntity", "ResourceNotFoundException", "RepositoryNotFoundException"]
                .iter()
                .any(|code| format!("{error:#}").contains(code)) =>
        {
            Ok(None)
        }
        Err(error) => Err(error.context(format!("AWS was asked with `aws {}`", words.join(" ")))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_releases_stay_where_no_pattern_frees_them() {
        let but = |filters: &[&str]| {
            let filters: Vec<_> =
                filters.iter().map(|one| json!({"filterType": "WILDCARD", "filter": one})).collect();
            json!({"imageTagMutability": "IMMUTABLE_WITH_EXCLUSION", "imageTagMutabilityExclusionFilters": filters})
        };
        for (repository, expected) in [
            (json!({"imageTagMutability": "MUTABLE"}), true),
            (json!({"imageTagMutability": "IMMUTABLE"}), false),
            (but(&["latest", "sha256-*"]), false),
            (but(&["latest", "v*"]), true),
            (json!({}), true),
        ] {
            assert_eq!(are_movable(&json!({"repositories": [repository]})), expected, "{repository}");
        }
    }
}
