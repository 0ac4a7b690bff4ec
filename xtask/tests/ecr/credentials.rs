//! Where credentials, account and region come from, and what is said when they don't.

use crate::support::emulator::address;
use crate::support::proxy::{Fault, Proxy, Rule, Server};
use crate::support::{Scratch, run, xtask};

#[test]
fn without_credentials_every_source_is_named() {
    let scratch = Scratch::new();
    let mut command = xtask("ecr-login", &address(), &scratch);
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    run(&mut command).failed(&[
        "no AWS credentials",
        "AWS_ACCESS_KEY_ID is not set",
        "no ~/.aws/config and no ~/.aws/credentials",
        "AWS_WEB_IDENTITY_TOKEN_FILE is not set",
        "AWS_CONTAINER_CREDENTIALS_…_URI is not set",
        "the metadata of the instance is disabled",
        "aws sso login",
    ]);
    run(command.env("GITHUB_ACTIONS", "true")).failed(&["permissions: id-token: write"]);
}

#[test]
fn profiles_work_as_in_the_aws_cli() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.path().join(".aws")).unwrap();
    let process = scratch.program(
        "credentials",
        r#"echo '{"Version": 1, "AccessKeyId": "from-a-process", "SecretAccessKey": "x"}'"#,
    );
    let text = format!(
        "[profile keys]\nregion = eu-west-1\naws_access_key_id = a\naws_secret_access_key = b\n\
         [profile process]\nregion = eu-west-1\ncredential_process = {}/credentials\n\
         [profile broken]\nregion = eu-west-1\ncredential_process = /bin/false\n\
         [profile nowhere]\naws_access_key_id = a\naws_secret_access_key = b\n",
        process.display()
    );
    scratch.write(".aws/config", &text);
    let with = |profile: &str| {
        let mut command = xtask(&format!("ecr-login --profile {profile}"), &address(), &scratch);
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY").env_remove("AWS_REGION");
        run(&mut command)
    };
    with("keys").succeeded();
    with("process").succeeded();
    with("broken").failed(&["no AWS credentials", "profile broken of", "aws sso login --profile broken"]);
    with("nowhere").failed(&["no region is set; use --region, AWS_REGION"]);
}

#[test]
fn a_web_identity_is_exchanged() {
    // what GitHub Actions hands out: a token in a file, and the role it is for
    let scratch = Scratch::new();
    let token = scratch.write("token", "eyJ.a.b");
    let proxy = Proxy::start(Server::Tcp(address()), vec![]);
    let mut command = xtask("ecr-login", &proxy.address, &scratch);
    command
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY")
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", token)
        .env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/release");
    run(&mut command).succeeded();
    assert!(proxy.seen().len() >= 3, "STS, ECR, registry: {:?}", proxy.seen());
}

#[test]
fn the_account_is_that_of_the_credentials() {
    let scratch = Scratch::new();
    let mut command = xtask("ecr-login", &address(), &scratch);
    // the registry of the account can't be reached from a test, or does not know the emulator's token
    run(command.env_remove("ECR_REGISTRY").env("HTTPS_PROXY", "http://127.0.0.1:9"))
        .failed(&["123456789012.dkr.ecr.eu-west-1.amazonaws.com"]);
}

#[test]
fn what_aws_refuses_is_said_with_what_to_do() {
    let refusal = |code: &str| {
        let body = format!(r#"{{"__type": "{code}", "message": "because"}}"#);
        Fault::Answer { status: 400, kind: "application/x-amz-json-1.1", body }
    };
    for (code, said) in [
        ("ExpiredTokenException", "sign in again"),
        ("UnrecognizedClientException", "AWS does not know these credentials"),
        ("AccessDeniedException", "add the action to the policy"),
    ] {
        let rule = Rule { holding: "GetAuthorizationToken", times: 9, fault: refusal(code) };
        let proxy = Proxy::start(Server::Tcp(address()), vec![rule]);
        let scratch = Scratch::new();
        run(&mut xtask("ecr-login", &proxy.address, &scratch)).failed(&[
            "ECR gave no token",
            code,
            "because",
            said,
        ]);
        assert_eq!(proxy.left(), 8, "what can't pass is not tried again");
    }
}

#[test]
fn an_endpoint_that_nobody_listens_on_is_said_in_full() {
    let scratch = Scratch::new();
    // a port that was free a moment ago
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = xtask("ecr-login", &address(), &scratch);
    run(command.env("AWS_ENDPOINT_URL_ECR", format!("http://127.0.0.1:{port}")))
        .failed(&["ECR gave no token", "onnection refused"]);
}

#[test]
fn what_may_pass_is_tried_again_and_said() {
    let throttled = Fault::Answer {
        status: 429,
        kind: "application/x-amz-json-1.1",
        body: r#"{"__type": "ThrottlingException", "message": "Rate exceeded"}"#.to_owned(),
    };
    let broken = Fault::Answer { status: 500, kind: "application/x-amz-json-1.1", body: "{}".to_owned() };
    for (fault, times) in [(throttled, 3), (broken, 1), (Fault::Close, 1)] {
        let rule = Rule { holding: "GetAuthorizationToken", times, fault };
        let proxy = Proxy::start(Server::Tcp(address()), vec![rule]);
        let scratch = Scratch::new();
        let said = format!("a request to AWS that failed ({} of 5)", times + 1);
        run(&mut xtask("ecr-login", &proxy.address, &scratch)).succeeded().said(&[&said]);
        assert_eq!(proxy.left(), 0);
    }
}
