//! DETAIL and CONTEXT hold whole rows. In a cluster, whose logs and termination messages more people read than the
//! database, they are shown only on request.

use std::fs;

use crate::support::{Job, Outcome, Setup};

const SECRET: &str = "ann@example.org";

/// Each puts the address into another field of the error.
const SCRIPTS: [(&str, &str); 4] = [
    (
        "detail",
        "CREATE TABLE contacts (mail text UNIQUE); INSERT INTO contacts VALUES ('ann@' || 'example.org'), ('ann@' || 'example.org');",
    ),
    (
        "check",
        "CREATE TABLE contacts (mail text CHECK (mail = '')); INSERT INTO contacts VALUES ('ann@' || 'example.org');",
    ),
    ("message", "SELECT ('ann@' || 'example.org')::int;"),
    ("context", "DO $$ BEGIN EXECUTE 'SELECT none -- ' || 'ann@' || 'example.org'; END $$;"),
];

fn in_a_cluster(setup: &Setup, format: &str, detail: Option<&str>) -> (Outcome, String) {
    let log = setup.directory.path().join("termination-log");
    fs::write(&log, "").unwrap();
    let job: Job = setup.job("upgrade head").env("LOG_FORMAT", format).env("RUST_LOG", "debug,sqlx=off");
    let job =
        job.env("KUBERNETES_SERVICE_HOST", "10.0.0.1").env("TERMINATION_MESSAGE_PATH", log.to_str().unwrap());
    let job = if format == "json" { job.env("OUTPUT", "json") } else { job };
    let outcome = match detail {
        Some(detail) => job.env("DETAIL", detail),
        None => job,
    }
    .run();
    (outcome, fs::read_to_string(log).unwrap())
}

/// The row stood in the log, in the pod's status and on the page of the release.
#[test]
fn in_a_cluster_values_are_hidden_and_that_is_said() {
    for (field, script) in SCRIPTS {
        let setup = Setup::with(&[("1_a.up.sql", script)]);
        for format in ["text", "json"] {
            let (outcome, verdict) = in_a_cluster(&setup, format, None);
            outcome.fails(5, "hidden, since it may hold values of rows; set DETAIL=show to see it");
            for text in [&outcome.stdout, &outcome.stderr, &verdict] {
                assert!(!text.contains(SECRET), "{field}: {text}");
            }
            assert!(verdict.contains("set DETAIL=show"), "{field}: {verdict}");
            if format == "json" {
                assert_eq!(outcome.json()["error"]["detail_hidden"], true, "{field}");
            }
            let (outcome, verdict) = in_a_cluster(&setup, format, Some("show"));
            outcome.fails(5, SECRET);
            assert!(verdict.contains(SECRET) && !verdict.contains("DETAIL=show"), "{field}: {verdict}");
        }
    }
}

#[test]
fn elsewhere_values_are_shown_unless_that_is_not_wanted() {
    let setup = Setup::with(&[("1_a.up.sql", SCRIPTS[0].1)]);
    setup.job("upgrade head").run().fails(5, SECRET);
    let hidden = setup.job("upgrade head").env("DETAIL", "hide").run();
    assert!(!hidden.fails(5, "set DETAIL=show").stderr.contains(SECRET), "{}", hidden.stderr);
    setup.job("upgrade head").env("DETAIL", "all").run().fails(2, "DETAIL: \"all\" is not one of show, hide");
}

/// An error that holds nothing of rows is told in full, without a word about what is not hidden.
#[test]
fn what_names_no_value_stays() {
    let setup = Setup::with(&[("1_a.up.sql", "SELECT 1 / 0;")]);
    let (outcome, verdict) = in_a_cluster(&setup, "text", None);
    outcome.fails(5, "division by zero");
    assert!(!outcome.stderr.contains("hidden") && !verdict.contains("hidden"), "{}", outcome.stderr);
}
