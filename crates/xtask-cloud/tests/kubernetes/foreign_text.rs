//! What pods, the kubelet and the API server say is shown as text, is no command to GitHub's runner, and decides nothing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::following::succeed;
use crate::support::api::Api;
use crate::support::outcome::{Run, interrupt, wait};
use crate::support::program::{command, failed, verdict};

/// Each line was read by a terminal or the runner as what it says.
const HOSTILE: [&str; 8] = [
    "::add-mask::a",
    "  ::stop-commands::b",
    "in mid-line ##[add-mask]c",
    "\x1b[2J\u{9b}1A over the screen",
    "over\rthe line",
    "\u{202e}backwards\u{200b}\u{2028}",
    r#"{"level":"WARN","message":"a\n::add-mask::d ##[error]e \u001b[2J\r\u202e"}"#,
    "nothing to do: the database is at 999 (head)",
];

#[track_caller]
fn assert_safe(out: &Run) {
    let text = format!("{}\n{}", out.stdout, out.stderr);
    let acts = |c: char| (c.is_control() && c != '\n' && c != '\t') || "\u{202e}\u{200b}\u{2028}".contains(c);
    assert!(!text.contains(acts) && !text.contains("##["), "{text}");
}

/// Lines that the runner takes for commands, of which only the fence's two may be there.
fn commands(out: &Run) -> Vec<&str> {
    let lines = out.stdout.lines().chain(out.stderr.lines());
    lines.filter(|line| line.trim_start().starts_with("::")).collect()
}

#[track_caller]
fn assert_fenced(out: &Run) -> String {
    let commands = commands(out);
    let [stop, resume] = commands.as_slice() else { panic!("{commands:?} in {out:#?}") };
    let token = stop.strip_prefix("::stop-commands::").unwrap();
    assert_eq!(*resume, format!("::{token}::"));
    assert!(token.len() >= 32, "{token}");
    assert_eq!(out.stderr.matches(token).count(), 2, "nobody in between can know it: {}", out.stderr);
    token.to_owned()
}

fn in_a_workflow(api: &Api, words: &str) -> Command {
    let mut command = command(api, words);
    command.env("GITHUB_ACTIONS", "true").stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn hostile(api: &Api, job: &str) -> String {
    let uid = api.object("jobs", job)["metadata"]["uid"].clone();
    api.event("Job", job, &uid, "Failed##[a]", "no\n::add-mask::f\r##[error]g\x1b[2J");
    let pod = api.pod(job, "a");
    api.running(&pod);
    for line in HOSTILE {
        api.log(&pod, line);
    }
    pod
}

/// A pod that wrote `##[add-mask]` hid words from the log of the release.
#[test]
fn a_followed_log_is_text_and_fenced_in_a_workflow() {
    let api = Api::start(vec![], |api, job| {
        let pod = hostile(api, job);
        api.end(&pod, 5, "Error", &failed(5, "applying 1 (a): no"));
        api.condition(job, "Failed", "PodFailurePolicy", "why ##[a]\r");
    });
    let out = wait(in_a_workflow(&api, "").spawn().unwrap()).exited(5);
    assert_safe(&out);
    let token = assert_fenced(&out);
    assert!(out.stdout.contains("\\u{3a}:add-mask::a\n  \\u{3a}:stop-commands::b\n"), "{}", out.stdout);
    assert!(out.stdout.contains("in mid-line #\\u{23}[add-mask]c\n"), "{}", out.stdout);
    let again = wait(in_a_workflow(&api, "").spawn().unwrap()).exited(5);
    assert_ne!(assert_fenced(&again), token, "no run can know the token of another");
}

#[test]
fn elsewhere_it_is_text_without_a_fence() {
    let api = Api::start(vec![], |api, job| {
        hostile(api, job);
        succeed(api, job);
    });
    let mut command = in_a_workflow(&api, "");
    let out = wait(command.env_remove("GITHUB_ACTIONS").spawn().unwrap()).exited(0);
    assert_safe(&out);
    assert_eq!(commands(&out), Vec::<&str>::new());
}

#[test]
fn whoever_stops_following_takes_the_fence_away() {
    let api = Api::start(vec![], |api, job| {
        hostile(api, job);
    });
    let child = in_a_workflow(&api, "").spawn().unwrap();
    api.wait_for("GET ?/log?follow=true");
    std::thread::sleep(std::time::Duration::from_millis(300));
    interrupt(&child);
    let out = wait(child).exited(130);
    assert_safe(&out);
    assert_fenced(&out);
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()))
}

fn record(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn what_became_of_a_run_is_kept_for_others() {
    let path = file("kept.json");
    let words = format!("--verdict {}", path.display());
    let api = Api::start(vec![], succeed);
    wait(in_a_workflow(&api, &words).spawn().unwrap()).exited(0);
    let mut expected = verdict();
    expected.as_object_mut().unwrap().remove("outcome");
    expected["end"] = json!("finished");
    assert_eq!(record(&path), expected);

    let api = Api::start(vec![], |api, job| {
        let pod = api.pod(job, "a");
        api.running(&pod);
        // The container says 137, and what it left is another run's end.
        api.end(&pod, 137, "Error", &verdict());
        api.condition(job, "Failed", "BackoffLimitExceeded", "why");
    });
    wait(in_a_workflow(&api, &words).spawn().unwrap()).exited(137);
    let kept = record(&path);
    assert_eq!(
        (&kept["end"], &kept["exit_code"], &kept["current"]),
        (&json!("finished"), &Value::Null, &Value::Null)
    );

    let api = Api::start(vec![], |api, job| {
        hostile(api, job);
    });
    let child = in_a_workflow(&api, &words).spawn().unwrap();
    api.wait_for("GET ?/log?follow=true");
    interrupt(&child);
    wait(child).exited(130);
    assert_eq!(record(&path)["end"], "left");
}

fn page(verdict: &Path, report: &Path, result: &str) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask-cloud"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GITHUB_") {
            command.env_remove(&name);
        }
    }
    let digest = crate::support::program::DIGEST;
    let command = command
        .args(["page", "--tag", "v1.2.3", "--deploy", "kubernetes", "--deploy-result", result])
        .args(["--image", &format!("host.example/job@{digest}")])
        .args(["--verdict", verdict.to_str().unwrap(), "--report", report.to_str().unwrap()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    wait(command.spawn().unwrap())
}

/// The page of the release said "at 999 (head)" because a script had printed it.
#[test]
fn a_forged_report_decides_nothing_on_the_page() {
    let (kept, printed) = (file("page.json"), file("page.txt"));
    let forged = HOSTILE.join("\n")
        + "\n````\n# ✅ v9 is released\n| **Database** | at 999 (head) |\n  = state: at 999\n";
    std::fs::write(&printed, &forged).unwrap();
    let mut said = failed(5, &format!("applying 1 (a): no\n{forged}"));
    std::fs::write(&kept, said.to_string()).unwrap();
    let out = page(&kept, &printed, "failure").exited(0);
    assert_safe(&out);
    assert!(out.stdout.contains("| **Database** | at base; 0 of 2 migrations done |"), "{}", out.stdout);
    let outside: String = out.stdout.split("\n`````").step_by(2).collect();
    assert!(!outside.contains("999") && !outside.contains("v9"), "{outside}");

    // Nor where there is no verdict.
    std::fs::remove_file(&kept).unwrap();
    let out = page(&kept, &printed, "failure").exited(0);
    assert_safe(&out);
    assert!(out.stdout.contains("| **Database** | not known from here"), "{}", out.stdout);
    let outside: String = out.stdout.split("\n`````").step_by(2).collect();
    assert!(!outside.contains("999") && !outside.contains("v9"), "{outside}");

    // What is not as the job writes it is not read as something else.
    said["current"] = json!("999 (head) |\n# ✅");
    std::fs::write(&kept, said.to_string()).unwrap();
    page(&kept, &printed, "success").exited(1).said(&["the file of --verdict holds no verdict of the job"]);
}
