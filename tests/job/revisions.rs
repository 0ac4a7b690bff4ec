//! Every way to name a place in the history, and what is said when there is no such place.

use crate::support::Setup;

const SCRIPTS: &[(&str, &str)] = &[
    ("20260101_create_a.up.sql", "CREATE TABLE a ();"),
    ("20260101_create_a.down.sql", "DROP TABLE a;"),
    ("20260102_create_b.up.sql", "CREATE TABLE b ();"),
    ("20260102_create_b.down.sql", "DROP TABLE b;"),
    ("20270103_create_c.up.sql", "CREATE TABLE c ();"),
    ("20270103_create_c.down.sql", "DROP TABLE c;"),
];

#[test]
fn every_form_of_a_revision_leads_there() {
    let setup = Setup::with(SCRIPTS);
    let all = [20_260_101, 20_260_102, 20_270_103];
    for (words, applied) in [
        ("upgrade +1", 1),
        ("upgrade 20260102", 2),
        ("downgrade create_a", 1),
        ("upgrade create_a+1", 2),
        ("upgrade 2027", 3),
        ("downgrade current-2", 1),
        ("upgrade head-1", 2),
        ("upgrade head", 3),
        ("downgrade -1", 2),
        ("downgrade base+1", 1),
        ("downgrade base", 0),
        ("upgrade base+3", 3),
        ("upgrade current", 3),
        ("downgrade current", 3),
    ] {
        setup.job(words).run().ok();
        assert_eq!(setup.database.versions(), all[..applied], "{words}");
    }
    setup.job("downgrade").word("create b").run().ok();
    assert_eq!(setup.database.versions(), all[..2]);
}

#[test]
fn a_revision_from_the_environment_may_end_in_a_newline() {
    let setup = Setup::with(SCRIPTS);
    setup.job("").env("COMMAND", "upgrade\n").env("REVISION", "head\n").run().ok();
    assert_eq!(setup.database.versions().len(), 3);
}

#[test]
fn a_revision_that_is_no_place_is_an_error_before_anything_is_written() {
    let setup = Setup::with(SCRIPTS);
    for (words, message) in [
        (
            "upgrade create_d",
            "no migration is called \"create_d\"; the closest are 20260101 (create a), 20260102 (create b), 20270103 (create c)",
        ),
        (
            "upgrade 999",
            "no migration is called \"999\"; `history` lists those there are; +999 is that many steps up",
        ),
        (
            "upgrade 2026010",
            "\"2026010\" names several migrations: 20260101 (create a), 20260102 (create b); type more of the version",
        ),
        ("upgrade +4", "+4 goes past head from base: only 3 steps are left that way"),
        ("upgrade head+1", "head+1 goes past head: 20270103 is the last there is"),
        ("downgrade -1", "-1 goes below base, which is the first there is"),
        (
            "downgrade head",
            "downgrade only goes down, and head (20270103) is above base; use upgrade to go there",
        ),
    ] {
        setup.job(words).run().is(2, "", &format!("error: {message}"));
        assert_eq!(setup.database.tables("public"), [""; 0], "{words}");
    }
    setup.job("upgrade 20260102").run().ok();
    setup.job("upgrade 20260101").run().is(
        2,
        "",
        "error: upgrade only goes up, and 20260101 is below 20260102; use downgrade to go there",
    );
}

#[test]
fn words_that_are_no_revision_are_usage() {
    let setup = Setup::with(SCRIPTS);
    for (revision, problem) in [
        ("+0", "+0 is not a number of steps; the smallest is 1"),
        ("+", "expected head, base, current, +N, -N, a version or a description"),
        ("a\u{7}b", "holds a control character"),
    ] {
        let outcome = setup.job("upgrade").word(revision).run();
        outcome.is(2, "", &format!("error: 1 setting is wrong:\n  REVISION: {revision:?}: {problem}"));
    }
}

#[test]
fn relative_revisions_are_refused_inside_a_cluster() {
    let setup = Setup::with(SCRIPTS);
    setup.job("upgrade head").run().ok();
    let inside = |words: &str| setup.job(words).env("KUBERNETES_SERVICE_HOST", "10.0.0.1");
    let log = setup.directory.path().join("termination-log");
    let inside = |words: &str| inside(words).env("TERMINATION_MESSAGE_PATH", log.to_str().unwrap());
    for revision in ["-1", "current-1"] {
        inside(&format!("downgrade {revision}")).run().is(
            2,
            "",
            &format!(
                "error: 1 setting is wrong:\n  REVISION: {revision:?} is relative, and in a cluster a pod may run twice: \
                 name a version, or set ALLOW_RELATIVE=true"
            ),
        );
    }
    inside("upgrade +1").run().fails(2, "is relative, and in a cluster a pod may run twice");
    assert_eq!(setup.database.versions().len(), 3);
    // Relative to a fixed place means the same place each time.
    inside("downgrade head-1").run().ok();
    inside("downgrade head-1").run().ok();
    assert_eq!(setup.database.versions().len(), 2);
    inside("downgrade -1").env("ALLOW_RELATIVE", "true").run().ok();
    assert_eq!(setup.database.versions().len(), 1);
}
