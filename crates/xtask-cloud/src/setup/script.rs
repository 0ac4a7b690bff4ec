//! The commands, for a shell that stops at the first mistake.

use std::fmt::Write as _;

use serde_json::Value;

use super::delivery::{Delivery, FILE};
use super::roles::Role;
use super::site::{ISSUER, Site};
use workspace::process::quoted;

/// The group that k8s/release binds its Role to.
pub(super) const GROUP: &str = "run-migrations-release";

/// Of attestations.
const PRIVATE: &str = "Attestations of a private repository take GitHub Enterprise Cloud.";
/// With ATTESTATIONS=off.
pub(super) const LOST: &str = "What is lost with that: nobody verifies who built an image. Whoever may push to the registry can have an image of theirs deployed, if it says that it was built from a commit of main with the release's inputs.";

pub(super) fn write(site: &Site, roles: &[Role], delivery: &Delivery) -> anyhow::Result<String> {
    let mut text =
        format!("# Lets the workflows of {} release; --check compares later.\nset -eu\n", site.repository);
    let mut section = |comment: &str, commands: &[String]| {
        let _ = write!(text, "\n# {comment}\n{}\n", commands.join("\n"));
    };
    section(
        "GitHub as an identity provider; an account has it once, for all repositories.",
        &[provider(site)],
    );
    for role in roles {
        section(&role.purpose, &[create(role), permit(role)]);
    }
    if let Some(cluster) = &site.cluster {
        section(
            "The deployer in the cluster, with the rights of k8s/release.",
            &[
                enter(site, cluster),
                "kubectl apply -k k8s/release".to_owned(),
                // With the names as they come it would refuse the release's own Jobs.
                "# After you have made the names in it yours, which Jobs may be made there:\n\
                 # kubectl apply -k k8s/admission"
                    .to_owned(),
            ],
        );
    }
    let environment = site.environment.differences(&site.repository);
    if !environment.is_empty() {
        let environment: Vec<_> = environment.into_iter().map(|(_, commands)| commands).collect();
        section(
            "The environment, for main only. Choose its reviewers on its page, if the account's plan has them; nobody can approve a run that they started.",
            &environment,
        );
    }
    let rulesets = site.rulesets.differences(&site.repository);
    if !rulesets.is_empty() {
        let rulesets: Vec<_> = rulesets.into_iter().map(|(_, commands)| commands).collect();
        section(
            "Rulesets: only administrators, or whom you name on the ruleset's page, can make, move and delete tags, whatever they are called. Commits get into main only if ci has passed and somebody else has approved, and by a merge or a squash.",
            &rulesets,
        );
    }
    section(
        "What the workflows read. Commit it, by way of a pull request: main's alone has an effect. Variables of the repository have none.",
        &[format!("cat > {FILE} <<'END'\n{}END", delivery.text()?)],
    );
    if !site.is_public {
        section(&format!("{PRIVATE} Without it set ATTESTATIONS=off there. {LOST}"), &[]);
    }
    Ok(text.trim_end().to_owned())
}

pub(super) fn provider(site: &Site) -> String {
    format!(
        "aws iam get-open-id-connect-provider --open-id-connect-provider-arn {} > /dev/null 2>&1 ||\n  \
         aws iam create-open-id-connect-provider --url https://{ISSUER} --client-id-list sts.amazonaws.com",
        site.provider()
    )
}

/// Maps the deployer to the group.
pub(super) fn enter(site: &Site, cluster: &str) -> String {
    entry(site, cluster, &format!("create-access-entry --kubernetes-groups {GROUP}"))
}

/// What is done to the deployer's entry in the cluster.
pub(super) fn entry(site: &Site, cluster: &str, what: &str) -> String {
    format!(
        "aws eks {what} --region {} --cluster-name {} --principal-arn {}",
        site.region,
        quoted(cluster),
        site.role_arn("deployer")
    )
}

pub(super) fn create(role: &Role) -> String {
    let Role { name, trust, session, .. } = role;
    format!(
        "aws iam create-role --role-name {name} --max-session-duration {session} --assume-role-policy-document {}",
        document(trust)
    )
}

pub(super) fn last(role: &Role) -> String {
    let Role { name, session, .. } = role;
    format!("aws iam update-role --role-name {name} --max-session-duration {session}")
}

pub(super) fn trust(role: &Role) -> String {
    let Role { name, trust, .. } = role;
    format!("aws iam update-assume-role-policy --role-name {name} --policy-document {}", document(trust))
}

pub(super) const POLICY: &str = "release";

pub(super) fn permit(role: &Role) -> String {
    let Role { name, policy, .. } = role;
    format!(
        "aws iam put-role-policy --role-name {name} --policy-name {POLICY} --policy-document {}",
        document(policy)
    )
}

fn document(policy: &Value) -> String {
    quoted(&policy.to_string())
}
