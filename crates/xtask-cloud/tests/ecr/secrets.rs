//! The token and the password are nowhere in what the tasks print, at any level.

use base64::Engine;

use crate::support::emulator::{Repository, address};
use crate::support::proxy::{Fault, Proxy, Rule, Server};
use crate::support::snapshot::Snapshot;
use crate::support::{PASSWORD, Run, Scratch, run, xtask};

/// Every shape in which the password travels.
fn shapes() -> Vec<String> {
    let standard = base64::engine::general_purpose::STANDARD;
    let token = standard.encode(format!("AWS:{PASSWORD}"));
    vec![PASSWORD.to_owned(), standard.encode(PASSWORD), token.clone(), standard.encode(token)]
}

fn assert_clean(out: &Run) {
    for shape in shapes() {
        for text in [&out.stdout, &out.stderr] {
            let at = text.find(&shape).map(|at| &text[at.saturating_sub(300)..at]);
            assert!(at.is_none(), "it was printed after: {at:?}");
        }
    }
}

#[test]
fn they_are_in_no_log_at_the_level_trace() {
    let (scratch, snapshot) = (Scratch::new(), Snapshot::take());
    let repository = Repository::created("secrets", "MUTABLE");
    repository.image(&snapshot.identity(&scratch), "linux/amd64", b"one");
    for words in ["ecr-login", "images", "push-image --tag v1", "ecr-logout", "images"] {
        let mut command = xtask(words, &address(), &scratch);
        command.current_dir(snapshot.root()).env("ECR_REPOSITORY", &repository.0).env("RUST_LOG", "trace");
        let out = run(&mut command).succeeded();
        assert!(words == "ecr-logout" || out.stderr.contains("TRACE"), "{words} logs nothing");
        assert_clean(&out);
    }
}

#[test]
fn they_are_in_no_error() {
    let scratch = Scratch::new();
    let answer = |body: String| Fault::Answer { status: 200, kind: "application/x-amz-json-1.1", body };
    let standard = base64::engine::general_purpose::STANDARD;
    for token in [format!("{PASSWORD}!"), standard.encode(PASSWORD)] {
        let body = format!(r#"{{"authorizationData": [{{"authorizationToken": "{token}"}}]}}"#);
        let rule = Rule { holding: "GetAuthorizationToken", times: 9, fault: answer(body) };
        let proxy = Proxy::start(Server::Tcp(address()), vec![rule]);
        let mut command = xtask("ecr-login", &proxy.address, &scratch);
        let out = run(command.env("RUST_LOG", "trace").env("RUST_BACKTRACE", "1"));
        assert_clean(&out);
        out.said(&["the token from ECR is not understood"]);
    }
    let config = format!(r#"{{"auths": {{"{}": {{"auth": "{PASSWORD}"}}}}}}"#, address());
    scratch.write("config.json", &config);
    let repository = Repository::created("secret-errors", "MUTABLE");
    let out = run(xtask("images", &address(), &scratch).env("ECR_REPOSITORY", &repository.0));
    assert_clean(&out);
    out.succeeded().said(&["docker's stored credentials are not used", "is not usable"]);
}

#[test]
fn they_are_in_no_list_of_processes() {
    let scratch = Scratch::new();
    // a helper that shows how it was called, and by whom
    let script = r#"cat /proc/$$/cmdline /proc/$PPID/cmdline /proc/$PPID/environ /proc/$$/environ | tr '\0' '\n' > "$0.seen"; cat > /dev/null"#;
    let bin = scratch.program("docker-credential-test", script);
    scratch.write("config.json", r#"{"credsStore": "test"}"#);
    let mut command = xtask("ecr-login", &address(), &scratch);
    run(command.env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()))).succeeded();
    let seen = std::fs::read_to_string(bin.join("docker-credential-test.seen")).unwrap();
    assert!(seen.contains("ecr-login") && seen.contains("store"), "{seen}");
    for shape in shapes() {
        assert!(!seen.contains(&shape), "{seen}");
    }
}
