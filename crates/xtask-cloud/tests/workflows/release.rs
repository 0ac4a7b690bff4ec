//! release.yml and rollback.yml.

use serde_json::json;

use crate::stage::Stage;

const APPLIED: &str = "SELECT count(*) FROM _sqlx_migrations";
/// 1 once a job has written anything.
const BOOKS: &str = "SELECT count(*) FROM pg_class WHERE relname = '_sqlx_migrations'";

/// What is in the tree.
fn migrations(stage: &Stage) -> String {
    let files = std::fs::read_dir(stage.tree.root().join("migrations")).unwrap();
    let is_up = |file: &std::fs::DirEntry| file.file_name().to_string_lossy().ends_with(".up.sql");
    files.filter(|file| is_up(file.as_ref().unwrap())).count().to_string()
}

#[test]
fn a_tag_becomes_a_migrated_database_and_the_same_tag_again_changes_nothing() {
    let stage = Stage::set("release");
    stage.tree.write_changelog("9.9.9");
    let digest = stage.push_from_ci();
    stage.tag("v9.9.9");
    let first = stage.push_event("v9.9.9").succeeded();
    assert_eq!(stage.repository.digest("v9.9.9"), Some(digest.clone()), "{}", first.stdout);
    assert_eq!(stage.github("roles"), "image promoter\ndeploy deployer\n");
    assert_eq!(stage.query(APPLIED), migrations(&stage));
    let notes = stage.github("releases/v9.9.9/notes.md");
    for said in [
        "# ✅ v9.9.9 is released",
        &*digest,
        "✅ verified",
        "no gate: nobody has to approve (APPROVAL is none)",
        "(head)",
        "Something new.",
    ] {
        assert!(notes.contains(said), "{said} is not in:\n{notes}");
    }
    assert!(stage.github("releases/v9.9.9/image.txt").trim().ends_with(&format!("@{digest}")));
    assert!(first.stdout.contains("# ✅ v9.9.9 is released"), "the page is on the run too");
    let attestations = stage.github("attestations.json");

    let second = stage.push_event("v9.9.9").succeeded();
    assert!(second.stdout.contains("nothing to do: the database is at"), "{}", second.stdout);
    assert_eq!(stage.repository.digest("v9.9.9"), Some(digest));
    assert_eq!(stage.github("attestations.json"), attestations, "what is attested is not attested again");
    let calls = stage.github("calls");
    assert_eq!(calls.matches(r#"["release", "create""#).count(), 1, "{calls}");
    assert_eq!(
        stage.github("releases/v9.9.9/notes.md"),
        notes,
        "the page tells of the run that did the work"
    );

    // Back, by hand, with the image of the release.
    let before = stage.query("SELECT version FROM _sqlx_migrations ORDER BY version DESC OFFSET 1 LIMIT 1");
    let released = stage.github("releases/v9.9.9/image.txt");
    let named = stage.tree.github().join("releases/v9.9.9/image.txt");
    std::fs::write(&named, released.replace(&stage.repository.0, "other")).unwrap();
    let other = stage.dispatch("rollback", &json!({"tag": "v9.9.9", "revision": before}));
    assert_ne!(other.code, Some(0));
    assert!(other.stdout.contains("and nothing else may run"), "{}", other.stdout);
    assert!(!stage.github("roles").contains("downgrade"), "nobody became the deployer");
    std::fs::write(&named, released).unwrap();
    let back = stage.dispatch("rollback", &json!({"tag": "v9.9.9", "revision": before})).succeeded();
    assert!(back.stdout.contains("## Plan: 1 migration to revert"), "{}", back.stdout);
    assert_eq!(stage.query("SELECT max(version) FROM _sqlx_migrations"), before);
    let relative = stage.dispatch("rollback", &json!({"tag": "v9.9.9", "revision": "-1"}));
    assert_ne!(relative.code, Some(0));
    assert_eq!(stage.query("SELECT max(version) FROM _sqlx_migrations"), before, "nothing was reverted");
}

#[test]
fn without_a_section_in_the_changelog_nobody_asks_aws() {
    let stage = Stage::set("changelog");
    stage.push_from_ci();
    stage.tag("v9.9.9");
    let out = stage.push_event("v9.9.9");
    assert_ne!(out.code, Some(0));
    assert!(out.stdout.contains("CHANGELOG.md has no section `## [9.9.9]`"), "{}", out.stdout);
    assert!(
        out.stdout.contains(
            "❌ v9.9.9 is not released: it has no image that may run; the database was not touched"
        ),
        "{}",
        out.stdout
    );
    assert_eq!(stage.github("roles"), "");
    assert_eq!(stage.repository.digest("v9.9.9"), None);
    assert_eq!(stage.github("releases/v9.9.9/notes.md"), "");
}

#[test]
fn a_failing_migration_fails_the_run_and_the_page_says_where_the_database_is() {
    let stage = Stage::set("failure");
    std::fs::write(stage.tree.root().join("migrations/99990101000000_broken.sql"), "SELECT none;\n").unwrap();
    stage.tree.write_changelog("9.9.9");
    stage.push_from_ci();
    stage.tag("v9.9.9");
    let out = stage.push_event("v9.9.9");
    assert_ne!(out.code, Some(0), "{}", out.stdout);
    for said in [
        "❌ v9.9.9: the image is released, the migration failed",
        "it was rolled back; the database is at",
        "❌ failed",
    ] {
        assert!(out.stdout.contains(said), "{said} is not in:\n{}", out.stdout);
    }
    assert_eq!(stage.github("releases/v9.9.9/notes.md"), "", "what failed is not published");
}

#[test]
fn an_image_that_others_attested_is_not_promoted() {
    let stage = Stage::set("forged");
    stage.tree.write_changelog("9.9.9");
    stage.push_from_ci();
    let forged = stage.github("attestations.json").replace("ci.yml", "other.yml");
    std::fs::write(stage.tree.github().join("attestations.json"), forged).unwrap();
    stage.tag("v9.9.9");
    let out = stage.push_event("v9.9.9");
    assert_ne!(out.code, Some(0), "{}", out.stdout);
    assert!(
        out.stdout.contains("is attested, but not by this repository's ci.yml on main"),
        "{}",
        out.stdout
    );
    assert_eq!(stage.repository.digest("v9.9.9"), None);
    assert_eq!(stage.github("roles"), "image promoter\n", "nobody became the deployer");
}

#[test]
fn a_rehearsal_writes_nothing() {
    let stage = Stage::set("rehearsal");
    let digest = stage.push_from_ci();
    let out = stage.dispatch("release", &json!({"rehearse": "true", "tag": ""})).succeeded();
    for said in ["✅ main can be released: rehearsed, nothing written", "the API server accepts it", &*digest]
    {
        assert!(out.stdout.contains(said), "{said} is not in:\n{}", out.stdout);
    }
    assert_eq!(stage.github("roles"), "image reader\ndeploy deployer\n");
    assert_eq!(stage.query(BOOKS), "0");
    assert!(!stage.github("calls").contains("release"), "{}", stage.github("calls"));
}

#[test]
fn without_a_cluster_a_release_ends_with_the_digest() {
    for (deploy, headline) in [
        ("gitops", "✅ v9.9.9 is released; the cluster takes it from here by digest"),
        ("none", "✅ v9.9.9 is released as an image; nothing is deployed from here"),
    ] {
        let mut stage = Stage::set(deploy);
        stage.set_delivery("DEPLOY", deploy);
        stage.tree.write_changelog("9.9.9");
        let digest = stage.push_from_ci();
        stage.tag("v9.9.9");
        let out = stage.push_event("v9.9.9").succeeded();
        assert!(out.stdout.contains(headline), "{headline} is not in:\n{}", out.stdout);
        assert_eq!(stage.repository.digest("v9.9.9"), Some(digest.clone()));
        assert!(stage.github("releases/v9.9.9/image.txt").trim().ends_with(&format!("@{digest}")));
        assert_eq!(stage.github("roles"), "image promoter\n", "nobody became the deployer");
        assert_eq!(stage.query(BOOKS), "0", "the database was not touched");
    }
}

#[test]
fn by_hand_a_release_runs_on_main_beside_the_cluster_too() {
    let mut stage = Stage::set("hand");
    stage.tree.write_changelog("9.9.9");
    stage.tag("v9.9.9");
    stage.set_delivery("DEPLOY_RUNNER", "self-hosted");
    let digest = stage.push_from_ci();
    stage.dispatch("release", &json!({"tag": "v9.9.9"})).succeeded();
    assert_eq!(stage.repository.digest("v9.9.9"), Some(digest));
    assert_eq!(stage.github("roles"), "image promoter\ndeploy deployer\n");
    assert_eq!(stage.query(APPLIED), migrations(&stage));
}

/// It was built, and attested by the release itself.
#[test]
fn a_release_builds_nothing() {
    let mut stage = Stage::set("absent");
    stage.tree.write_changelog("9.9.9");
    stage.tag("v9.9.9");
    for attestations in ["on", "off"] {
        stage.set_delivery("ATTESTATIONS", attestations);
        let out = stage.push_event("v9.9.9");
        assert_ne!(out.code, Some(0), "{}", out.stdout);
        for said in ["ECR holds no image of these inputs", "run ci.yml of this commit again"] {
            assert!(out.stdout.contains(said), "{said} is not in:\n{}", out.stdout);
        }
        assert_eq!(stage.repository.digest("v9.9.9"), None);
    }
    assert_eq!(stage.github("roles"), "image promoter\n".repeat(2), "nobody became the deployer");
    assert_eq!(stage.github("attestations.json"), "");
}
