//! What the roles depend on: the repository's tokens, the account, the registry.

use anyhow::{Context, bail};
use serde_json::Value;

use super::delivery::Delivery;
use super::environment::{self, Environment};
use super::rulesets::Rulesets;
use registry::Ecr;
use settings::ecr::Tags;
use settings::{ImageFlags, Settings};
use workspace::github::cli::{get, list};
use workspace::github::repository::Repository;
use workspace::project::Project;
use xtask::cli::setup::Github;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Site {
    /// As GitHub spells it, since its tokens do too.
    pub(super) repository: String,
    /// What every subject of this repository's tokens begins with, such as `repo:owner@1/name@2`.
    pub(super) subject: String,
    /// GitHub's number of the repository, which survives a rename.
    pub(super) id: String,
    /// Whether anyone may read it; attestations of others take GitHub Enterprise Cloud.
    pub(super) is_public: bool,
    pub(super) account: String,
    pub(super) region: String,
    pub(super) images: String,
    /// Whether its tags are to stay what they are.
    pub(super) keeps_tags: bool,
    pub(super) environment: Environment,
    pub(super) rulesets: Rulesets,
    pub(super) cluster: Option<String>,
}

pub(super) async fn find(arguments: &Github, project: &Project) -> anyhow::Result<Site> {
    let repository = Repository::find(project)?;
    let (_, registry) = Settings::read_with_ecr(&ImageFlags::default(), &arguments.ecr, project)?;
    let (account, region) = match (&registry.account, &registry.region) {
        (Some(account), Some(region)) => (account.as_str().to_owned(), region.clone()),
        _ => {
            let ecr = Ecr::connect(&registry)
                .await
                .context("which account and region? --account and --region say it too")?;
            (ecr.account.as_str().to_owned(), ecr.region)
        }
    };
    let about = get(&format!("repos/{repository}"))?
        .with_context(|| format!("GitHub knows no repository {repository}, or this token may not see it"))?;
    let tokens = get(&format!("repos/{repository}/actions/oidc/customization/sub"))?.unwrap_or(Value::Null);
    let place = environment::place(&repository.to_string(), &arguments.environment);
    let environment = get(&place)?;
    let policies = match &environment {
        Some(_) => {
            list(&format!("{place}/deployment-branch-policies?per_page=100"), Some("branch_policies"))?
                .unwrap_or_default()
        }
        None => Vec::new(),
    };
    Ok(Site {
        subject: subject(&about, &tokens)?,
        id: about["id"].to_string(),
        is_public: about["visibility"] == "public",
        environment: Environment::read(&arguments.environment, environment.as_ref(), &policies),
        rulesets: Rulesets::find(&repository)?,
        repository: about["full_name"].as_str().context("GitHub does not name the repository")?.to_owned(),
        account,
        region,
        images: registry.repository.as_str().to_owned(),
        keeps_tags: registry.creation.tags == Tags::Immutable,
        cluster: arguments.cluster.clone(),
    })
}

/// Repositories made, renamed or moved since July 2026 have the numbers of owner and repository in their subjects:
/// <https://docs.github.com/actions/reference/security/oidc#immutable-subject-claims>
fn subject(about: &Value, tokens: &Value) -> anyhow::Result<String> {
    let is_usual = tokens["use_default"].as_bool().unwrap_or(true)
        || tokens["include_claim_keys"] == serde_json::json!(["repo", "context"]);
    if !is_usual {
        bail!(
            "the tokens of this repository have a subject of its own making ({}), which no role here would know; \
             `gh api --method PUT repos/{{owner}}/{{repo}}/actions/oidc/customization/sub -F use_default=true` goes back to GitHub's",
            tokens["include_claim_keys"]
        );
    }
    if let Some(prefix) = tokens["sub_claim_prefix"].as_str() {
        return Ok(prefix.trim_end_matches(':').to_owned());
    }
    let name = about["full_name"].as_str().context("GitHub does not name the repository")?;
    let (owner, own) = name.split_once('/').context("GitHub names the repository without its owner")?;
    Ok(if tokens["use_immutable_subject"] == true {
        format!("repo:{owner}@{}/{own}@{}", about["owner"]["id"], about["id"])
    } else {
        format!("repo:{owner}/{own}")
    })
}

impl Site {
    /// China and GovCloud have ARNs of their own.
    pub(super) fn partition(&self) -> &'static str {
        match self.region.split('-').collect::<Vec<_>>()[..] {
            ["cn", ..] => "aws-cn",
            ["us", "gov", ..] => "aws-us-gov",
            _ => "aws",
        }
    }

    /// The ARN of GitHub as an identity provider.
    pub(super) fn provider(&self) -> String {
        format!("arn:{}:iam::{}:oidc-provider/{ISSUER}", self.partition(), self.account)
    }

    /// What `.github/delivery.env` is to say; what nobody but its author can decide stays as it is there.
    pub(super) fn delivery(&self, there: &Delivery) -> Vec<(&'static str, String)> {
        let deploy = match &self.cluster {
            Some(_) => "kubernetes",
            // Others may deploy what the release names.
            None if there.get("DEPLOY") == "gitops" => "gitops",
            None => "none",
        };
        let mut values = vec![
            ("REPOSITORY", self.repository.clone()),
            ("AWS_REGION", self.region.clone()),
            ("AWS_ROLE_PUSHER", self.role_arn("pusher")),
            ("AWS_ROLE_PROMOTER", self.role_arn("promoter")),
            ("AWS_ROLE_READER", self.role_arn("reader")),
            ("ECR_REPOSITORY", self.images.clone()),
            ("ENVIRONMENT", self.environment.name.clone()),
            ("DEPLOY", deploy.to_owned()),
            ("APPROVAL", if self.environment.is_approved() { "required" } else { "none" }.to_owned()),
        ];
        if self.is_public {
            values.push(("ATTESTATIONS", "on".to_owned()));
        }
        if let Some(cluster) = &self.cluster {
            values
                .extend([("AWS_ROLE_DEPLOYER", self.role_arn("deployer")), ("EKS_CLUSTER", cluster.clone())]);
        }
        values
    }

    pub(super) fn role_arn(&self, name: &str) -> String {
        format!("arn:{}:iam::{}:role/{}", self.partition(), self.account, self.role(name))
    }

    pub(super) fn role(&self, name: &str) -> String {
        format!("{}-{name}", self.images.replace('/', "-"))
    }
}

pub(super) const ISSUER: &str = "token.actions.githubusercontent.com";

#[cfg(test)]
pub(super) fn example() -> Site {
    Site {
        repository: "site/job".to_owned(),
        subject: "repo:site@1/job@2".to_owned(),
        id: "2".to_owned(),
        is_public: true,
        account: "123456789012".to_owned(),
        region: "eu-west-1".to_owned(),
        images: "site/job".to_owned(),
        keeps_tags: true,
        environment: Environment::read("production", None, &[]),
        rulesets: Rulesets::Unavailable,
        cluster: Some("site".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_subject_is_the_one_github_uses() {
        let about = json!({"full_name": "site/job", "id": 2, "owner": {"id": 1}});
        for (tokens, expected) in [
            (json!({"use_default": true, "sub_claim_prefix": "repo:site@1/job@2"}), Ok("repo:site@1/job@2")),
            (json!({"use_default": true, "use_immutable_subject": true}), Ok("repo:site@1/job@2")),
            (json!({"use_default": true, "use_immutable_subject": false}), Ok("repo:site/job")),
            (json!({"use_default": false, "include_claim_keys": ["repo", "context"]}), Ok("repo:site/job")),
            (json!(null), Ok("repo:site/job")),
            (
                json!({"use_default": false, "include_claim_keys": ["actor"]}),
                Err("of its own making ([\"actor\"])"),
            ),
        ] {
            match (subject(&about, &tokens), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{tokens}"),
                (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
                (found, _) => panic!("{tokens}: {found:?}"),
            }
        }
    }

    #[test]
    fn arns_are_those_of_the_partition() {
        for (region, partition) in
            [("eu-west-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
        {
            assert_eq!(Site { region: region.to_owned(), ..example() }.partition(), partition);
        }
    }
}
