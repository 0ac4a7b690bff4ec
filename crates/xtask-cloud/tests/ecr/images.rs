//! `images`: what the repository holds.

use crate::support::emulator::{Repository, address};
use crate::support::{Scratch, run, xtask};

#[test]
fn images_are_listed_with_what_they_say_of_themselves() {
    let scratch = Scratch::new();
    let repository = Repository::created("listed", "MUTABLE");
    let identity = format!("inputs-{}", "ab".repeat(20));
    let digest = repository.image("v1.0.0", "linux/amd64", b"one");
    assert_eq!(repository.image(&identity, "linux/amd64", b"one"), digest);
    repository.image("v0.9.0", "linux/arm64", b"two");
    let list = |words: &str| {
        run(xtask(words, &address(), &scratch).env("ECR_REPOSITORY", &repository.0)).succeeded().stdout
    };
    let table = list("images");
    let line = table.lines().find(|line| line.contains("v1.0.0")).unwrap();
    for cell in [&*digest, "0123456789ab", "inputs-abababababab", "20"] {
        assert!(line.contains(cell), "{cell} is not in {line}");
    }
    let json: serde_json::Value = serde_json::from_str(&list("images --json")).unwrap();
    let rows = json.as_array().unwrap();
    assert_eq!(rows.len(), 2);
    let row = rows.iter().find(|row| row["digest"] == *digest).unwrap();
    assert_eq!(row["tags"], serde_json::json!(["v1.0.0"]));
    assert_eq!(row["identity"], *identity);
    assert_eq!(row["platform"], "linux/amd64");
    assert_eq!(row["commit"], "0123456789abcdef0123456789abcdef01234567");
}

#[test]
fn a_repository_that_is_not_there_is_said_with_how_to_make_it() {
    let scratch = Scratch::new();
    run(xtask("images", &address(), &scratch).env("ECR_REPOSITORY", "no/where")).failed(&[
        "there is no repository",
        "no/where",
        "push-image --create-repository",
        "aws ecr create-repository",
    ]);
}
