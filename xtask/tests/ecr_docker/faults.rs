//! Faults between the daemon and the registry, and between us and the daemon.

use crate::support::emulator::{Repository, address, api};
use crate::support::proxy::{Fault, Proxy, Rule, Server};
use crate::support::{PASSWORD, run};
use crate::{Push, docker};

const JSON: &str = "application/json";

fn rule(holding: &'static str, times: usize, fault: Fault) -> Rule {
    Rule { holding, times, fault }
}

fn answer(status: u16, body: &str) -> Fault {
    Fault::Answer { status, kind: JSON, body: body.to_owned() }
}

fn denied(code: &str, message: &str) -> String {
    format!(r#"{{"errors": [{{"code": "{code}", "message": "{message}"}}]}}"#)
}

/// A push through faults that pass.
#[track_caller]
fn survives(test: &str, rules: Vec<Rule>, said: &[&str]) {
    let push = Push::to(Repository::created(test, "MUTABLE"));
    let proxy = Proxy::start(Server::Tcp(address()), rules);
    let out = run(&mut push.command("--tag v1", &proxy.address)).succeeded().said(said);
    assert_eq!(proxy.left(), 0, "the faults came to pass: {:?}", proxy.seen());
    assert!(push.repository.digest("v1").is_some());
    assert!(!out.stderr.contains(PASSWORD), "{}", out.stderr);
}

#[test]
fn a_layer_that_is_cut_off_goes_up_again() {
    survives("cut", vec![rule("PATCH /v2/", 1, Fault::Cut { after: 300_000 })], &["Verified"]);
}

#[test]
fn a_server_error_passes() {
    survives("error", vec![rule("PUT /v2/test/error", 1, answer(500, "{}"))], &["Verified"]);
}

#[test]
fn a_throttled_manifest_is_pushed_again() {
    let body = denied("TOOMANYREQUESTS", "Rate exceeded");
    survives("throttled", vec![rule("/manifests/inputs-", 3, answer(429, &body))], &["Verified"]);
}

#[test]
fn an_expired_token_is_replaced_once() {
    let body = denied("DENIED", "Your authorization token has expired. Reauthenticate and try again.");
    survives("expired", vec![rule("POST /v2/", 2, answer(403, &body))], &["Refreshing the token"]);
}

#[test]
fn a_token_that_is_never_taken_is_an_end() {
    let push = Push::to(Repository::created("never", "MUTABLE"));
    let body = denied("DENIED", "Your authorization token has expired. Reauthenticate and try again.");
    let rules = vec![rule("POST /v2/", 999, answer(403, &body)), rule("HEAD /v2/", 999, answer(403, &body))];
    let proxy = Proxy::start(Server::Tcp(address()), rules);
    run(&mut push.command("", &proxy.address))
        .failed(&["the image was not pushed, not with a new token either"]);
}

#[test]
fn what_is_forbidden_is_not_tried_again() {
    let push = Push::to(Repository::created("forbidden", "MUTABLE"));
    let body = denied("DENIED", "User: a is not authorized to perform: ecr:InitiateLayerUpload");
    let proxy = Proxy::start(Server::Tcp(address()), vec![rule("POST /v2/", 999, answer(403, &body))]);
    let out = run(&mut push.command("", &proxy.address))
        .failed(&["the image was not pushed: denied: User: a is not"]);
    assert!(!out.stderr.contains("Retrying"), "{}", out.stderr);
}

#[test]
fn a_connection_that_ends_for_want_of_a_repository_is_told_apart() {
    let push = Push::to(Repository::created("gone", "MUTABLE"));
    // the repository is there when it is looked for, and gone when the layers come
    let nothing = answer(200, r#"{"images": [], "failures": []}"#);
    let rules = vec![rule("BatchGetImage", 2, nothing), rule("/blobs/", 999, Fault::Close)];
    let proxy = Proxy::start(Server::Tcp(address()), rules);
    api("DeleteRepository", serde_json::json!({"repositoryName": push.repository.0, "force": true}));
    run(&mut push.command("", &proxy.address))
        .failed(&["there is no repository", "aws ecr create-repository"]);
}

#[test]
fn a_daemon_that_names_no_digest_or_only_an_error_is_not_believed() {
    for (test, frames, times, said) in [
        (
            "mute",
            "{\"status\":\"Pushed\",\"id\":\"a\"}\n",
            1,
            "the daemon ended the push without naming a digest",
        ),
        ("error-only", "{\"error\":\"EOF\"}\n", 1, "EOF"),
        ("denied-only", "{\"error\":\"denied: no\"}\n", 1, "denied: no"),
    ] {
        let push = Push::to(Repository::created(test, "MUTABLE"));
        let proxy = Proxy::start(
            Server::Unix("/var/run/docker.sock".to_owned()),
            vec![rule("/push?", times, answer(200, frames))],
        );
        let mut command = push.command("", &address());
        command.env("DOCKER_HOST", format!("tcp://{}", proxy.address));
        let out = run(&mut command);
        assert_eq!(proxy.left(), 0);
        if test == "denied-only" {
            out.failed(&["the image was not pushed", said]);
        } else {
            // it may pass, and it does
            out.succeeded().said(&["Retrying", said, "Verified"]);
        }
    }
}

#[test]
fn a_digest_that_the_daemon_made_up_is_not_confirmed() {
    let push = Push::to(Repository::created("made-up", "MUTABLE"));
    let digest = format!("sha256:{}", "ab".repeat(32));
    let frames = format!("{{\"status\":\"v1: digest: {digest} size: 735\"}}\n");
    let proxy = Proxy::start(
        Server::Unix("/var/run/docker.sock".to_owned()),
        vec![rule("/push?", 1, answer(200, &frames))],
    );
    let mut command = push.command("", &address());
    run(command.env("DOCKER_HOST", format!("tcp://{}", proxy.address)))
        .failed(&["ECR does not confirm the push", &digest]);
}

#[test]
fn the_token_is_in_no_log_of_a_push() {
    let push = Push::to(Repository::created("quiet", "MUTABLE"));
    let mut command = push.command("", &address());
    let out = run(command.env("RUST_LOG", "trace")).succeeded();
    assert!(out.stderr.contains("TRACE") && out.stderr.contains("Pushed"), "{}", out.stderr.len());
    use base64::Engine;
    let standard = base64::engine::general_purpose::STANDARD;
    let url = base64::engine::general_purpose::URL_SAFE;
    let json = serde_json::json!({"username": "AWS", "password": PASSWORD, "serveraddress": address()});
    for shape in
        [PASSWORD.to_owned(), standard.encode(format!("AWS:{PASSWORD}")), url.encode(json.to_string())]
    {
        assert!(!out.stderr.contains(&shape), "{shape}");
    }
    docker(&["version"]);
}
