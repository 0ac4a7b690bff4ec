//! `push-image` where ECR holds the image already: it gets a tag, and no Docker is needed for that.

use std::process::Command;

use crate::support::emulator::{Repository, address};
use crate::support::proxy::{Fault, Proxy, Rule, Server};
use crate::support::snapshot::Snapshot;
use crate::support::{LESSER, Scratch, run, stored, xtask};

const JSON: &str = "application/x-amz-json-1.1";

fn push(
    words: &str,
    registry: &str,
    scratch: &Scratch,
    snapshot: &Snapshot,
    repository: &Repository,
) -> Command {
    let mut command = xtask(&format!("push-image {words}"), registry, scratch);
    // a promotion that wants a daemon fails
    command
        .current_dir(snapshot.root())
        .env("ECR_REPOSITORY", &repository.0)
        .env("DOCKER_HOST", "unix:///nowhere");
    command
}

#[test]
fn the_very_same_manifest_gets_the_tag() {
    let (scratch, snapshot) = (Scratch::new(), Snapshot::take());
    let repository = Repository::created("promoted", "MUTABLE");
    let digest = repository.image(&snapshot.identity(&scratch), "linux/amd64", b"one");
    let proxy = Proxy::start(Server::Tcp(address()), vec![]);
    let out = run(&mut push("--tag v1.2.3 --tag latest", &proxy.address, &scratch, &snapshot, &repository))
        .succeeded();
    assert_eq!(
        out.stdout,
        format!("{}/{}@{digest}\n", proxy.address, repository.0),
        "the reference alone is on stdout"
    );
    let out = out.said(&["Promoted", "v1.2.3", "latest", "Verified", &digest]);
    assert!(!out.stderr.contains("already there"), "{}", out.stderr);
    assert_eq!(
        [repository.digest("v1.2.3"), repository.digest("latest")],
        [Some(digest.clone()), Some(digest.clone())]
    );
    let uploads =
        proxy.seen().iter().filter(|line| !line.starts_with("GET") && line.contains("/v2/")).count();
    assert_eq!(uploads, 0, "nothing is uploaded: {:?}", proxy.seen());
    // the same again
    let out = run(&mut push("--tag v1.2.3 --json", &address(), &scratch, &snapshot, &repository)).succeeded();
    let json: serde_json::Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(json["action"]["kind"], "promoted");
    assert_eq!(json["tags"], serde_json::json!([{"tag": "v1.2.3", "status": {"kind": "alreadyThere"}}]));
    assert_eq!(json["digest"], *digest);
    assert_eq!(json["platform"], "linux/amd64");
}

/// Between the look at an image and its promotion somebody deletes it, or puts another in its place: what was not looked
/// at was built or promoted, and deployed as verified.
#[test]
fn what_was_verified_gets_the_tag_or_nothing_does() {
    let (scratch, snapshot) = (Scratch::new(), Snapshot::take());
    let repository = Repository::created("expected", "MUTABLE");
    let identity = snapshot.identity(&scratch);
    let verified = repository.image(&identity, "linux/amd64", b"verified");
    let expect = |digest: &str, tag: &str| {
        let words = format!("--tag {tag} --expect {digest}");
        run(&mut push(&words, &address(), &scratch, &snapshot, &repository))
    };
    expect(&verified, "v1").succeeded().said(&["Promoted", &verified]);

    // Another one under the identity: the one that was verified is still there, and gets the tag.
    let other = repository.image(&identity, "linux/amd64", b"other");
    assert_eq!(repository.digest(&identity), Some(other.clone()));
    expect(&verified, "v2").succeeded().said(&["Promoted", &verified]);
    assert_eq!(repository.digest("v2"), Some(verified.clone()));

    // It is gone.
    repository.delete(&verified);
    expect(&verified, "v3").failed(&[
        "nothing is pushed and no tag is given",
        &verified,
        "find out who deleted it",
    ]);
    assert_eq!(repository.digest("v3"), None);
    for digest in ["''", "v1", "sha256:0"] {
        let words = ["--tag", "v5", "--expect", digest.trim_matches('\'')];
        let mut command = push("", &address(), &scratch, &snapshot, &repository);
        run(command.args(words)).failed(&["--expect: not the digest of an image"]);
    }
}

#[test]
fn a_tag_that_names_another_image_is_moved_or_refused() {
    let (scratch, snapshot) = (Scratch::new(), Snapshot::take());
    for mutability in ["MUTABLE", "IMMUTABLE"] {
        let repository = Repository::created(&format!("moved-{}", mutability.to_lowercase()), mutability);
        let other = repository.image("v1", "linux/amd64", b"other");
        let digest = repository.image(&snapshot.identity(&scratch), "linux/amd64", b"one");
        let out = run(&mut push("--tag v1", &address(), &scratch, &snapshot, &repository));
        if mutability == "MUTABLE" {
            out.succeeded().said(&[&format!("v1, which named {other} before")]);
            assert_eq!(repository.digest("v1"), Some(digest));
        } else {
            out.failed(&["is immutable", &other, &digest]);
            assert_eq!(repository.digest("v1"), Some(other));
            // the same content under an immutable tag again is a success
            for said in ["v2", "v2, already there"] {
                run(&mut push("--tag v2", &address(), &scratch, &snapshot, &repository))
                    .succeeded()
                    .said(&[said]);
            }
        }
    }
}

#[test]
fn a_tag_that_is_refused_leaves_latest_alone() {
    let (scratch, snapshot) = (Scratch::new(), Snapshot::take());
    let repository = Repository::created("refused", "IMMUTABLE");
    let other = repository.image("v2", "linux/amd64", b"other");
    let digest = repository.image(&snapshot.identity(&scratch), "linux/amd64", b"one");
    let words = "--tag latest --tag v1 --tag v2";
    run(&mut push(words, &address(), &scratch, &snapshot, &repository)).failed(&[
        &format!("ECR holds the image, as v1 so far: {}/{}@{digest}", address(), repository.0),
        &format!("it stays {other}, this is {digest}"),
    ]);
    assert_eq!(repository.digest("v1"), Some(digest));
    assert_eq!(repository.digest("latest"), None);
}

#[test]
fn a_tag_that_takes_a_moment_to_be_seen_is_waited_for() {
    let (scratch, snapshot) = (Scratch::new(), Snapshot::take());
    let repository = Repository::created("slow", "MUTABLE");
    repository.image(&snapshot.identity(&scratch), "linux/amd64", b"one");
    let nothing = |times| Rule {
        holding: r#"[{"imageTag":"v1"}]"#,
        times,
        fault: Fault::Answer {
            status: 200,
            kind: JSON,
            body: r#"{"images": [], "failures": []}"#.to_owned(),
        },
    };
    // before it is given, and twice after that
    let proxy = Proxy::start(Server::Tcp(address()), vec![nothing(3)]);
    run(&mut push("--tag v1", &proxy.address, &scratch, &snapshot, &repository)).succeeded();
    assert_eq!(proxy.left(), 0);
    let proxy = Proxy::start(Server::Tcp(address()), vec![nothing(99)]);
    run(&mut push("--tag v1", &proxy.address, &scratch, &snapshot, &repository))
        .failed(&["ECR does not know the tag v1 that it has just been given"]);
}

#[test]
fn what_ecr_can_not_tell_is_no_reason_to_build() {
    let (scratch, snapshot) = (Scratch::new(), Snapshot::take());
    let repository = Repository::created("key", "MUTABLE");
    let body =
        r#"{"images": [], "failures": [{"failureCode": "KmsError", "failureReason": "the key is gone"}]}"#;
    let fault = Fault::Answer { status: 200, kind: JSON, body: body.to_owned() };
    let rule = Rule { holding: "BatchGetImage", times: 1, fault };
    let proxy = Proxy::start(Server::Tcp(address()), vec![rule]);
    run(&mut push("", &proxy.address, &scratch, &snapshot, &repository))
        .failed(&["cannot ask ECR for inputs-", "KmsError: the key is gone"]);
}

#[test]
fn what_may_pass_at_the_registry_is_tried_again_and_said() {
    let (scratch, snapshot) = (Scratch::new(), Snapshot::take());
    let repository = Repository::created("passing", "MUTABLE");
    repository.image(&snapshot.identity(&scratch), "linux/amd64", b"one");
    let answer = |status| Fault::Answer { status, kind: "text/plain", body: "no".to_owned() };
    for (times, fault, said) in [
        (1, answer(500), "(2 of 4): 127.0.0.1"),
        (3, answer(429), "(4 of 4): 127.0.0.1"),
        (1, Fault::Close, "(2 of 4): cannot reach"),
    ] {
        let proxy =
            Proxy::start(Server::Tcp(address()), vec![Rule { holding: "/blobs/sha256:", times, fault }]);
        run(&mut push("--tag v1", &proxy.address, &scratch, &snapshot, &repository))
            .succeeded()
            .said(&["Retrying", said]);
        assert_eq!(proxy.left(), 0);
    }
    // what can't pass is not
    let rule = Rule { holding: "/blobs/sha256:", times: 9, fault: answer(404) };
    let proxy = Proxy::start(Server::Tcp(address()), vec![rule]);
    run(&mut push("--tag v1", &proxy.address, &scratch, &snapshot, &repository))
        .failed(&["cannot read the image's config", "answered 404"]);
    assert_eq!(proxy.left(), 8);
}

#[test]
fn a_repository_without_its_lifecycle_policy_is_said_with_how_to_add_it() {
    let (scratch, snapshot) = (Scratch::new(), Snapshot::take());
    let repository = Repository::named("no-policy");
    run(&mut push("", &address(), &scratch, &snapshot, &repository)).failed(&[
        "there is no repository",
        "aws ecr create-repository --region eu-west-1 --registry-id 123456789012 --repository-name",
        "--image-scanning-configuration scanOnPush=true",
    ]);
    let body = r#"{"__type": "AccessDeniedException", "message": "because"}"#.to_owned();
    let fault = Fault::Answer { status: 400, kind: JSON, body };
    let rule = Rule { holding: "PutLifecyclePolicy", times: 9, fault };
    let proxy = Proxy::start(Server::Tcp(address()), vec![rule]);
    run(&mut push("--create-repository", &proxy.address, &scratch, &snapshot, &repository)).failed(&[
        "was created, but without its lifecycle policy: AccessDeniedException: because",
        "aws ecr put-lifecycle-policy --region eu-west-1",
        "--lifecycle-policy-text '{\"rules\":",
        // the next thing it needs
        "no image can be built without Docker",
    ]);
}

#[test]
fn stored_credentials_that_may_not_read_are_replaced_once() {
    let (scratch, snapshot) = (Scratch::new(), Snapshot::take());
    let repository = Repository::created("lesser", "MUTABLE");
    repository.image(&snapshot.identity(&scratch), "linux/amd64", b"one");
    repository.image("v0", "linux/amd64", b"two");
    for (password, tokens) in LESSER.into_iter().zip([0, 1]) {
        let proxy = Proxy::start(Server::Tcp(address()), vec![]);
        scratch.write("config.json", &stored(&proxy.address, password));
        let out = run(&mut push("--tag v1", &proxy.address, &scratch, &snapshot, &repository)).succeeded();
        assert_eq!(out.stderr.contains("Refreshing the token"), tokens == 1, "{}", out.stderr);
        assert_eq!(proxy.count("GetAuthorizationToken"), tokens);
        // several at a time share the new one
        let mut images = xtask("images --json", &proxy.address, &scratch);
        let out = run(images.env("ECR_REPOSITORY", &repository.0)).succeeded();
        assert_eq!(out.stdout.matches("\"platform\": \"linux/amd64\"").count(), 2, "{}", out.stdout);
        assert_eq!(proxy.count("GetAuthorizationToken"), 2 * tokens);
    }
    // ECR's own token may not either: what is missing is said
    let rule = Rule {
        holding: "/blobs/sha256:",
        times: 9,
        fault: Fault::Answer { status: 403, kind: JSON, body: "{}".to_owned() },
    };
    let proxy = Proxy::start(Server::Tcp(address()), vec![rule]);
    run(&mut push("--tag v1", &proxy.address, &scratch, &snapshot, &repository))
        .failed(&["the registry refuses to give out sha256:", "ecr:GetDownloadUrlForLayer"]);
}

#[test]
fn what_is_not_committed_is_not_pushed() {
    let (scratch, snapshot) = (Scratch::new(), Snapshot::take());
    let repository = Repository::created("dirty", "MUTABLE");
    snapshot.forget("README.md");
    run(&mut push("", &address(), &scratch, &snapshot, &repository)).failed(&[
        "nothing is pushed: not everything is committed",
        "README.md",
        "--allow-dirty",
    ]);
    // asked for, the next thing it needs is Docker
    run(&mut push("--allow-dirty", &address(), &scratch, &snapshot, &repository))
        .failed(&["no image can be built without Docker"]);
    snapshot.forget_all();
    run(&mut push("", &address(), &scratch, &snapshot, &repository))
        .failed(&["git does not say what is committed"]);
}

/// Another repository, index or settings said what is committed here.
#[test]
fn what_is_committed_is_not_asked_of_another_repository() {
    let (scratch, snapshot, other) = (Scratch::new(), Snapshot::take(), Snapshot::take());
    let repository = Repository::created("misled", "MUTABLE");
    snapshot.forget("README.md");
    let git = other.root().join(".git");
    for (variable, value) in [
        ("GIT_DIR", git.clone()),
        ("GIT_INDEX_FILE", git.join("index")),
        ("GIT_CONFIG_PARAMETERS", "'status.showUntrackedFiles=no'".into()),
    ] {
        let mut command = push("", &address(), &scratch, &snapshot, &repository);
        run(command.env(variable, value)).failed(&["not everything is committed (README.md"]);
    }
}

#[test]
fn an_image_for_another_platform_is_refused() {
    let (scratch, snapshot) = (Scratch::new(), Snapshot::take());
    let repository = Repository::created("platform", "MUTABLE");
    repository.image(&snapshot.identity(&scratch), "linux/arm64", b"one");
    run(&mut push("--tag v1", &address(), &scratch, &snapshot, &repository))
        .failed(&["the image in ECR is for linux/arm64, not for linux/amd64"]);
    assert_eq!(repository.digest("v1"), None, "nothing is tagged that was not verified");
}

#[test]
fn a_digest_that_ecr_does_not_confirm_is_an_error() {
    let (scratch, snapshot) = (Scratch::new(), Snapshot::take());
    let repository = Repository::created("unconfirmed", "MUTABLE");
    let digest = repository.image(&snapshot.identity(&scratch), "linux/amd64", b"one");
    let nothing =
        Fault::Answer { status: 200, kind: JSON, body: r#"{"images": [], "failures": []}"#.to_owned() };
    let rule = Rule { holding: "\"imageDigest\":\"sha256:", times: 99, fault: nothing };
    let proxy = Proxy::start(Server::Tcp(address()), vec![rule]);
    run(&mut push("--tag v1", &proxy.address, &scratch, &snapshot, &repository))
        .failed(&["ECR does not confirm the push", &digest]);
    assert_eq!(repository.digest("v1"), None);
}

#[test]
fn a_manifest_that_is_not_its_digest_is_an_error() {
    let (scratch, snapshot) = (Scratch::new(), Snapshot::take());
    let repository = Repository::created("changed", "MUTABLE");
    let digest = repository.image(&snapshot.identity(&scratch), "linux/amd64", b"one");
    let body = serde_json::json!({"images": [{
        "imageId": {"imageDigest": digest}, "imageManifest": "{}",
        "imageManifestMediaType": "application/vnd.docker.distribution.manifest.v2+json",
    }]});
    let changed = Fault::Answer { status: 200, kind: JSON, body: body.to_string() };
    let rule = Rule { holding: "BatchGetImage", times: 99, fault: changed };
    let proxy = Proxy::start(Server::Tcp(address()), vec![rule]);
    run(&mut push("", &proxy.address, &scratch, &snapshot, &repository))
        .failed(&[&format!("what ECR holds as {digest} has the digest sha256:44136fa3")]);
}

#[test]
fn what_is_asked_of_a_tag_is_checked_before_anything_else() {
    let (scratch, snapshot) = (Scratch::new(), Snapshot::take());
    let repository = Repository::named("never");
    run(&mut push("--tag a/b", "127.0.0.1:9", &scratch, &snapshot, &repository))
        .failed(&["tag \"a/b\" is not one"]);
}
