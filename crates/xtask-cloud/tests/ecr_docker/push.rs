//! What a push does when nothing goes wrong.

use serde_json::{Value, json};

use crate::support::emulator::{Repository, address, api};
use crate::support::proxy::{Fault, Proxy, Rule, Server};
use crate::support::{LESSER, PASSWORD, run, stored};
use crate::{Push, docker};

#[test]
fn the_first_push_uploads_and_the_second_only_tags() {
    let push = Push::to(Repository::named("first"));
    let proxy = Proxy::start(Server::Tcp(address()), vec![]);
    run(&mut push.command("", &proxy.address)).failed(&[
        "there is no repository",
        &push.repository.0,
        "--create-repository",
    ]);
    let first = run(&mut push.command("--create-repository --json", &proxy.address)).succeeded();
    let first = first.said(&["Created the repository", "Pushed binary", "Pushed migrations", "Verified"]);
    let result: Value = serde_json::from_str(&first.stdout).unwrap();
    let action = &result["action"];
    assert_eq!(action["kind"], "pushed");
    assert_eq!([&action["layersPushed"], &action["layersInRegistry"]], [2, 0]);
    assert_eq!(result["tags"], json!([{"tag": "latest", "status": {"kind": "added"}}]));
    assert_eq!(result["platform"], "linux/amd64");
    let uploaded = proxy.uploaded();
    assert!(uploaded > 1_000_000, "the layers went through here: {uploaded}");
    let counted = usize::try_from(action["uploaded"].as_u64().unwrap()).unwrap();
    assert!(uploaded.abs_diff(counted) < 20_000, "{counted} is what was counted, {uploaded} what came by");
    let digest = result["digest"].as_str().unwrap();
    assert_eq!(push.repository.digest("latest").as_deref(), Some(digest));
    assert_eq!(push.repository.digest(&push.identity()).as_deref(), Some(digest));
    // no name of the registry is left in the local Docker
    let names = docker(&["image", "ls", "--format", "{{.Repository}}"]);
    assert!(!names.contains(&push.repository.0), "{names}");
    let second = run(&mut push.command("--tag v1.0.0", &proxy.address)).succeeded().said(&["Promoted"]);
    assert_eq!(second.stdout, format!("{}/{}@{digest}\n", proxy.address, push.repository.0));
    assert_eq!(proxy.uploaded(), uploaded, "nothing was uploaded again");
    // what was pinned is what a daemon gets
    docker(&["login", "--username", "AWS", "--password", PASSWORD, &address()]);
    let reference = format!("{}/{}@{digest}", address(), push.repository.0);
    docker(&["pull", "--quiet", &reference]);
    let help = docker(&["run", "--rm", &reference, "--help"]);
    assert!(help.contains("run-migrations"), "{help}");
    docker(&["image", "rm", &reference]);
    docker(&["logout", &address()]);
}

#[test]
fn a_new_repository_is_one_for_releases() {
    let push = Push::to(Repository::named("made"));
    run(&mut push.command("--create-repository", &address())).succeeded();
    let made = api("DescribeRepositories", json!({"repositoryNames": [push.repository.0]}));
    let made = &made["repositories"][0];
    assert_eq!(made["imageTagMutability"], "IMMUTABLE_WITH_EXCLUSION");
    assert_eq!(made["imageScanningConfiguration"], json!({"scanOnPush": true}));
    assert_eq!(made["encryptionConfiguration"], json!({"encryptionType": "AES256"}));
    let policy = api("GetLifecyclePolicy", json!({"repositoryName": push.repository.0}));
    let policy: Value = serde_json::from_str(policy["lifecyclePolicyText"].as_str().unwrap()).unwrap();
    assert_eq!(policy["rules"][0]["selection"]["tagPatternList"], json!(["v*"]));
}

#[test]
fn what_is_not_committed_has_no_identity() {
    let push = Push::to(Repository::created("loose", "MUTABLE"));
    push.snapshot.forget("README.md");
    let out = run(&mut push.command("--allow-dirty --json", &address())).succeeded();
    let result: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(result["identity"], Value::Null);
    assert_eq!(push.repository.digest("latest").as_deref(), result["digest"].as_str());
    let listed = api("ListImages", json!({"repositoryName": push.repository.0}));
    assert!(!listed.to_string().contains("inputs-"), "{listed}");
}

#[test]
fn the_first_image_under_an_identity_wins() {
    let push = Push::to(Repository::created("wins", "IMMUTABLE"));
    let digest = push.repository.image(&push.identity(), "linux/amd64", b"somebody else's build");
    let out = run(&mut push.command("--tag v1", &address())).succeeded().said(&["Promoted"]);
    assert!(out.stdout.ends_with(&format!("@{digest}\n")), "{}", out.stdout);
}

#[test]
fn stored_credentials_are_used_as_long_as_they_work() {
    let push = Push::to(Repository::created("stored", "MUTABLE"));
    let proxy = Proxy::start(Server::Tcp(address()), vec![]);
    push.scratch.write("config.json", &stored(&proxy.address, PASSWORD));
    run(&mut push.command("", &proxy.address)).succeeded().said(&["Pushed binary"]);
    assert_eq!(proxy.count("GetAuthorizationToken"), 0, "ECR is not asked for a token");
    // one that the registry does not take
    push.scratch.write("config.json", &stored(&proxy.address, "old"));
    run(&mut push.command("--tag v2", &proxy.address)).succeeded();
    assert_eq!(proxy.count("GetAuthorizationToken"), 1);
}

#[test]
fn stored_credentials_that_may_not_push_are_replaced_once() {
    for (password, test) in LESSER.into_iter().zip(["stored-reads", "stored-stranger"]) {
        let push = Push::to(Repository::created(test, "MUTABLE"));
        let proxy = Proxy::start(Server::Tcp(address()), vec![]);
        push.scratch.write("config.json", &stored(&proxy.address, password));
        let out = run(&mut push.command("", &proxy.address)).succeeded();
        let out =
            out.said(&["Refreshing the token", "is not authorized to perform", "Pushed binary", "Verified"]);
        assert_eq!(proxy.count("GetAuthorizationToken"), 1);
        assert!(!out.stderr.contains(password), "{}", out.stderr);
        let config = std::fs::read_to_string(push.scratch.config()).unwrap();
        assert_eq!(config, stored(&proxy.address, password), "what is stored is left alone");
    }
    // ECR's own token may not either: that is the end
    let push = Push::to(Repository::created("stored-none", "MUTABLE"));
    let body = r#"{"errors": [{"code": "DENIED", "message": "User: a is not authorized to perform: b"}]}"#;
    let denied = Fault::Answer { status: 403, kind: "application/json", body: body.to_owned() };
    let rule = Rule { holding: "POST /v2/", times: 999, fault: denied };
    let proxy = Proxy::start(Server::Tcp(address()), vec![rule]);
    push.scratch.write("config.json", &stored(&proxy.address, PASSWORD));
    run(&mut push.command("", &proxy.address))
        .failed(&["the image was not pushed, not with a new token either: denied: User: a is not"]);
    assert_eq!(proxy.count("GetAuthorizationToken"), 1);
}

#[test]
fn whoever_is_slower_takes_what_the_faster_one_has_pushed() {
    let push = Push::to(Repository::created("race", "IMMUTABLE"));
    let digest = push.repository.image(&push.identity(), "linux/amd64", b"the faster one");
    // not there when it is looked for, before the build and after it
    let body = r#"{"images": [], "failures": []}"#.to_owned();
    let nothing = Fault::Answer { status: 200, kind: "application/x-amz-json-1.1", body };
    let rule = Rule { holding: "BatchGetImage", times: 2, fault: nothing };
    let proxy = Proxy::start(Server::Tcp(address()), vec![rule]);
    let out = run(&mut push.command("--tag v1", &proxy.address)).succeeded().said(&["Promoted"]);
    assert!(out.stdout.ends_with(&format!("@{digest}\n")), "{}", out.stdout);
    assert_eq!(push.repository.digest("v1"), Some(digest));
}

#[test]
fn what_changes_while_it_is_built_is_not_pushed() {
    let push = Push::to(Repository::created("changing", "MUTABLE"));
    // docker's helper is asked after the build; here it is what makes a change
    let forget = "cat > /dev/null; git rm --quiet --cached README.md >&2; exit 1";
    let bin = push.scratch.program("docker-credential-test", forget);
    push.scratch.write("config.json", r#"{"credsStore": "test"}"#);
    let mut command = push.command("", &address());
    command.env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()));
    run(&mut command).failed(&["nothing is pushed: the checkout was changed while the image was built"]);
    assert_eq!(push.repository.tags(), [] as [String; 0]);
}

/// What may be asked of ECR, by what is asked of its registry.
fn action(line: &str) -> Option<String> {
    let words: Vec<_> = line.split(' ').collect();
    let name = match words.as_slice() {
        [_, _, _, "GetCallerIdentity"] => return None,
        [_, _, _, operation] => operation,
        [_, "/v2/", ..] | ["POST", "/", ..] => return None,
        ["HEAD", path, ..] if path.contains("/blobs/") => "BatchCheckLayerAvailability",
        ["GET", path, ..] if path.contains("/blobs/") => "GetDownloadUrlForLayer",
        ["POST", path, ..] if path.contains("/blobs/") => "InitiateLayerUpload",
        ["PATCH", path, ..] if path.contains("/blobs/") => "UploadLayerPart",
        ["PUT", path, ..] if path.contains("/blobs/") => "CompleteLayerUpload",
        ["HEAD" | "GET", path, ..] if path.contains("/manifests/") => "BatchGetImage",
        ["PUT", path, ..] if path.contains("/manifests/") => "PutImage",
        _ => panic!("what is {line}?"),
    };
    Some(format!("ecr:{name}"))
}

#[test]
fn the_policy_in_the_documentation_is_what_a_release_needs_and_no_more() {
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/releasing.md")).unwrap();
    let policy = page.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    let policy: Value = serde_json::from_str(policy).unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    let mut allowed: Vec<String> = statements
        .iter()
        .flat_map(|statement| match &statement["Action"] {
            Value::Array(actions) => actions.clone(),
            one => vec![one.clone()],
        })
        .map(|action| action.as_str().unwrap().to_owned())
        .collect();
    let push = Push::to(Repository::created("policy", "MUTABLE"));
    let proxy = Proxy::start(Server::Tcp(address()), vec![]);
    run(&mut push.command("", &proxy.address)).succeeded();
    run(&mut push.command("--tag v1", &proxy.address)).succeeded();
    let mut images = crate::support::xtask("images", &proxy.address, &push.scratch);
    run(images.env("ECR_REPOSITORY", &push.repository.0)).succeeded();
    let mut asked: Vec<_> = proxy.seen().iter().filter_map(|line| action(line)).collect();
    for list in [&mut allowed, &mut asked] {
        list.sort();
        list.dedup();
    }
    assert_eq!(asked, allowed);
}
