//! Credential helpers, as docker's config.json names them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use crate::support::emulator::{Repository, address};
use crate::support::proxy::{Proxy, Server};
use crate::support::{PASSWORD, Scratch, run, xtask};

/// A helper that keeps what it gets in a file beside it.
const KEEPS: &str = r#"
case "$1" in
store) cat > "$0.kept" ;;
get) cat > /dev/null; if [ -f "$0.kept" ]; then sed 's/,"ServerURL":"[^"]*"//; s/"ServerURL":"[^"]*",//' "$0.kept"; else echo "credentials not found in native keychain"; exit 1; fi ;;
erase) cat > /dev/null; rm -f "$0.kept" ;;
esac"#;

fn with_helper(words: &str, scratch: &Scratch, script: &str) -> Command {
    let bin = scratch.program("docker-credential-test", script);
    let mut command = xtask(words, &address(), scratch);
    command.env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()));
    command
}

#[test]
fn the_helper_keeps_the_secret_and_the_file_the_name() {
    for config in [r#"{"credsStore": "test"}"#, r#"{"credsStore": "other", "credHelpers": {"HOST": "test"}}"#]
    {
        let scratch = Scratch::new();
        let config = config.replace("HOST", &address());
        scratch.write("config.json", &config);
        run(&mut with_helper("ecr-login", &scratch, KEEPS))
            .succeeded()
            .said(&["stored by docker-credential-test"]);
        let text = fs::read_to_string(scratch.config()).unwrap();
        let now: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(now["auths"][address()], serde_json::json!({}));
        let kept = fs::read_to_string(scratch.path().join("bin/docker-credential-test.kept")).unwrap();
        assert!(kept.contains(PASSWORD) && kept.contains(&address()), "{kept}");
        run(&mut with_helper("ecr-logout", &scratch, KEEPS))
            .succeeded()
            .said(&["gone from docker-credential-test"]);
        assert!(!scratch.path().join("bin/docker-credential-test.kept").exists());
        let text = fs::read_to_string(scratch.config()).unwrap();
        assert!(!text.contains(&format!("\"{}\": {{}}", address())), "{text}");
    }
}

#[test]
fn beside_a_helper_a_file_that_can_not_be_written_is_left_alone() {
    let scratch = Scratch::new();
    let config = format!(r#"{{"credsStore": "test", "auths": {{"{}": {{}}}}}}"#, address());
    let path = scratch.write("config.json", &config);
    let before = fs::metadata(&path).unwrap();
    for _ in 0..2 {
        run(&mut with_helper("ecr-login", &scratch, KEEPS)).succeeded();
    }
    assert_eq!(fs::metadata(&path).unwrap().ino(), before.ino(), "it was not written");
    assert_eq!(fs::read_to_string(path).unwrap(), config);
}

#[test]
fn a_helper_that_fails_is_quoted_and_nothing_is_written() {
    let scratch = Scratch::new();
    let config = r#"{"credsStore": "test"}"#;
    scratch.write("config.json", config);
    run(&mut with_helper("ecr-login", &scratch, "echo 'the keychain is locked'; exit 1")).failed(&[
        "the token was not stored",
        "docker-credential-test did not store the credentials: the keychain is locked",
    ]);
    // one that repeats what it got is not quoted
    let out = run(&mut with_helper("ecr-login", &scratch, "cat; exit 3")).failed(&["exit status: 3"]);
    assert!(!out.stderr.contains(PASSWORD), "{}", out.stderr);
    assert_eq!(fs::read_to_string(scratch.config()).unwrap(), config);
}

#[test]
fn a_helper_that_is_not_installed_is_named() {
    let scratch = Scratch::new();
    scratch.write("config.json", r#"{"credsStore": "nowhere"}"#);
    run(&mut xtask("ecr-login", &address(), &scratch))
        .failed(&["cannot run docker-credential-nowhere, which docker's config.json names"]);
    scratch.write("config.json", r#"{"credsStore": "../bin/sh"}"#);
    run(&mut xtask("ecr-login", &address(), &scratch)).failed(&["which is not the name of a program"]);
}

#[test]
fn what_docker_has_stored_is_used_while_the_registry_takes_it() {
    let repository = Repository::created("stored-list", "MUTABLE");
    repository.image("v1", "linux/amd64", b"one");
    let good = "QVdTOm1pbmlzdGFjay1hdXRoLXRva2Vu";
    let entry = |key: &str, auth: &str| format!(r#"{{"auths": {{"{key}": {{"auth": "{auth}"}}}}}}"#);
    for (key, auth, overriding, tokens) in [
        ("HOST", good, None, 0),
        ("https://HOST/v2/", good, None, 0),
        // AWS:old, which the registry does not take
        ("HOST", "QVdTOm9sZA==", None, 1),
        ("HOST", "", None, 1),
        ("other", good, None, 1),
        ("HOST", "QVdTOm9sZA==", Some(good), 0),
        ("HOST", good, Some("QVdTOm9sZA=="), 1),
    ] {
        let (scratch, proxy) = (Scratch::new(), Proxy::start(Server::Tcp(address()), vec![]));
        scratch.write("config.json", &entry(&key.replace("HOST", &proxy.address), auth));
        let mut command = xtask("images", &proxy.address, &scratch);
        command.env("ECR_REPOSITORY", &repository.0);
        if let Some(overriding) = overriding {
            command.env("DOCKER_AUTH_CONFIG", entry(&proxy.address, overriding));
        }
        run(&mut command).succeeded();
        assert_eq!(proxy.count("GetAuthorizationToken"), tokens, "{key} {auth} {overriding:?}");
    }
    // the same from a helper
    let (scratch, proxy) = (Scratch::new(), Proxy::start(Server::Tcp(address()), vec![]));
    scratch.write("config.json", r#"{"credsStore": "test"}"#);
    let answer = format!(r#"cat > /dev/null; echo '{{"Username": "AWS", "Secret": "{PASSWORD}"}}'"#);
    let mut command = with_helper("images", &scratch, &answer);
    command.env("ECR_REPOSITORY", &repository.0).env("ECR_REGISTRY", &proxy.address);
    command.env("AWS_ENDPOINT_URL", format!("http://{}", proxy.address));
    run(&mut command).succeeded();
    assert_eq!(proxy.count("GetAuthorizationToken"), 0);
}

#[test]
fn rubbish_from_a_helper_is_no_reason_to_stop() {
    let scratch = Scratch::new();
    let repository = Repository::created("rubbish", "MUTABLE");
    scratch.write("config.json", r#"{"credsStore": "test"}"#);
    let scripts = [
        "echo 'rubbish with a secret'",
        "echo '{\"Username\": 5}'",
        "exit 7",
        "echo '{\"Username\": \"AWS\", \"Secret\": \"rubbish with a secret\"}'; exit 1",
    ];
    for script in scripts {
        let mut command = with_helper("images", &scratch, script);
        let out = run(command.env("ECR_REPOSITORY", &repository.0)).succeeded();
        let out = out.said(&["docker's stored credentials are not used"]);
        assert!(!out.stderr.contains("rubbish with"), "what it prints may be secret: {}", out.stderr);
    }
}

#[test]
fn with_awss_own_helper_there_is_nothing_to_store() {
    let scratch = Scratch::new();
    let config = format!(r#"{{"credHelpers": {{"{}": "ecr-login"}}}}"#, address());
    scratch.write("config.json", &config);
    run(&mut xtask("ecr-login", &address(), &scratch)).succeeded().said(&["Nothing to store"]);
    assert_eq!(fs::read_to_string(scratch.config()).unwrap(), config);
}
