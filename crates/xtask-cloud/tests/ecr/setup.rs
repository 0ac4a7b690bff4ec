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
    let environment = format!("{repository}/environments/production");
    let reviewers =
        json!({"type": "required_reviewers", "reviewers": [{"type": "User", "reviewer": {"id": 7}}]});
    let rules = json!({"protection_rules": [{"type": "wait_timer", "wait_timer": 30}, reviewers]});
    tree.answer(&environment, &rules);
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
        "there is no role setup-job-reader",
        "there is no role setup-job-deployer",
        "the deployer is not in the group run-migrations-release of the cluster setup",
        "any branch may use the environment production",
        "whoever may write to the repository may make, move and delete tags, and so release",
        "commits that nobody else has reviewed, or that ci has not passed, get into main",
        ".github/delivery.env does not say AWS_REGION=eu-west-1:\n    sed -i.old",
    ]);
    let script = setup("").succeeded().stdout;
    let admission = "\n# After you have made the names in it yours, which Jobs may be made there:\n# kubectl apply -k k8s/admission\n";
    assert!(script.contains(admission), "{script}");
    assert!(
        script.contains("Without it set ATTESTATIONS=off there. What is lost with that: nobody verifies"),
        "{script}"
    );
    assert!(!script.contains("gh variable"), "{script}");
    let script = tree.scratch.write("setup.sh", &script);
    with_aws_cli(like_xtask(&tree, "sh").arg(script).current_dir(tree.root())).succeeded();
    let diff = "not that of main, which alone has an effect; commit it, and merge it:\n    git diff refs/remotes/origin/main";
    setup("--check").failed(&[diff]);
    tree.commit("Say what a release goes by");
    setup("--check").succeeded().said(&["As it should be"]);
    let kept = std::fs::read_to_string(tree.github().join(format!("api/{environment}.json"))).unwrap();
    let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
    let kept = &kept["protection_rules"].as_array().unwrap()[1..];
    let mut expected = rules["protection_rules"].as_array().unwrap().clone();
    expected[1]["prevent_self_review"] = json!(true);
    assert_eq!(kept, expected, "who approves has not changed, and cannot be who started the run");

    let json: serde_json::Value = serde_json::from_str(&setup("--json").succeeded().stdout).unwrap();
    assert_eq!(
        json["delivery"]["ATTESTATIONS"],
        json!(null),
        "nobody proposes to ask no longer who built an image"
    );
    assert_eq!(json["delivery"]["APPROVAL"], "required");
    assert_eq!(json["delivery"]["DEPLOY"], "kubernetes");
    assert_eq!(json["roles"][3]["max_session_duration"], 21600);
    let trust = json["roles"][1]["trust"].to_string();
    assert!(trust.contains("repo:site@11/run-migrations@22:ref:refs/heads/main"), "{trust}");
    assert!(trust.contains("site/run-migrations/.github/workflows/release.yml@refs/heads/main"), "{trust}");

    // Somebody lets every branch push and deploy, and two roles do everything.
    let wide = trust.replace("StringEquals", "StringLike").replace("refs/heads/main", "*");
    let claim = "token.actions.githubusercontent.com:job_workflow_ref";
    let mut any = json["roles"][0]["trust"].clone();
    any["Statement"][0]["Condition"]["StringEquals"].as_object_mut().unwrap().remove(claim).unwrap();
    let trusts = |role: &str, trust: &str| {
        let words =
            format!("iam update-assume-role-policy --role-name setup-job-{role} --policy-document {trust}");
        aws(&tree, &words).succeeded();
    };
    // Any workflow of main, as it was before.
    trusts("pusher", &any.to_string());
    trusts("promoter", &wide);
    let all = "arn:aws:iam::aws:policy/AdministratorAccess";
    aws(&tree, &format!("iam attach-role-policy --role-name setup-job-pusher --policy-arn {all}"))
        .succeeded();
    let admin = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy";
    let deployer = "--cluster-name setup --principal-arn arn:aws:iam::123456789012:role/setup-job-deployer";
    aws(
        &tree,
        &format!("eks associate-access-policy {deployer} --policy-arn {admin} --access-scope type=cluster"),
    )
    .succeeded();
    aws(
        &tree,
        &format!("eks update-access-entry {deployer} --kubernetes-groups run-migrations-release more"),
    )
    .succeeded();
    aws(&tree, "iam update-role --role-name setup-job-deployer --max-session-duration 3600").succeeded();
    let policies = format!("{environment}/deployment-branch-policies");
    let policy = |id: u8, name: &str, kind: &str| json!({"id": id, "name": name, "type": kind});
    let all = [policy(1, "main", "branch"), policy(3, "*", "branch")];
    tree.answer(&policies, &json!({"branch_policies": all}));
    // Whoever writes may make tags again, and approve what they have started.
    let tags = format!("{repository}/rulesets/1");
    let mut ruleset: serde_json::Value = serde_json::from_str(
        &std::fs::read_to_string(tree.github().join(format!("api/{tags}.json"))).unwrap(),
    )
    .unwrap();
    ruleset["conditions"]["ref_name"]["include"] = json!(["refs/tags/v*"]);
    tree.answer(&tags, &ruleset);
    let mut own: serde_json::Value = serde_json::from_str(
        &std::fs::read_to_string(tree.github().join(format!("api/{environment}.json"))).unwrap(),
    )
    .unwrap();
    own["protection_rules"][2]["prevent_self_review"] = json!(false);
    tree.answer(&environment, &own);
    // And sets what the workflows read before.
    std::fs::write(
        tree.github().join("variables.json"),
        json!({"ATTESTATIONS": "off", "OTHER": "1"}).to_string(),
    )
    .unwrap();
    tree.replace(".github/delivery.env", "role/setup-job-reader", "role/setup-job-other");
    tree.commit("Take another role");
    let out = setup("--check").failed(&[
        "11 things are not as they should be",
        "the repository's variable ATTESTATIONS has no effect any more: .github/delivery.env says it:\n    gh variable delete ATTESTATIONS",
        ".github/delivery.env does not say AWS_ROLE_READER=arn:aws:iam::123456789012:role/setup-job-reader:\n    sed",
        "setup-job-pusher trusts others than it should",
        "whoever may write to the repository may make, move and delete tags, and so release:\n    printf %s",
        "who started a run may approve it in the environment production:\n    printf %s",
        "setup-job-promoter trusts others than it should",
        "sessions of setup-job-deployer end after another time than 21600 seconds:\n    aws iam update-role --role-name setup-job-deployer",
        "the deployer is in other groups of the cluster setup than run-migrations-release alone:\n    aws eks update-access-entry",
        "the deployer may do more in the cluster setup than it should:\n    aws eks disassociate-access-policy",
        "the branch * may use the environment production, too:\n    gh api --silent --method DELETE",
        "setup-job-pusher may do more than it should:\n    aws iam detach-role-policy --role-name setup-job-pusher",
    ]);
    // What it names mends it.
    let mends: String = out
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .map(|line| format!("{line}\n"))
        .collect();
    let script = tree.scratch.write("mend.sh", &format!("set -eu\n{mends}"));
    with_aws_cli(like_xtask(&tree, "sh").arg(script).current_dir(tree.root())).succeeded();
    tree.commit("Mend");
    setup("--check").succeeded().said(&["As it should be"]);
    tree.replace(".github/delivery.env", "ATTESTATIONS=on", "ATTESTATIONS=off");
    tree.commit("Ask no longer");
    setup("--check").succeeded().said(&["ATTESTATIONS is off. What is lost with that", "As it should be"]);
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
    assert_eq!(json["roles"].as_array().unwrap().len(), 3, "{json}");
    assert_eq!(json["delivery"]["DEPLOY"], "none");
    assert_eq!(json["delivery"]["ATTESTATIONS"], "on");
}

/// Anyone may open a pull request that asks for the runner's label.
#[test]
fn a_public_repository_has_no_runner_of_its_own() {
    let tree = Tree::copy();
    let repository = "repos/site/run-migrations";
    let about = |visibility: &str| {
        tree.answer(
            repository,
            &json!({"full_name": "site/run-migrations", "id": 22, "visibility": visibility}),
        );
    };
    // The answer was read to the end of its first page.
    let runners: Vec<_> = (1..=101).map(|id| json!({"id": id})).collect();
    tree.answer(&format!("{repository}/actions/runners"), &json!({"total_count": 101, "runners": runners}));
    tree.replace(".github/delivery.env", "DEPLOY_RUNNER=", "DEPLOY_RUNNER=mine");
    let elsewhere = "AWS_ROLE_DEPLOYER=arn:aws:iam::210987654321:role/x";
    tree.replace(".github/delivery.env", "AWS_ROLE_DEPLOYER=", elsewhere);
    let check = || {
        let mut command = tree.xtask("setup github --check", &address());
        command
            .env("ECR_REPOSITORY", "setup/public")
            .env("ECR_ACCOUNT", "123456789012")
            .env_remove("ECR_REGISTRY");
        with_aws_cli(&mut command)
    };
    about("public");
    check().failed(&[
        "a runner of your own serves this public repository, where a pull request of a fork can run on it:\n    \
         gh api --silent --method DELETE repos/site/run-migrations/actions/runners/1\n",
        "gh api --silent --method DELETE repos/site/run-migrations/actions/runners/101\n",
        "DEPLOY_RUNNER is set in a public repository, whose releases the gate then refuses:\n    \
         sed -i.old",
        "has a role of another account than 123456789012, AWS_ROLE_DEPLOYER",
    ]);
    about("private");
    assert!(!check().stderr.contains("RUNNER is set"), "nobody else opens a pull request there");
}
