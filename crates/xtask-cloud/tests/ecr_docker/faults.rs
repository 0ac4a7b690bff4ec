//! Faults between the daemon and the registry, and between us and the daemon.

use crate::Push;
use crate::support::emulator::{Repository, address, api};
use crate::support::proxy::{Fault, Proxy, Rule, Server};
use crate::support::{PASSWORD, run};

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

/// Kills a push as soon as one of the faults has come to pass; then nothing stands in the way of the next one.
fn killed(test: &str, fault: Rule) -> (Push, String) {
    let push = Push::to(Repository::created(test, "MUTABLE"));
    let times = fault.times;
    let proxy = Proxy::start(Server::Tcp(address()), vec![fault]);
    let quiet = std::process::Stdio::null;
    let mut child = push.command("--tag v1", &proxy.address).stdout(quiet()).stderr(quiet()).spawn().unwrap();
    while proxy.left() == times {
        assert_eq!(child.try_wait().unwrap(), None, "it ended before its time");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(push.repository.digest("v1"), None);
    let out = run(&mut push.command("--tag v1", &address())).succeeded();
    assert!(out.stdout.contains(&push.repository.digest("v1").unwrap()), "{}", out.stdout);
    (push, out.stderr)
}

#[test]
fn a_push_killed_in_a_layer_is_done_again() {
    let (_push, said) = killed("killed-layer", rule("PATCH /v2/", 99, Fault::Cut { after: 300_000 }));
    assert!(said.contains("Pushed") && said.contains("Verified"), "{said}");
}

#[test]
fn a_push_killed_between_upload_and_tag_is_gone_on_with() {
    let (push, said) = killed("killed-tag", rule("PutImage", 99, Fault::Close));
    assert!(said.contains("Promoted"), "nothing is uploaded again: {said}");
    assert_eq!(push.repository.digest(&push.identity()), push.repository.digest("v1"));
}

/// Everything that `ps` could show while a push runs, and the environment of the push itself.
#[test]
fn the_token_is_in_no_list_of_processes_during_a_push() {
    let push = Push::to(Repository::created("listed", "MUTABLE"));
    let secret = push.scratch.write("answer", &format!(r#"{{"Username": "AWS", "Secret": "{PASSWORD}"}}"#));
    let bin = push.scratch.program("docker-credential-test", &format!("sleep 0.2; cat {}", secret.display()));
    push.scratch.write("config.json", r#"{"credsStore": "test"}"#);
    let mut command = push.command("", &address());
    command.env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()));
    let mut child =
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    let environment = format!("/proc/{}/environ", child.id());
    let (mut looks, mut helpers) = (0, 0);
    while child.try_wait().unwrap().is_none() {
        let lines = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path().join("cmdline"));
        for path in lines.chain([environment.clone().into()]) {
            let shown = String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
            helpers += usize::from(shown.contains("docker-credential-test"));
            for shape in shapes() {
                assert!(!shown.contains(&shape), "{shown}");
            }
        }
        looks += 1;
    }
    assert!(child.wait().unwrap().success());
    assert!(looks > 10 && helpers > 0, "{looks} looks, {helpers} at the helper");
}

/// Every shape in which the password travels during a push.
fn shapes() -> Vec<String> {
    use base64::Engine;
    let standard = base64::engine::general_purpose::STANDARD;
    let url = base64::engine::general_purpose::URL_SAFE;
    let json = serde_json::json!({"username": "AWS", "password": PASSWORD, "serveraddress": address()});
    vec![PASSWORD.to_owned(), standard.encode(format!("AWS:{PASSWORD}")), url.encode(json.to_string())]
}

#[test]
fn the_token_is_in_no_log_of_a_push() {
    let push = Push::to(Repository::created("quiet", "MUTABLE"));
    let mut command = push.command("", &address());
    let out = run(command.env("RUST_LOG", "trace")).succeeded();
    assert!(out.stderr.contains("TRACE") && out.stderr.contains("Pushed"), "{}", out.stderr.len());
    for shape in shapes() {
        assert!(!out.stderr.contains(&shape), "{shape}");
    }
}
