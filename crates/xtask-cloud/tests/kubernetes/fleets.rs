//! One image, many databases.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::support::api::{Api, Fault, Rule};
use crate::support::outcome::{interrupt, wait};
use crate::support::program::{command, failed, run, verdict};

fn file(api: &Api, count: usize) -> PathBuf {
    let mut text = String::new();
    for number in 0..count {
        writeln!(text, "- {{name: db-{number}, host: h{number}, database: d, secretRef: secret-{number}}}")
            .unwrap();
    }
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("fleet-{}.yaml", api.port));
    std::fs::write(&path, text).unwrap();
    path
}

fn database(api: &Api, job: &str) -> usize {
    let labels = &api.object("jobs", job)["metadata"]["labels"];
    labels["run-migrations/database"].as_str().unwrap().strip_prefix("db-").unwrap().parse().unwrap()
}

/// Those that are named fail; every Job takes a moment.
fn cluster(failing: &'static [usize]) -> Api {
    disturbed(vec![], failing)
}

fn disturbed(rules: Vec<Rule>, failing: &'static [usize]) -> Api {
    Api::start(rules, move |api, job| {
        let pod = api.pod(job, "a");
        api.running(&pod);
        std::thread::sleep(Duration::from_millis(20));
        if failing.contains(&database(api, job)) {
            api.end(&pod, 5, "Error", &failed(5, "applying 1 (a): no such table"));
            api.condition(job, "Failed", "PodFailurePolicy", "why");
        } else {
            api.end(&pod, 0, "Completed", &verdict());
            api.condition(job, "Complete", "CompletionsReached", "");
        }
    })
}

#[test]
fn a_thousand_databases_take_calls_in_proportion() {
    let api = cluster(&[]);
    let path = file(&api, 1000);
    let out = run(&api, &format!("--fleet {} --parallel 25 --canary 3", path.display())).exited(0);
    assert_eq!(out.stdout.lines().count(), 1000);
    assert!(out.stdout.lines().all(|line| line.ends_with("at 2 (head)")), "{}", out.stdout);
    assert_eq!(api.job_names().len(), 1000);
    assert!((2..=25).contains(&api.most_at_once()), "{}", api.most_at_once());
    // For each: is it there, create it, its pods at the end. For all: three lists and three watches, and their renewals.
    let calls = api.requests().len();
    assert!((3000..3100).contains(&calls), "{calls}");
    assert_eq!(api.count("/log"), 0);
}

#[test]
fn each_job_has_its_own_secret() {
    let api = cluster(&[]);
    run(&api, &format!("--fleet {}", file(&api, 3).display())).exited(0);
    for job in api.job_names() {
        let number = database(&api, &job);
        let text = api.object("jobs", &job)["spec"].to_string();
        for other in 0..3 {
            assert_eq!(text.contains(&format!("\"secret-{other}\"")), other == number, "{text}");
        }
    }
}

#[test]
fn the_rest_waits_for_the_canaries() {
    let api = cluster(&[1]);
    let path = file(&api, 9);
    let out = run(&api, &format!("--fleet {} --canary 2 --parallel 5 --max-failed 9", path.display()))
        .exited(5)
        .said(&["a canary failed"]);
    assert_eq!(api.job_names().len(), 2);
    assert!(out.stdout.contains("db-1  failed (5): applying 1 (a): no such table\n"), "{}", out.stdout);
    assert_eq!(out.stdout.matches("waiting").count(), 7);
}

#[test]
fn failures_stop_the_rest_and_the_same_command_goes_on() {
    let api = cluster(&[3, 5]);
    let words = format!("--fleet {} --parallel 1 --max-failed 2 --json", file(&api, 9).display());
    let out = run(&api, &words).exited(5).said(&["2 failed, so no more were started"]);
    assert_eq!(api.job_names().len(), 6);
    let report: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!((&report["exit_code"], &report["databases"][6]["status"]), (&5.into(), &"waiting".into()));
    let words = words.replace("--max-failed 2", "--max-failed 3");
    run(&api, &words).exited(5);
    assert_eq!(api.job_names().len(), 9, "those that were finished are run again, and the rest");
    assert_eq!(api.count("DELETE "), 6);
    assert_eq!(api.most_at_once(), 1);
}

#[test]
fn mistakes_are_told_before_anything_is_asked() {
    let api = cluster(&[]);
    let path = file(&api, 1);
    std::fs::write(&path, "- {name: a, hots: x}\n- {name: a, host: h, database: d, secretRef: s}\n").unwrap();
    run(&api, &format!("--fleet {}", path.display())).exited(1).said(&[
        "unknown key `hots`",
        "line 1 column 13",
        "missing host, database, secretRef",
        "the name a is there twice",
    ]);
    assert!(api.requests().is_empty());
}

#[test]
fn the_file_is_read_with_the_settings() {
    let api = cluster(&[]);
    let path = file(&api, 1);
    std::fs::write(&path, "[]").unwrap();
    let words = format!("--fleet {} --start-timeout 0s", path.display());
    run(&api, &words).exited(1).said(&[
        "2 settings are wrong",
        "--start-timeout: the start timeout \"0s\"",
        "there is no database in it",
    ]);
}

#[test]
fn each_database_whose_job_would_be_refused_is_named() {
    let refusing = |times, code, message| {
        disturbed(vec![Rule { on: "POST ?dryRun", times, fault: Fault::Refuse { code, message } }], &[])
    };
    let api = refusing(2, 422, "Job.batch is invalid");
    let words = format!("--fleet {} --dry-run=server", file(&api, 3).display());
    let out = run(&api, &words).exited(1).said(&[
        "the API server refuses 2 of 3 Jobs; none was made",
        "\n  db-0: cannot create jobs: the API server finds the Job wrong: Job.batch is invalid\n",
        "\n  db-1: cannot create jobs: ",
    ]);
    assert!(!out.stderr.contains("db-2"), "{}", out.stderr);
    assert_eq!((out.stdout.as_str(), api.count("POST ")), ("", 3));
    run(&api, &words).exited(0).said(&["3 Jobs; the API server accepts them"]);
    assert!(api.job_names().is_empty());
}

#[test]
fn ctrl_c_leaves_what_runs() {
    let api = Api::start(vec![], |api, job| {
        let pod = api.pod(job, "a");
        api.running(&pod);
    });
    let words = format!("--fleet {} --parallel 2", file(&api, 4).display());
    let child = command(&api, &words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while api.job_names().len() < 2 {
        std::thread::sleep(Duration::from_millis(20));
    }
    interrupt(&child);
    let out = wait(child).exited(130).said(&["Detached", "kubectl delete jobs migrate-upgrade-"]);
    assert_eq!((out.stdout.matches("running").count(), out.stdout.matches("waiting").count()), (2, 2));
    assert_eq!((api.job_names().len(), api.count("DELETE ")), (2, 0));
}

#[test]
fn watches_that_are_cut_lose_no_database() {
    for fault in [Fault::CutAfter(0), Fault::CutAfter(3), Fault::BreakAfter(5)] {
        for on in ["GET ?/jobs?watch=true", "GET ?/pods?watch=true"] {
            let api = disturbed(vec![Rule { on, times: 3, fault: fault.clone() }], &[4]);
            let words = format!("--fleet {} --parallel 4 --max-failed 2", file(&api, 12).display());
            let out = run(&api, &words).exited(5);
            assert_eq!(out.stdout.matches("at 2 (head)").count(), 11, "{on} {fault:?}: {}", out.stdout);
            assert_eq!(api.count("POST "), 12);
        }
    }
}

#[test]
fn an_api_server_that_stumbles_fails_no_database() {
    let stumble = |code| Fault::Refuse { code, message: "etcdserver: leader changed" };
    let rules = vec![
        Rule { on: "POST ", times: 2, fault: stumble(500) },
        Rule { on: "GET ?/jobs/", times: 2, fault: stumble(429) },
        Rule { on: "GET ?/pods?labelSelector=batch", times: 1, fault: stumble(500) },
    ];
    let api = disturbed(rules, &[]);
    let out = run(&api, &format!("--fleet {} --parallel 2", file(&api, 4).display())).exited(0);
    assert_eq!(out.stdout.matches("at 2 (head)").count(), 4, "{}", out.stdout);
}

#[test]
fn what_will_not_pass_fails_its_database_alone() {
    let message = "jobs.batch \"x\" is forbidden: exceeded quota: q";
    let rules = vec![Rule { on: "POST ", times: 1, fault: Fault::Refuse { code: 403, message } }];
    let api = disturbed(rules, &[]);
    let words = format!("--fleet {} --parallel 1 --max-failed 2", file(&api, 3).display());
    let out = run(&api, &words).exited(1);
    assert!(out.stdout.starts_with("db-0  failed (1): cannot create jobs: "), "{}", out.stdout);
    assert_eq!(out.stdout.matches("at 2 (head)").count(), 2, "{}", out.stdout);
}

#[test]
fn what_is_under_way_is_attached_to() {
    let api = Api::start(vec![], |api, job| {
        let pod = api.pod(job, "a");
        api.running(&pod);
        // Until the second command has found it.
        let look = format!("/jobs/{job}?");
        api.wait(|state| {
            let looks = state.requests.iter().filter(|request| request.contains(&look));
            (looks.count() > 1).then_some(())
        });
        std::thread::sleep(Duration::from_millis(200));
        api.end(&pod, 0, "Completed", &verdict());
        api.condition(job, "Complete", "CompletionsReached", "");
    });
    let words = format!("--fleet {} --parallel 2", file(&api, 2).display());
    let child = command(&api, &words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while api.job_names().len() < 2 {
        std::thread::sleep(Duration::from_millis(20));
    }
    interrupt(&child);
    wait(child).exited(130);
    let out = run(&api, &words).exited(0);
    assert_eq!(out.stdout.matches("at 2 (head)").count(), 2, "{}", out.stdout);
    assert_eq!((api.count("POST "), api.count("DELETE ")), (2, 0));
}
