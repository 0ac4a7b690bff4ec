//! Where credentials, account and region come from, and what is said when they don't.

use std::process::Command;

use crate::support::emulator::address;
use crate::support::proxy::{Fault, Proxy, Rule, Server};
use crate::support::{Run, Scratch, run, xtask};

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

/// A login with none of the usual keys, through a proxy that sees which it signs with.
fn login(words: &str, proxy: &Proxy, scratch: &Scratch) -> Command {
    let mut command = xtask(&format!("ecr-login {words}"), &proxy.address, scratch);
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    // what is secret is in no log, whichever source it came from
    command.env("RUST_LOG", "trace");
    command
}

/// The keys that ECR was asked with.
fn keys(proxy: &Proxy) -> Vec<String> {
    let heads = proxy.heads();
    let signed = heads.iter().filter(|head| head.contains("GetAuthorizationToken"));
    let key = |head: &String| Some(head.split_once("Credential=")?.1.split_once('/')?.0.to_owned());
    signed.filter_map(key).collect()
}

/// Secrets of whoever gets in here.
const SECRETS: [&str; 4] = ["its-secret-key", "its-session-token", "its-bearer-token", "its-refresh-token"];

fn assert_silent(out: Run) -> Run {
    for secret in SECRETS {
        let at = out.stderr.find(secret).map(|at| &out.stderr[at.saturating_sub(300)..at]);
        assert!(at.is_none(), "{secret} was printed after: {at:?}");
    }
    out
}

#[test]
fn profiles_work_as_in_the_aws_cli() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.path().join(".aws")).unwrap();
    let process = scratch.program(
        "credentials",
        r#"echo '{"Version": 1, "AccessKeyId": "OF-A-PROCESS", "SecretAccessKey": "its-secret-key", "SessionToken": "its-session-token"}'"#,
    );
    let text = format!(
        "[profile keys]\nregion = eu-west-1\naws_access_key_id = OF-A-FILE\naws_secret_access_key = its-secret-key\n\
         [profile process]\nregion = eu-west-1\ncredential_process = {}/credentials\n\
         [profile role]\nregion = eu-west-1\nrole_arn = arn:aws:iam::123456789012:role/release\nsource_profile = keys\n\
         [profile broken]\nregion = eu-west-1\ncredential_process = /bin/false\n\
         [profile nowhere]\naws_access_key_id = a\naws_secret_access_key = b\n",
        process.display()
    );
    scratch.write(".aws/config", &text);
    let with = |profile: &str| {
        let proxy = Proxy::start(Server::Tcp(address()), vec![]);
        let mut command = login(&format!("--profile {profile}"), &proxy, &scratch);
        (assert_silent(run(command.env_remove("AWS_REGION"))), proxy)
    };
    for (profile, key) in [("keys", "OF-A-FILE"), ("process", "OF-A-PROCESS")] {
        let (out, proxy) = with(profile);
        out.succeeded();
        assert_eq!(keys(&proxy), [key]);
    }
    let (out, proxy) = with("role");
    out.succeeded();
    assert!(keys(&proxy)[0].starts_with("ASIA"), "of the role: {:?}", keys(&proxy));
    let (out, _) = with("broken");
    out.failed(&["no AWS credentials", "profile broken of", "aws sso login --profile broken"]);
    with("nowhere").0.failed(&["no region is set; use --region, AWS_REGION"]);
    with("missing").0.failed(&["no AWS credentials", "`missing` was not defined"]);
}

#[test]
fn a_profile_that_is_asked_for_wins_over_keys_in_the_environment() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.path().join(".aws")).unwrap();
    scratch.write(
        ".aws/config",
        "[profile site]\naws_access_key_id = OF-A-FILE\naws_secret_access_key = its-secret-key\n",
    );
    // the same variable as a flag is weaker, as in the AWS CLI
    for (words, profile, key) in
        [("--profile site", "", "OF-A-FILE"), ("", "site", "test"), ("--profile site", "other", "OF-A-FILE")]
    {
        let proxy = Proxy::start(Server::Tcp(address()), vec![]);
        let mut command = xtask(&format!("ecr-login {words}"), &proxy.address, &scratch);
        run(command.env("AWS_PROFILE", profile)).succeeded();
        assert_eq!(keys(&proxy), [key], "{words} {profile}");
    }
}

/// `aws sso login` leaves a token behind, under the SHA-1 of the session's name.
#[test]
fn a_session_of_aws_sso_login_is_used() {
    let scratch = Scratch::new();
    let cache = scratch.path().join(".aws/sso/cache");
    std::fs::create_dir_all(&cache).unwrap();
    scratch.write(
        ".aws/config",
        "[profile site]\nregion = eu-west-1\nsso_session = work\nsso_account_id = 123456789012\nsso_role_name = release\n\
         [sso-session work]\nsso_region = eu-west-1\nsso_start_url = https://site.awsapps.com/start\n",
    );
    let token = |expires: &str, rest: &str| {
        let text = format!(r#"{{"accessToken": "its-bearer-token", "expiresAt": "{expires}"{rest}}}"#);
        let sum = run(Command::new("sh").args(["-c", "printf work | sha1sum"])).succeeded().stdout;
        std::fs::write(cache.join(format!("{}.json", sum.split(' ').next().unwrap())), text).unwrap();
    };
    let json = |body: &str| Fault::Answer { status: 200, kind: "application/json", body: body.to_owned() };
    let portal = || {
        let body = r#"{"roleCredentials": {"accessKeyId": "OF-A-SESSION", "secretAccessKey": "its-secret-key",
            "sessionToken": "its-session-token", "expiration": 4102444800000}}"#;
        Rule { holding: "GET /federation/credentials?", times: 9, fault: json(body) }
    };
    token("2100-01-01T00:00:00Z", "");
    let proxy = Proxy::start(Server::Tcp(address()), vec![portal()]);
    assert_silent(run(&mut login("--profile site", &proxy, &scratch))).succeeded();
    assert_eq!(keys(&proxy), ["OF-A-SESSION"]);
    let heads = proxy.heads();
    let asked = heads.iter().find(|head| head.contains("/federation/credentials")).unwrap();
    assert!(asked.contains("role_name=release") && asked.contains("account_id=123456789012"), "{asked}");
    assert!(asked.contains("its-bearer-token"), "{asked}");
    // over, with nothing to have it renewed with: what to do is said
    token("2020-01-01T00:00:00Z", "");
    let proxy = Proxy::start(Server::Tcp(address()), vec![portal()]);
    assert_silent(run(&mut login("--profile site", &proxy, &scratch)))
        .failed(&["no AWS credentials", "aws sso login --profile site"]);
    // over, but it can be renewed
    let rest = r#", "refreshToken": "its-refresh-token", "clientId": "a", "clientSecret": "b", "region": "eu-west-1",
        "registrationExpiresAt": "2100-01-01T00:00:00Z", "startUrl": "https://site.awsapps.com/start""#;
    token("2020-01-01T00:00:00Z", rest);
    let renewed = Rule {
        holding: "POST /token",
        times: 9,
        fault: json(r#"{"accessToken": "its-bearer-token", "expiresIn": 3600, "tokenType": "Bearer"}"#),
    };
    let proxy = Proxy::start(Server::Tcp(address()), vec![renewed, portal()]);
    assert_silent(run(&mut login("--profile site", &proxy, &scratch))).succeeded();
    assert_eq!(keys(&proxy), ["OF-A-SESSION"]);
}

/// What GitHub Actions hands out: a token in a file, and the role it is for.
#[test]
fn a_web_identity_is_exchanged() {
    let scratch = Scratch::new();
    let token = scratch.write("token", "eyJ.its-bearer-token.b");
    let proxy = Proxy::start(Server::Tcp(address()), vec![]);
    let mut command = login("", &proxy, &scratch);
    command
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", &token)
        .env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/release");
    assert_silent(run(&mut command)).succeeded();
    assert!(keys(&proxy)[0].starts_with("ASIA"), "of the role: {:?}", keys(&proxy));
    let refusal = "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidIdentityToken</Code>\
                   <Message>No OpenIDConnect provider found</Message></Error></ErrorResponse>";
    let fault = Fault::Answer { status: 400, kind: "text/xml", body: refusal.to_owned() };
    let rule = Rule { holding: "AssumeRoleWithWebIdentity", times: 9, fault };
    let proxy = Proxy::start(Server::Tcp(address()), vec![rule]);
    let mut refused = login("", &proxy, &scratch);
    refused
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", &token)
        .env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/release")
        .env("GITHUB_ACTIONS", "true");
    assert_silent(run(&mut refused)).failed(&[
        "no AWS credentials",
        "No OpenIDConnect provider found",
        "AWS_WEB_IDENTITY_TOKEN_FILE is set",
        "permissions: id-token: write",
    ]);
}

#[test]
fn the_metadata_of_an_instance_are_asked_last() {
    let scratch = Scratch::new();
    let proxy = Proxy::start(Server::Tcp(address()), vec![]);
    let mut command = login("", &proxy, &scratch);
    command.env_remove("AWS_EC2_METADATA_DISABLED").env_remove("AWS_REGION");
    command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", format!("http://{}", proxy.address));
    assert_silent(run(&mut command)).succeeded();
    let asked = proxy.seen();
    let position = |what: &str| asked.iter().position(|line| line.contains(what));
    assert!(position("PUT /latest/api/token") < position("GET /latest/meta-data/iam/security-credentials"));
    assert!(position("GET /latest/meta-data/placement/region").is_some(), "the region too: {asked:?}");
    assert!(keys(&proxy)[0].starts_with("ASIA"), "of the instance: {:?}", keys(&proxy));
}

#[test]
fn the_credentials_of_a_container_are_used() {
    let scratch = Scratch::new();
    // the emulator's front knows no such path below /v2/, which is the registry's
    let body = r#"{"AccessKeyId": "OF-A-CONTAINER", "SecretAccessKey": "its-secret-key", "Token": "its-session-token",
        "Expiration": "2100-01-01T00:00:00Z"}"#;
    let fault = Fault::Answer { status: 200, kind: "application/json", body: body.to_owned() };
    let proxy = Proxy::start(
        Server::Tcp(address()),
        vec![Rule { holding: "GET /v2/credentials/a", times: 9, fault }],
    );
    let mut command = login("", &proxy, &scratch);
    command
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("http://{}/v2/credentials/a", proxy.address))
        .env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "its-bearer-token");
    assert_silent(run(&mut command)).succeeded();
    assert_eq!(keys(&proxy), ["OF-A-CONTAINER"]);
    let heads = proxy.heads();
    assert!(heads.iter().any(|head| head.contains("authorization: its-bearer-token")), "{heads:?}");
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
