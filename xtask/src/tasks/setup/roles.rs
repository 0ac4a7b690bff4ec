//! The three roles: who may take each, and what it may do.

use serde_json::{Value, json};

use super::facts::{Facts, ISSUER};

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

/// Which subjects may take a role.
enum Subject {
    Exactly(String),
    Like(String),
}

pub(super) fn all(facts: &Facts) -> Vec<Role> {
    let Facts { subject, environment, .. } = facts;
    let main = Subject::Exactly(format!("{subject}:ref:refs/heads/main"));
    let tags = Subject::Like(format!("{subject}:ref:refs/tags/v*"));
    let mut roles = vec![
        role(facts, "pusher", "ci.yml on main: builds and pushes", &main, images(facts)),
        // It may upload too: where the registry lacks the image, the release builds it.
        role(facts, "promoter", "release.yml on tags v*: gives the image its tag", &tags, images(facts)),
    ];
    if let Some(cluster) = &facts.cluster {
        // A job with an environment has it in its subject, and no branch or tag.
        let environment = environment.name.replace(':', "%3A");
        let subject = Subject::Exactly(format!("{subject}:environment:{environment}"));
        let arn =
            format!("arn:{}:eks:{}:{}:cluster/{cluster}", facts.partition(), facts.region, facts.account);
        let policy = policy(&[json!({"Effect": "Allow", "Action": "eks:DescribeCluster", "Resource": arn})]);
        let purpose = format!(
            "jobs of the environment {}: reach the cluster, where k8s/release says what they may",
            facts.environment.name
        );
        roles.push(Role { session: LONGEST, ..role(facts, "deployer", &purpose, &subject, policy) });
    }
    roles
}

fn role(facts: &Facts, name: &str, purpose: &str, subject: &Subject, policy: Value) -> Role {
    Role {
        name: facts.role(name),
        purpose: purpose.to_owned(),
        trust: trust(facts, subject),
        policy,
        session: USUAL,
    }
}

fn trust(facts: &Facts, subject: &Subject) -> Value {
    let mut exactly = json!({format!("{ISSUER}:aud"): "sts.amazonaws.com"});
    // A name may one day be somebody else's; a number never is.
    if !facts.subject.contains('@') {
        exactly[format!("{ISSUER}:repository_id")] = json!(facts.id);
    }
    let mut condition = json!({});
    match subject {
        Subject::Exactly(subject) => exactly[format!("{ISSUER}:sub")] = json!(subject),
        Subject::Like(pattern) => condition["StringLike"] = json!({format!("{ISSUER}:sub"): pattern}),
    }
    condition["StringEquals"] = exactly;
    policy(&[json!({
        "Effect": "Allow",
        "Principal": {"Federated": facts.provider()},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": condition,
    })])
}

fn images(facts: &Facts) -> Value {
    let arn = format!(
        "arn:{}:ecr:{}:{}:repository/{}",
        facts.partition(),
        facts.region,
        facts.account,
        facts.images
    );
    policy(&[
        json!({"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"}),
        json!({
            "Effect": "Allow",
            "Action": [
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:CompleteLayerUpload",
                "ecr:DescribeImages",
                "ecr:GetDownloadUrlForLayer",
                "ecr:InitiateLayerUpload",
                "ecr:PutImage",
                "ecr:UploadLayerPart",
            ],
            "Resource": arn,
        }),
    ])
}

fn policy(statements: &[Value]) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

#[cfg(test)]
mod tests {
    use super::super::environment::Environment;
    use super::super::facts::example;
    use super::*;

    #[test]
    fn each_role_trusts_one_kind_of_run() {
        let roles = all(&example());
        let conditions: Vec<_> =
            roles.iter().map(|role| (&*role.name, &role.trust["Statement"][0]["Condition"])).collect();
        let sub = "token.actions.githubusercontent.com:sub";
        let aud = "token.actions.githubusercontent.com:aud";
        assert_eq!(
            conditions,
            [
                (
                    "site-job-pusher",
                    &json!({"StringEquals": {aud: "sts.amazonaws.com", sub: "repo:site@1/job@2:ref:refs/heads/main"}})
                ),
                (
                    "site-job-promoter",
                    &json!({
                        "StringEquals": {aud: "sts.amazonaws.com"},
                        "StringLike": {sub: "repo:site@1/job@2:ref:refs/tags/v*"},
                    })
                ),
                (
                    "site-job-deployer",
                    &json!({"StringEquals": {aud: "sts.amazonaws.com", sub: "repo:site@1/job@2:environment:production"}})
                ),
            ]
        );
        assert_eq!(roles.iter().map(|role| role.session).collect::<Vec<_>>(), [3600, 3600, 21600]);
        assert_eq!(
            roles[2].policy["Statement"][0]["Resource"],
            "arn:aws:eks:eu-west-1:123456789012:cluster/site"
        );
    }

    #[test]
    fn a_subject_of_names_alone_is_tied_to_the_repositorys_number() {
        let facts = Facts {
            subject: "repo:site/job".to_owned(),
            environment: Environment::read("a:b", None, None),
            ..example()
        };
        for role in all(&facts) {
            let equals = &role.trust["Statement"][0]["Condition"]["StringEquals"];
            assert_eq!(equals["token.actions.githubusercontent.com:repository_id"], "2", "{}", role.name);
        }
        let deployer = all(&facts).pop().unwrap().trust.to_string();
        assert!(deployer.contains("repo:site/job:environment:a%3Ab"), "{deployer}");
    }
}
