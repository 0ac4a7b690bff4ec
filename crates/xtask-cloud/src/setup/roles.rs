//! The roles: which runs may take each, and what it may do.

use serde_json::{Value, json};

use super::site::{ISSUER, Site};

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Role {
    pub(super) name: String,
    /// For the comment above its commands.
    pub(super) purpose: String,
    pub(super) trust: Value,
    pub(super) policy: Value,
    /// After how many seconds its sessions end.
    pub(super) session: u32,
}

/// What AWS gives every role.
const USUAL: u32 = 3600;
/// As long as the workflows' longest job, which follows a migration to its end.
const LONGEST: u32 = 21600;

impl Role {
    pub(super) fn json(&self) -> Value {
        json!({
            "name": self.name,
            "purpose": self.purpose,
            "trust": self.trust,
            "policy": self.policy,
            "max_session_duration": self.session,
        })
    }
}

/// Whose tokens a role takes: every claim must be one of its values.
struct Trusted {
    /// Branch or environment, as the subject ends.
    contexts: Vec<String>,
    /// File and ref. A token is that of the file's copy at the ref, so another workflow, or this one as somebody has
    /// changed it on a branch, is trusted with nothing.
    workflows: &'static [&'static str],
}

const MAIN: &str = "ref:refs/heads/main";
/// At a tag both are copies that whoever made the tag may have written.
const RELEASING: &[&str] = &["release.yml@refs/heads/main", "rollback.yml@refs/heads/main"];

pub(super) fn all(site: &Site) -> Vec<Role> {
    let trusted = |contexts: &[&str], workflows| Trusted {
        contexts: contexts.iter().map(|context| (*context).to_owned()).collect(),
        workflows,
    };
    let pusher = trusted(&[MAIN], &["ci.yml@refs/heads/main"]);
    let promoter = trusted(&[MAIN], &["release.yml@refs/heads/main"]);
    let reader = trusted(&[MAIN], RELEASING);
    let mut roles = vec![
        role(site, "pusher", "ci.yml on main: builds and pushes", &pusher, images(site, &[READ, WRITE])),
        role(
            site,
            "promoter",
            "release.yml on main: gives the image its tag, and can upload nothing",
            &promoter,
            images(site, &[READ, &["ecr:PutImage"]]),
        ),
        role(
            site,
            "reader",
            "rehearsals and the plan of a rollback: look, and can't write",
            &reader,
            images(site, &[READ]),
        ),
    ];
    if let Some(cluster) = &site.cluster {
        // A job with an environment has it in its subject, and no branch or tag.
        let environment = site.environment.name.replace(':', "%3A");
        let deployer = trusted(&[&format!("environment:{environment}")], RELEASING);
        let arn = format!("arn:{}:eks:{}:{}:cluster/{cluster}", site.partition(), site.region, site.account);
        let policy = policy(&[json!({"Effect": "Allow", "Action": "eks:DescribeCluster", "Resource": arn})]);
        let purpose = format!(
            "jobs of the environment {}: reach the cluster, where k8s/release says what they may",
            site.environment.name
        );
        roles.push(Role { session: LONGEST, ..role(site, "deployer", &purpose, &deployer, policy) });
    }
    roles
}

fn role(site: &Site, name: &str, purpose: &str, trusted: &Trusted, policy: Value) -> Role {
    Role {
        name: site.role(name),
        purpose: purpose.to_owned(),
        trust: trust(site, trusted),
        policy,
        session: USUAL,
    }
}

/// AWS evaluates `job_workflow_ref` and `repository_id` of GitHub's tokens beside the subject, so the subject stays
/// GitHub's own: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html>
fn trust(site: &Site, trusted: &Trusted) -> Value {
    let subjects = trusted.contexts.iter().map(|context| format!("{}:{context}", site.subject)).collect();
    let workflow = |workflow: &&str| format!("{}/.github/workflows/{workflow}", site.repository);
    let claims = [
        ("aud", vec!["sts.amazonaws.com".to_owned()]),
        // A name may one day be somebody else's; a number never is.
        ("repository_id", vec![site.id.clone()]),
        ("sub", subjects),
        ("job_workflow_ref", trusted.workflows.iter().map(workflow).collect()),
    ];
    let mut condition = json!({});
    for (claim, values) in claims {
        condition["StringEquals"][format!("{ISSUER}:{claim}")] = match &values[..] {
            [value] => json!(value),
            values => json!(values),
        };
    }
    policy(&[json!({
        "Effect": "Allow",
        "Principal": {"Federated": site.provider()},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": condition,
    })])
}

const READ: &[&str] = &["ecr:BatchGetImage", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer"];
/// No condition of IAM knows the tag of an image, so whoever may put one may put any that the repository's immutability
/// leaves free. That misleads nobody who verifies the attestation, as a release does.
const WRITE: &[&str] = &[
    "ecr:BatchCheckLayerAvailability",
    "ecr:CompleteLayerUpload",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
];

fn images(site: &Site, actions: &[&[&str]]) -> Value {
    let arn =
        format!("arn:{}:ecr:{}:{}:repository/{}", site.partition(), site.region, site.account, site.images);
    let mut actions = actions.concat();
    actions.sort_unstable();
    policy(&[
        json!({"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"}),
        json!({"Effect": "Allow", "Action": actions, "Resource": arn}),
    ])
}

fn policy(statements: &[Value]) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

#[cfg(test)]
mod tests {
    use super::super::environment::Environment;
    use super::super::site::example;
    use super::*;

    /// The conditions of a role, and what it may do.
    fn of(site: &Site, name: &str) -> (Value, Value) {
        let role = all(site).into_iter().find(|role| role.name == format!("site-job-{name}")).unwrap();
        (role.trust["Statement"][0]["Condition"].clone(), role.policy)
    }

    /// Any workflow of the branch or tag could take a role, in whatever way somebody had changed it.
    #[test]
    fn each_role_trusts_one_kind_of_run_of_a_workflow() {
        let like = |values: Value| {
            let [subject, workflow] = ["sub", "job_workflow_ref"].map(|claim| values[claim].clone());
            let named = |context: &Value| json!(format!("repo:site@1/job@2:{}", context.as_str().unwrap()));
            let file = |workflow: &Value| {
                json!(format!("site/job/.github/workflows/{}", workflow.as_str().unwrap()))
            };
            let each = |values: &Value, each: &dyn Fn(&Value) -> Value| match values.as_array() {
                Some(values) => values.iter().map(each).collect(),
                None => each(values),
            };
            (each(&subject, &named), each(&workflow, &file))
        };
        let releasing = json!(["release.yml@refs/heads/main", "rollback.yml@refs/heads/main"]);
        let main = "ref:refs/heads/main";
        for (name, claims) in [
            ("pusher", json!({"sub": main, "job_workflow_ref": "ci.yml@refs/heads/main"})),
            ("promoter", json!({"sub": main, "job_workflow_ref": "release.yml@refs/heads/main"})),
            ("reader", json!({"sub": main, "job_workflow_ref": releasing})),
            ("deployer", json!({"sub": "environment:production", "job_workflow_ref": releasing})),
        ] {
            let (condition, _) = of(&example(), name);
            let (subject, workflow) = like(claims);
            let claims = json!({"StringEquals": {
                format!("{ISSUER}:sub"): subject,
                format!("{ISSUER}:job_workflow_ref"): workflow,
                format!("{ISSUER}:aud"): "sts.amazonaws.com",
                format!("{ISSUER}:repository_id"): "2",
            }});
            assert_eq!(condition, claims, "{name}");
        }
    }

    /// The promoter's, the reader's and the deployer's role trusted release.yml at tags `v*`: whoever could make a tag, on a
    /// commit that nobody had merged, took them with a release.yml of their own, without a gate.
    #[test]
    fn no_role_trusts_another_ref_than_main() {
        for role in all(&example()) {
            let condition = &role.trust["Statement"][0]["Condition"];
            assert_eq!(
                condition.as_object().unwrap().keys().collect::<Vec<_>>(),
                ["StringEquals"],
                "no patterns"
            );
            let claim = |claim: &str| match &condition["StringEquals"][format!("{ISSUER}:{claim}")] {
                Value::Array(values) => values.clone(),
                value => vec![value.clone()],
            };
            for workflow in claim("job_workflow_ref") {
                assert!(
                    workflow.as_str().unwrap().ends_with(".yml@refs/heads/main"),
                    "{} {workflow}",
                    role.name
                );
            }
            for subject in claim("sub") {
                let is_main = subject.as_str().unwrap().ends_with(":ref:refs/heads/main");
                assert!(
                    is_main || subject == "repo:site@1/job@2:environment:production",
                    "{} {subject}",
                    role.name
                );
            }
        }
    }

    #[test]
    fn who_promotes_can_upload_nothing() {
        let (_, policy) = of(&example(), "promoter");
        assert_eq!(
            policy["Statement"][1]["Action"],
            json!(["ecr:BatchGetImage", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer", "ecr:PutImage"])
        );
    }

    #[test]
    fn who_reads_can_not_write_and_who_follows_a_migration_has_the_time() {
        let (_, policy) = of(&example(), "reader");
        assert_eq!(
            policy["Statement"][1]["Action"],
            json!(["ecr:BatchGetImage", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer"])
        );
        let roles = all(&example());
        assert_eq!(roles.iter().map(|role| role.session).collect::<Vec<_>>(), [3600, 3600, 3600, 21600]);
        assert_eq!(
            roles[3].policy["Statement"][0]["Resource"],
            "arn:aws:eks:eu-west-1:123456789012:cluster/site"
        );
    }

    #[test]
    fn a_subject_of_names_alone_is_tied_to_the_repositorys_number() {
        let site = Site {
            subject: "repo:site/job".to_owned(),
            environment: Environment::read("a:b", None, &[]),
            ..example()
        };
        let (condition, _) = of(&site, "deployer");
        assert_eq!(condition["StringEquals"][format!("{ISSUER}:repository_id")], "2");
        assert_eq!(condition["StringEquals"][format!("{ISSUER}:sub")], "repo:site/job:environment:a%3Ab");
    }
}
