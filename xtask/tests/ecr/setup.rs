//! `setup github`: what it prints does what it says, with the real AWS CLI against the emulator's IAM.

use std::process::Command;

use serde_json::json;

use crate::support::emulator::address;
use crate::support::tree::Tree;
use crate::support::{Run, run};

fn with_aws_cli(command: &mut Command) -> Run {
    let aws = std::env::var("TEST_AWS_BIN").unwrap();
    let own = command.get_envs().find(|(name, _)| *name == "PATH").unwrap().1.unwrap();
    let path = format!("{aws}:{}", own.to_str().unwrap());
    // Version 1 of the AWS CLI reads the older name alone.
    run(command.env("PATH", path).env("AWS_DEFAULT_REGION", "eu-west-1"))
}

/// Another program with the environment that xtask gets here.
fn like_xtask(tree: &Tree, program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, value) in tree.xtask("", &address()).get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// The real AWS CLI; no word of it holds a space.
fn aws(tree: &Tree, words: &str) -> Run {
    let mut aws = like_xtask(tree, &format!("{}/aws", std::env::var("TEST_AWS_BIN").unwrap()));
    with_aws_cli(aws.args(words.split(' ')))
}

#[test]
fn what_is_printed_sets_everything_up_and_the_check_agrees() {
    let tree = Tree::copy();
    let repository = "repos/site/run-migrations";
    tree.answer(
        repository,
        &json!({"full_name": "site/run-migrations", "id": 22, "visibility": "private", "owner": {"id": 11}}),
    );
    tree.answer(
        &format!("{repository}/actions/oidc/customization/sub"),
        &json!({"use_default": true, "use_immutable_subject": true, "sub_claim_prefix": "repo:site@11/run-migrations@22"}),
    );
    tree.answer(
        &format!("{repository}/environments/production"),
        &json!({"protection_rules": [{"type": "required_reviewers"}]}),
    );
    aws(&tree, "eks create-cluster --name setup --role-arn arn:aws:iam::123456789012:role/eks --resources-vpc-config subnetIds=subnet-1")
        .succeeded();
    let bin = tree.scratch.program("kubectl", "echo \"$@\" > \"$GH_STATE/kubectl\"");
    assert!(bin.join("kubectl").is_file());
    let setup = |words: &str| {
        let mut command = tree.xtask(&format!("setup github --cluster setup {words}"), &address());
        command
            .env("ECR_REPOSITORY", "setup/job")
            .env("ECR_ACCOUNT", "123456789012")
            .env_remove("ECR_REGISTRY");
        with_aws_cli(&mut command)
    };
    setup("--check").failed(&[
        "AWS does not know GitHub as an identity provider",
        "there is no role setup-job-pusher",
        "there is no role setup-job-promoter",
        "there is no role setup-job-deployer",
        "the deployer is not in the group run-migrations-release of the cluster setup",
        "any branch may use the environment production",
        "the variable AWS_REGION is not eu-west-1",
    ]);
    let script = tree.scratch.write("setup.sh", &setup("").succeeded().stdout);
    with_aws_cli(like_xtask(&tree, "sh").arg(script)).succeeded();
    setup("--check").succeeded().said(&["As it should be"]);

    let json: serde_json::Value = serde_json::from_str(&setup("--json").succeeded().stdout).unwrap();
    assert_eq!(json["variables"]["ATTESTATIONS"], "off", "the repository is private");
    assert_eq!(json["variables"]["APPROVAL"], "required");
    assert_eq!(json["variables"]["DEPLOY"], "kubernetes");
    let trust = json["roles"][1]["trust"].to_string();
    assert!(trust.contains("repo:site@11/run-migrations@22:ref:refs/tags/v*"), "{trust}");

    // Somebody lets every branch push, and one role do everything.
    let wide = trust.replace("refs/tags/v*", "*");
    aws(
        &tree,
        &format!("iam update-assume-role-policy --role-name setup-job-promoter --policy-document {wide}"),
    )
    .succeeded();
    let all = "arn:aws:iam::aws:policy/AdministratorAccess";
    aws(&tree, &format!("iam attach-role-policy --role-name setup-job-pusher --policy-arn {all}"))
        .succeeded();
    setup("--check").failed(&[
        "2 things are not as they should be",
        "setup-job-promoter trusts others than it should",
        "setup-job-pusher may do more than it should:\n    aws iam detach-role-policy --role-name setup-job-pusher",
    ]);
}

#[test]
fn without_a_cluster_there_is_no_deployer() {
    let tree = Tree::copy();
    tree.answer(
        "repos/site/run-migrations",
        &json!({"full_name": "site/run-migrations", "id": 22, "visibility": "public"}),
    );
    let mut command = tree.xtask("setup github --json", &address());
    command.env("ECR_REPOSITORY", "setup/none").env("ECR_ACCOUNT", "123456789012").env_remove("ECR_REGISTRY");
    let json: serde_json::Value = serde_json::from_str(&run(&mut command).succeeded().stdout).unwrap();
    assert_eq!(json["roles"].as_array().unwrap().len(), 2, "{json}");
    assert_eq!(json["variables"]["DEPLOY"], "none");
    assert_eq!(json["variables"]["ATTESTATIONS"], "on");
}
